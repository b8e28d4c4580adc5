//! Rude clients: what becomes of them, and what others notice.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use innkeeper::http::{Peer, Scheme};
use innkeeper::server::Place;
use innkeeper::server::connection::{Wires, serve};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::fixture::{Setup, TestServer, write};

const HOUR: Duration = Duration::from_secs(3600);

/// What a client does each second.
enum Each {
    Sends,
    Takes,
}

/// What the server takes to notice and to close.
const GRACE: Duration = Duration::from_secs(3);

/// How long it lets a client send that was answered, and goes on sending.
const DRAIN: Duration = Duration::from_secs(30);

/// An hour of a clock that goes on when nobody has anything to do: one client after the
/// other, each of which stays for this limit and no longer. Gives what each got.
fn an_hour(hello: &str, each: Each, limit: Duration) -> Vec<Vec<u8>> {
    let (folder, wires) = Setup { workers: 1, ..Setup::default() }.wires();
    write(&folder.path().join("root/large.bin"), &vec![b'x'; 8 << 20]);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let got = runtime.enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_stop, stopping) = watch::channel(false);
        let peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        pause_behind_a_request(&listener, peer, &wires, &stopping).await;
        let began = Instant::now();
        let mut got = Vec::new();
        while began.elapsed() < HOUR {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let mut client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
            // What is sent arrives at once, as no other clock goes on meanwhile.
            client.set_nodelay(true).unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            let served = tokio::spawn(serve(
                accepted.into_std().unwrap(),
                peer,
                Scheme::Http,
                wires.clone(),
                stopping.clone(),
                Place::uncounted(),
            ));
            let since = Instant::now();
            let mut taken = Vec::new();
            client.write_all(hello.as_bytes()).await.unwrap();
            while !served.is_finished() {
                assert!(since.elapsed() <= limit + GRACE, "it stays for {:?}", since.elapsed());
                match each {
                    // The server may have ended it.
                    Each::Sends => drop(client.write_all(b"a").await),
                    Each::Takes => taken.push(client.read_u8().await.unwrap()),
                }
                sleep(Duration::from_secs(1)).await;
            }
            served.await.unwrap();
            got.push(rest(client, taken).await);
        }
        got
    });
    let expected = HOUR.as_secs() / (limit + GRACE).as_secs()..=HOUR.as_secs() / limit.as_secs();
    let count = got.len() as u64;
    assert!(expected.contains(&count), "{count} connections instead of {expected:?}");
    got
}

/// Pauses tokio's clock once `large.bin` was asked for. From then on the kernel has all names at
/// hand: while a thread waits for the disk nobody has anything to do, and that clock would go on.
pub(crate) async fn pause_behind_a_request(
    listener: &TcpListener,
    peer: Peer,
    wires: &Arc<Wires>,
    stopping: &watch::Receiver<bool>,
) {
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let request = b"HEAD /large.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let served = serve(
        accepted.into_std().unwrap(),
        peer,
        Scheme::Http,
        Arc::clone(wires),
        stopping.clone(),
        Place::uncounted(),
    );
    let (_, answer) = tokio::join!(served, rest(client, Vec::new()));
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
    tokio::time::pause();
}

/// What was sent until the server ended it, in whatever way.
async fn rest(mut client: TcpStream, mut taken: Vec<u8>) -> Vec<u8> {
    let _ = client.read_to_end(&mut taken).await;
    taken
}

#[test]
fn a_head_of_one_byte_a_second_is_refused_again_and_again_for_an_hour() {
    let got = an_hour("GET / HTTP/1.1\r\nX: ", Each::Sends, Duration::from_secs(10) + DRAIN);
    assert!(got.iter().all(|answer| answer.starts_with(b"HTTP/1.1 408 ")));
}

#[test]
fn a_body_of_one_byte_a_second_is_refused_again_and_again_for_an_hour() {
    let hello = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n";
    let got = an_hour(hello, Each::Sends, Duration::from_secs(30) + DRAIN);
    assert!(got.iter().all(|answer| answer.starts_with(b"HTTP/1.1 408 ")));
}

/// What it takes makes no room in its window, so it counts as one that takes nothing.
#[test]
fn a_client_that_takes_one_byte_a_second_is_cut_again_and_again_for_an_hour() {
    let hello = "GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n";
    let got = an_hour(hello, Each::Takes, Duration::from_secs(30));
    assert!(got.iter().all(|part| part.starts_with(b"HTTP/1.1 200 ") && part.len() < 8 << 20));
}

#[test]
fn a_client_that_resets_at_any_point_of_its_answer_costs_itself_alone() {
    let server = Setup { workers: 1, ..Setup::default() }.start();
    write(&server.root().join("large.bin"), &vec![b'x'; 2 << 20]);
    let mut honest = server.connect();
    let small = "GET /hello.txt HTTP/1.1\r\nHost: test\r\n\r\n";
    for at in 0..=length(&server, small) {
        reset(&server, small, at);
        reset(&server, &small.repeat(20), at);
    }
    honest.expect_open();
    for field in ["", "Range: bytes=0-700000,900000-1500000\r\n"] {
        let large = format!("GET /large.bin HTTP/1.1\r\nHost: test\r\n{field}\r\n");
        let length = length(&server, &large);
        let inside = (0..length).step_by(length / 20);
        for at in inside.chain([1, 15, 200, 400, length - 1, length]) {
            reset(&server, &large, at);
            reset(&server, &large.repeat(3), at);
        }
        honest.expect_open();
    }
    drop(honest);
    assert_eq!(server.stop(Duration::from_secs(20)), 0, "connections that are not given back");
}

/// How long the answer to a request is, more or less: a file that was written just now has
/// no `Last-Modified` yet.
fn length(server: &TestServer, request: &str) -> usize {
    let mut client = server.connect();
    client.send(request);
    client.half_close();
    client.read_to_end().0.len()
}

/// Asks, takes so many bytes of the answer, or all of it, and resets the connection.
fn reset(server: &TestServer, request: &str, at: usize) {
    let client = server.connect();
    let mut socket = client.socket();
    socket.write_all(request.as_bytes()).unwrap();
    let (mut got, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    while got.len() < at && !is_whole(&got) {
        let most = piece.len().min(at - got.len());
        let count = socket.read(&mut piece[..most]).unwrap();
        assert_ne!(count, 0, "an answer that ends early: {}", got.escape_ascii());
        got.extend_from_slice(&piece[..count]);
    }
    SockRef::from(socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Whether an answer has come to its end.
fn is_whole(got: &[u8]) -> bool {
    let Some(end) = got.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&got[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    got.len() >= end + 4 + length.expect("a length").parse::<usize>().unwrap()
}
