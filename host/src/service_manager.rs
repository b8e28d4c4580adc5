//! What innkeeper and systemd tell each other (sd_notify(3), sd_listen_fds(3)). Without
//! systemd all of it does nothing.

use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use sd_notify::NotifyState;
use socket2::{Domain, Protocol, Socket, Type};

use crate::text::escaped;
use crate::throttle::Throttle;

/// As many as it expects notifications.
static NOT_NOTIFIED: Throttle = Throttle::new();

/// Sockets that are taken over at most: systemd has limits of its own, and a number that was
/// mistyped must not take memory.
const MAX_INHERITED: usize = 128;

/// Where the service manager listens, and a socket to tell it: the sandbox lets the process
/// make none later. There is one service manager for a process.
static MANAGER: OnceLock<(UnixDatagram, SocketAddr)> = OnceLock::new();

/// Takes the sockets that listen already, if there are any, each with its name
/// (`FileDescriptorName=`). One that has none is called as its unit.
pub fn inherited_listeners() -> anyhow::Result<Vec<(String, Socket)>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<_> = names.split(':').collect();
    let is_given = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_given("LISTEN_FDS") {
        let count = std::env::var("LISTEN_FDS").ok().and_then(|text| text.parse::<usize>().ok());
        if count.is_none_or(|count| count > MAX_INHERITED) {
            bail!(
                "LISTEN_FDS must be the number of sockets that are handed over, up to {MAX_INHERITED}"
            );
        }
    }
    let mut descriptors = listenfd::ListenFd::from_env();
    (0..descriptors.len())
        .map(|number| {
            let cannot = || {
                format!(
                    "cannot use socket {number} of those that were handed over (LISTEN_FDS; \
                     ListenStream= of systemd)"
                )
            };
            let of_tcp = descriptors.take_tcp_listener(number).map(|taken| taken.map(Socket::from));
            let listener = of_tcp
                .or_else(|_| {
                    descriptors.take_unix_listener(number).map(|taken| taken.map(Socket::from))
                })
                .map_err(|_| anyhow!(OTHER_KIND))
                .with_context(cannot)?
                .ok_or_else(|| anyhow!("it is gone"))
                .with_context(cannot)?;
            check_that_it_listens(&listener).with_context(cannot)?;
            Ok((names.get(number).copied().unwrap_or_default().to_owned(), listener))
        })
        .collect()
}

/// What a socket is that no client of HTTP could come to.
const OTHER_KIND: &str = "it is neither a TCP socket nor a Unix one for streams";

/// Refuses what a client could never come to.
fn check_that_it_listens(socket: &Socket) -> anyhow::Result<()> {
    let is_stream = socket.r#type()? == Type::STREAM;
    let is_ip = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
    let is_tcp = matches!(socket.protocol()?, None | Some(Protocol::TCP | Protocol::MPTCP));
    let is_unix = socket.domain()? == Domain::UNIX;
    if !(is_stream && (is_unix || is_ip && is_tcp)) {
        bail!(OTHER_KIND);
    }
    if !socket.is_listener()? {
        match socket.peer_addr() {
            Ok(_) => {
                bail!("it is connected to a client (Accept=yes of systemd?) and does not listen")
            }
            Err(_) => bail!("it does not listen"),
        }
    }
    Ok(())
}

/// Finds the service manager, if there is one. Before this nothing is told.
pub fn find() -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(&path)?,
        _ => return Err(io::Error::other("NOTIFY_SOCKET is neither a path nor begins with @")),
    };
    let _ = MANAGER.set((UnixDatagram::unbound()?, address));
    Ok(())
}

/// Tells that requests are served, and how. Each line that the manager hears is an order.
pub fn ready(told: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(&escaped(told))]);
}

/// Tells that what was configured is read again. [`ready`] must follow.
pub fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    notify(&[NotifyState::Reloading, now]);
}

/// Tells that the server is about to stop.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Gives a sign of life.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often signs of life are wanted: twice in the time after which the server would be
/// killed. `None` if they are not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn notify(states: &[NotifyState]) {
    let Some((socket, address)) = MANAGER.get() else { return };
    let mut text = String::new();
    for state in states {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{state}");
    }
    if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
        NOT_NOTIFIED.log(|suppressed| {
            tracing::warn!(%error, suppressed, "cannot notify service manager");
        });
    }
}
