//! The sockets that listen: one for each worker, on the same address.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::unsent::UNSENT_LOW_WATERMARK;

/// One bound socket for each worker, all on the same address.
pub(crate) fn bind_for_all(address: SocketAddr, workers: NonZeroUsize) -> io::Result<Vec<Socket>> {
    if address.port() != 0 {
        // Sockets that share a port would share it with another server of the
        // same user as well, without a word. One that does not share finds out.
        bind(address, Sharing::Alone)?;
    }
    let first = bind(address, Sharing::AmongWorkers)?;
    let bound = local_address(&first)?;
    let mut sockets = vec![first];
    for _ in 1..workers.get() {
        sockets.push(bind(bound, Sharing::AmongWorkers)?);
    }
    Ok(sockets)
}

/// Whether other sockets may be bound to the same address and port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    AmongWorkers,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart binds at once, while connections of before are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::AmongWorkers {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two addresses, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether this address could be bound. Nothing listens on it.
pub(crate) fn try_bind(address: SocketAddr) -> io::Result<()> {
    bind(address, Sharing::Alone).map(drop)
}

/// Sets what accepted sockets inherit (tcp(7)).
pub(crate) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Answers are written whole: waiting to fill a packet only delays their ends.
    socket.set_tcp_nodelay(true)?;
    // Refused by systems that have no such limit, and hold more.
    let _ = socket.set_tcp_notsent_lowat(UNSENT_LOW_WATERMARK);
    Ok(())
}

pub(crate) fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("a TCP socket without an IP address"))
}

/// The path of a Unix socket. Empty for one that has none; `None` for one of TCP.
pub(crate) fn path_of(socket: &Socket) -> Option<PathBuf> {
    let address = socket.local_addr().ok().filter(SockAddr::is_unix)?;
    Some(address.as_pathname().map(Path::to_owned).unwrap_or_default())
}

/// Says what to do about an address that cannot be bound.
pub(crate) fn explain(address: SocketAddr, error: io::Error) -> anyhow::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or choose another \
            port (--port, --listen or --listen-tls)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher \
            one (--port, --listen or --listen-tls)"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        _ => return anyhow!(error).context(format!("cannot listen on {address}")),
    };
    anyhow!("cannot listen on {address}: {advice}")
}
