//! Sockets that a service manager hands over: those that clients can come to, and others.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};

use socket2::{Domain, Protocol, Socket, Type};

use crate::authority::Authority;
use crate::fixture::{site, write};
use crate::running::PROGRAM;

/// Starts it with this as the socket that is handed over, and gives what it says in the end.
fn refused(environment: &str, handed_over: OwnedFd) -> String {
    let folder = site();
    let script = format!("{environment} LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null");
    let output = Command::new("timeout")
        .args(["60", "sh", "-c", &script, PROGRAM])
        .arg(folder.path().join("root"))
        .args(["--code-cache", "off"])
        .stdin(Stdio::from(handed_over))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn socket_that_no_client_can_come_to_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let socket = |domain, kind, protocol| Socket::new(domain, kind, protocol).unwrap();
    let any = socket2::SockAddr::from("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap());
    let bound = socket(Domain::IPV4, Type::STREAM, None);
    bound.bind(&any).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let cases: Vec<(&str, OwnedFd, &str)> = vec![
        ("made", socket(Domain::IPV4, Type::STREAM, None).into(), "it does not listen"),
        ("made, of IPv6", socket(Domain::IPV6, Type::STREAM, None).into(), "it does not listen"),
        ("bound", bound.into(), "it does not listen"),
        ("connected", connected.into(), "it is connected"),
        ("accepted", accepted.into(), "it is connected"),
        ("of UDP", UdpSocket::bind("127.0.0.1:0").unwrap().into(), "it is neither a TCP socket"),
        (
            "of UDP, of IPv6",
            socket(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).into(),
            "it is neither a TCP socket",
        ),
        (
            "of Unix, datagrams",
            UnixDatagram::bind(path("b")).unwrap().into(),
            "neither a TCP socket",
        ),
        ("a pair", UnixStream::pair().unwrap().0.into(), "it is connected"),
        (
            "packets",
            socket(Domain::UNIX, Type::SEQPACKET, None).into(),
            "it is neither a TCP socket",
        ),
        ("a file", File::open("/dev/null").unwrap().into(), "it is neither a TCP socket"),
        ("a folder", File::open("/").unwrap().into(), "it is neither a TCP socket"),
    ];
    for (what, handed_over, why) in cases {
        let said = refused("LISTEN_FDS=1", handed_over);
        assert!(said.contains(why) && said.contains("socket 0"), "{what}: {said}");
    }
}

#[test]
fn one_that_is_wrong_among_others_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refused("LISTEN_FDS=2", listener.into());
    assert!(said.contains("socket 1") && said.contains("it is neither a TCP socket"), "{said}");
}

#[test]
fn socket_named_https_is_for_tls_and_another_is_not() {
    for (environment, why) in [
        ("LISTEN_FDS=1 LISTEN_FDNAMES=https", "and needs a certificate: set --tls-certificate"),
        ("LISTEN_FDS=1 INNKEEPER_SELF_SIGNED=1", "name one https (FileDescriptorName=https in"),
        ("LISTEN_FDS=1 LISTEN_FDNAMES=http INNKEEPER_SELF_SIGNED=1", "leave out --self-signed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = refused(environment, listener.into());
        assert!(said.contains(why), "{environment}: {said}");
    }
}

#[test]
fn number_of_sockets_that_makes_no_sense_is_refused() {
    for count in ["x", "-1", "1000000000", "99999999999999999999"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let said = refused(&format!("LISTEN_FDS={count}"), listener.into());
        assert!(said.contains("LISTEN_FDS"), "{count}: {said}");
    }
}

#[test]
fn check_counts_the_sockets_that_are_handed_over() {
    for (names, expected) in [("https", true), ("http", false)] {
        let folder = site();
        let pair = Authority::shared().leaf(&["localhost"]);
        let file = folder.path().join("pair.pem");
        write(&file, pair.combined().as_bytes());
        let script = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null";
        let mut command = Command::new("timeout");
        command.args(["60", "sh", "-c", script, PROGRAM, "--check"]);
        command.arg(folder.path().join("root")).args(["--code-cache", "off"]);
        // What is set does not count, as a socket is passed.
        match expected {
            true => command.arg("--tls-certificate").arg(&file),
            false => command.args(["--listen-tls", "127.0.0.1:0"]),
        };
        let socket = OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let output = command.env("LISTEN_FDNAMES", names).stdin(Stdio::from(socket)).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        for part in ["idle TLS", "idle HTTP/2", "TLS handshakes"] {
            assert_eq!(said.contains(part), expected, "{part} with {names}: {said}");
        }
    }
}
