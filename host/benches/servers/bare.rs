//! The practical limit: one canned answer to whatever is asked, with as few system
//! calls as a program on epoll can do. No parsing, no file, no time, no log.
//!
//!     bare PORT ANSWER_FILE
//!
//! Two threads, each with a listening socket of its own (`SO_REUSEPORT`).

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread;

const THREADS: usize = 2;
const BACKLOG: i32 = 4096;

/// Answers that go out in one write: as many as the pipelined case asks for at once.
const AT_ONCE: usize = 16;

const AF_INET: i32 = 2;
const SOCK_STREAM: i32 = 1;
const SOCK_NONBLOCK: i32 = 0o4000;
const SOCK_CLOEXEC: i32 = 0o2_000_000;
const SOL_SOCKET: i32 = 1;
const SO_REUSEADDR: i32 = 2;
const SO_REUSEPORT: i32 = 15;
const IPPROTO_TCP: i32 = 6;
const TCP_NODELAY: i32 = 1;
const EPOLL_CTL_ADD: i32 = 1;
const EPOLLIN: u32 = 1;
const EPOLLOUT: u32 = 4;
const EPOLLET: u32 = 1 << 31;

#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy)]
struct Event {
    events: u32,
    data: u64,
}

#[repr(C)]
struct Address {
    family: u16,
    port: u16,
    address: [u8; 4],
    zero: [u8; 8],
}

extern "C" {
    fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
    fn setsockopt(fd: i32, level: i32, name: i32, value: *const i32, length: u32) -> i32;
    fn bind(fd: i32, address: *const Address, length: u32) -> i32;
    fn listen(fd: i32, backlog: i32) -> i32;
    fn accept4(fd: i32, address: *mut Address, length: *mut u32, flags: i32) -> i32;
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: *mut Event) -> i32;
    fn epoll_wait(epoll: i32, events: *mut Event, room: i32, timeout: i32) -> i32;
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the end of a head (`\r\n\r\n`) that the last read ended with.
    matched: usize,
    /// Answers that are asked for and not yet fully sent.
    owed: usize,
    /// Bytes of the next answer that are sent.
    sent: usize,
    /// Whether the client asked for this to be its last answer.
    last: bool,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, file] = &arguments[..] else {
        eprintln!("usage: bare PORT ANSWER_FILE");
        std::process::exit(2);
    };
    let port = port.parse().map_err(io::Error::other)?;
    let answer = fs::read(file)?;
    let length = answer.len();
    let answers: Arc<[u8]> = answer.repeat(AT_ONCE).into();
    // All sockets are bound before any thread serves: the kernel then never sees a
    // connection that belongs to a listener that is still to come.
    let listeners = (0..THREADS).map(|_| listener(port)).collect::<io::Result<Vec<_>>>()?;
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let answers = Arc::clone(&answers);
            thread::spawn(move || serve(listener, &answers, length))
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread panicked")?;
    }
    Ok(())
}

/// The result of a system call, or its error.
fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn listener(port: u16) -> io::Result<OwnedFd> {
    let address =
        Address { family: AF_INET as u16, port: port.to_be(), address: [127, 0, 0, 1], zero: [0; 8] };
    let on = 1;
    // SAFETY: the descriptor is new and ours, and the pointers outlive the calls.
    unsafe {
        let fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))?;
        let owned = OwnedFd::from_raw_fd(fd);
        checked(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, 4))?;
        checked(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, 4))?;
        // What is accepted inherits this, which spares a call for each connection.
        checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, 4))?;
        checked(bind(fd, &address, size_of::<Address>() as u32))?;
        checked(listen(fd, BACKLOG))?;
        Ok(owned)
    }
}

fn serve(listener: OwnedFd, answers: &[u8], length: usize) -> io::Result<()> {
    let listening = listener.as_raw_fd();
    // SAFETY: no pointers.
    let epoll = checked(unsafe { epoll_create1(SOCK_CLOEXEC) })?;
    watch(epoll, listening, EPOLLIN)?;
    // Indexed by descriptor.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = [Event { events: 0, data: 0 }; 256];
    let mut buffer = vec![0; 16 << 10];
    loop {
        // SAFETY: the kernel writes at most as many events as there is room for.
        let count = match checked(unsafe {
            epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, -1)
        }) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        for event in &events[..count as usize] {
            let fd = event.data as RawFd;
            if fd == listening {
                accept_all(listening, epoll, &mut connections)?;
                continue;
            }
            let Some(connection) = &mut connections[fd as usize] else { continue };
            // A client that is gone is no reason to stop.
            if !advance(connection, &mut buffer, answers, length).unwrap_or(false) {
                connections[fd as usize] = None;
            }
        }
    }
}

fn watch(epoll: i32, fd: RawFd, events: u32) -> io::Result<()> {
    let mut event = Event { events, data: fd as u64 };
    // SAFETY: the kernel copies the event.
    checked(unsafe { epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &mut event) })?;
    Ok(())
}

fn accept_all(
    listening: RawFd,
    epoll: i32,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        let flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
        // SAFETY: null pointers say that the address is not asked for.
        let fd = unsafe {
            accept4(listening, std::ptr::null_mut(), std::ptr::null_mut(), flags)
        };
        let fd = match checked(fd) {
            Ok(fd) => fd,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        // SAFETY: the descriptor is new and ours.
        let stream = unsafe { TcpStream::from_raw_fd(fd) };
        // Edge-triggered for both directions: one registration for its whole life.
        watch(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLET)?;
        if connections.len() <= fd as usize {
            connections.resize_with(fd as usize + 1, || None);
        }
        connections[fd as usize] =
            Some(Connection { stream, matched: 0, owed: 0, sent: 0, last: false });
    }
}

/// Reads and sends as far as it goes. Returns whether the connection goes on.
fn advance(
    connection: &mut Connection,
    buffer: &mut [u8],
    answers: &[u8],
    length: usize,
) -> io::Result<bool> {
    loop {
        let read = match connection.stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        count_heads(connection, &buffer[..read]);
        while connection.owed > 0 {
            let end = connection.owed.min(AT_ONCE) * length;
            match connection.stream.write(&answers[connection.sent..end]) {
                Ok(written) => {
                    let sent = connection.sent + written;
                    connection.owed -= sent / length;
                    connection.sent = sent % length;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if connection.last && connection.owed == 0 {
            return Ok(false);
        }
        // Less than there was room for: the socket is empty, and tells of more.
        if read < buffer.len() {
            return Ok(true);
        }
    }
}

fn count_heads(connection: &mut Connection, bytes: &[u8]) {
    const END: &[u8] = b"\r\n\r\n";
    const CLOSE: &[u8] = b"Connection: close";
    for &byte in bytes {
        connection.matched = if byte == END[connection.matched] {
            connection.matched + 1
        } else {
            usize::from(byte == b'\r')
        };
        if connection.matched == END.len() {
            connection.owed += 1;
            connection.matched = 0;
        }
    }
    connection.last |= bytes.windows(CLOSE.len()).any(|window| window == CLOSE);
}
