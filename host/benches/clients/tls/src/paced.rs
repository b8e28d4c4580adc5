//! Small requests at a fixed rate over TLS, alone or beside downloads on the same connections.
//!
//! A latency counts from the moment when the request was due: a server that stalls makes all
//! requests late that were due meanwhile. Over HTTP/1 a connection has one request at a time, and
//! downloads have connections and a thread of their own; over HTTP/2 they share the connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use h2::client::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{self, Wire};
use crate::result::Seen;

/// Longer than any healthy response takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a browser grants: the window of a stream, and of a connection.
const STREAM_WINDOW: u32 = 6 << 20;
const CONNECTION_WINDOW: u32 = 15 << 20;

pub struct Plan {
    pub port: u16,
    pub path: String,
    /// Requests a second, of all connections.
    pub rate: f64,
    pub connections: u32,
    pub seconds: f64,
    pub wire: Wire,
    /// What is downloaded meanwhile, and how often at a time on each connection.
    pub downloads: Option<(String, u32)>,
}

#[tokio::main(flavor = "current_thread")]
pub async fn run(plan: Plan) -> io::Result<()> {
    LocalSet::new().run_until(run_all(Arc::new(plan))).await
}

async fn run_all(plan: Arc<Plan>) -> io::Result<()> {
    let connector = TlsConnector::from(Arc::new(config::client(plan.wire, config::X25519)?));
    let start = Instant::now() + Duration::from_millis(100);
    let end = start + Duration::from_secs_f64(plan.seconds);
    let interval = Duration::from_secs_f64(f64::from(plan.connections) / plan.rate);
    let mut tasks = Vec::new();
    for index in 0..plan.connections {
        // The connections take turns, so that requests are spread evenly.
        let first = start + interval * index / plan.connections;
        let (plan, connector) = (Arc::clone(&plan), connector.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let times = Timetable { first, interval, end };
            let outcome = match plan.wire {
                Wire::Http1 => over_http1(&plan, &connector, &times).await,
                Wire::Http2 => over_http2(&plan, &connector, &times).await,
            };
            outcome.unwrap_or_else(|error| {
                eprintln!("a connection failed: {error}");
                Seen { failed: 1, ..Seen::default() }
            })
        }));
    }
    let mut total = Seen::default();
    for task in tasks {
        total.add(task.await.map_err(io::Error::other)?);
    }
    total.print(start.elapsed());
    Ok(())
}

#[derive(Clone, Copy)]
struct Timetable {
    first: Instant,
    interval: Duration,
    end: Instant,
}

async fn connect(plan: &Plan, connector: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", plan.port)).await?;
    socket.set_nodelay(true)?;
    connector.connect(config::server_name(), socket).await
}

async fn over_http1(
    plan: &Arc<Plan>,
    connector: &TlsConnector,
    times: &Timetable,
) -> io::Result<Seen> {
    let mut downloads = Vec::new();
    if let Some((path, count)) = &plan.downloads {
        for _ in 0..*count {
            let (plan, connector, path) = (Arc::clone(plan), connector.clone(), path.clone());
            let end = times.end;
            // What decrypts them must not be what the small responses wait for.
            downloads.push(std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?
                    .block_on(download_http1(&plan, &connector, &path, end))
            }));
        }
    }
    let mut seen = Seen::default();
    let mut stream = connect(plan, connector).await?;
    let mut due = times.first;
    while due < times.end {
        sleep_until(due).await;
        let (status, bytes) = exchange(&mut stream, plan.port, &plan.path).await?;
        seen.latencies.push(due.elapsed());
        seen.bytes += bytes;
        seen.error_statuses += u64::from(status >= 400);
        due += times.interval;
    }
    for download in downloads {
        seen.beside_bytes += download.join().expect("a download panicked")?;
    }
    Ok(seen)
}

/// One request and its response of HTTP/1.1. Returns the status and the bytes.
async fn exchange(
    stream: &mut TlsStream<TcpStream>,
    port: u16,
    path: &str,
) -> io::Result<(u16, u64)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut got = Vec::with_capacity(16 << 10);
    let mut body = Vec::new();
    loop {
        let read = timeout(TIMEOUT, stream.read_buf(&mut got)).await??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match crate::http1::read_response(&mut &got[..], &mut body) {
            Ok(whole) => return Ok(whole),
            // The rest is still to come.
            Err(_) => continue,
        }
    }
}

/// Downloads again and again until the time is over. Returns the bytes.
async fn download_http1(
    plan: &Plan,
    connector: &TlsConnector,
    path: &str,
    end: Instant,
) -> io::Result<u64> {
    let mut stream = connect(plan, connector).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", plan.port);
    // Responses are not told apart: each further request is there in time.
    let mut bytes = 0;
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..100 {
        stream.write_all(request.as_bytes()).await?;
    }
    while Instant::now() < end {
        match timeout(TIMEOUT, stream.read(&mut buffer)).await?? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes += read as u64,
        }
    }
    Ok(bytes)
}

async fn over_http2(
    plan: &Arc<Plan>,
    connector: &TlsConnector,
    times: &Timetable,
) -> io::Result<Seen> {
    let stream = connect(plan, connector).await?;
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake::<_, &'static [u8]>(stream)
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::task::spawn_local(connection);
    let mut downloads = Vec::new();
    if let Some((path, count)) = &plan.downloads {
        for _ in 0..*count {
            let request = url(plan.port, path);
            downloads.push(tokio::task::spawn_local(download_http2(
                requests.clone(),
                request,
                times.end,
            )));
        }
    }
    let mut streams = Vec::new();
    let mut due = times.first;
    while due < times.end {
        sleep_until(due).await;
        let (requests, url) = (requests.clone(), url(plan.port, &plan.path));
        streams.push(tokio::task::spawn_local(async move {
            let outcome = timeout(TIMEOUT, fetch(requests, url, None)).await;
            (outcome, due.elapsed())
        }));
        due += times.interval;
    }
    let mut seen = Seen::default();
    for stream in streams {
        match stream.await.map_err(io::Error::other)? {
            (Ok(Ok((status, bytes))), latency) => {
                seen.latencies.push(latency);
                seen.bytes += bytes;
                seen.error_statuses += u64::from(status >= 400);
            }
            (Ok(Err(error)), _) => {
                eprintln!("a stream failed: {error}");
                seen.failed += 1;
            }
            (Err(_), _) => seen.failed += 1,
        }
    }
    for download in downloads {
        seen.beside_bytes += download.await.map_err(io::Error::other)??;
    }
    driver.abort();
    Ok(seen)
}

fn url(port: u16, path: &str) -> String {
    format!("https://localhost:{port}{path}")
}

async fn download_http2(requests: Requests, url: String, end: Instant) -> io::Result<u64> {
    let mut bytes = 0;
    while Instant::now() < end {
        bytes += fetch(requests.clone(), url.clone(), Some(end)).await?.1;
    }
    Ok(bytes)
}

type Requests = SendRequest<&'static [u8]>;

/// One request and its response, or what of it comes until an end. Returns the status and the
/// bytes of the body.
async fn fetch(requests: Requests, url: String, end: Option<Instant>) -> io::Result<(u16, u64)> {
    let mut requests = requests.ready().await.map_err(io::Error::other)?;
    let request = http::Request::get(url).body(()).map_err(io::Error::other)?;
    let (response, _) = requests.send_request(request, true).map_err(io::Error::other)?;
    let response = response.await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let length = data.map_err(io::Error::other)?.len();
        bytes += length as u64;
        let _ = body.flow_control().release_capacity(length);
        if end.is_some_and(|end| Instant::now() >= end) {
            break;
        }
    }
    Ok((status, bytes))
}
