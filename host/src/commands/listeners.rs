//! Where a server listens: the addresses that are set, or the sockets that the service manager
//! passes. Each is for `http` or for `https`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use socket2::Socket;

use crate::cli::{Settings, SiteSettings};
use crate::http::Scheme;
use crate::server::{Address, Reserved, Server};
use crate::service_manager;
use crate::tls::certificates::UnknownName;
use crate::transport::ListenAddress;
use crate::transport::listener::path_of;

/// What the sockets for TLS are called that the service manager passes (`FileDescriptorName=`).
const TLS_SOCKET: &str = "https";

/// The mode of a socket in the file system, where no other is set.
const DEFAULT_MODE: u32 = 0o660;

/// Where a server listens.
pub(super) enum Listeners {
    /// At these addresses and paths, once they are bound.
    Set(Vec<Address>, Vec<PathBuf>),
    /// On these sockets, which the service manager passes.
    Passed(Vec<(Scheme, Socket)>),
}

/// Why a server cannot listen there.
#[derive(Debug)]
enum Problem {
    /// A certificate that no listener has a use for, by the setting that names it.
    UnusedCertificate { setting: &'static str, example: SocketAddr },
    /// The same, with sockets of the service manager.
    UnnamedSockets { setting: &'static str },
    /// A listener for TLS, without a certificate.
    NoCertificate(Address),
    /// The same, with a socket of the service manager.
    NoCertificateForSocket(SocketAddr),
    /// A port of the default address, where there is another address, or a socket.
    UnusedPort(u16, &'static str),
    /// A redirect to https, and no listener for it.
    UnusedRedirect,
    /// HTTP/2 without TLS where there is to be no HTTP/2.
    NoHttp2,
    /// A setting that does nothing without another one.
    Idle(&'static str, &'static str),
    /// A path that is set twice.
    SamePath(PathBuf),
    /// A listener where the administration is.
    SameAsAdmin(Address),
    /// `--open` without an address that a browser opens.
    NothingToOpen,
    /// Two listeners that keep each other from listening.
    SameAddress(Address, Address),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnusedCertificate { setting, example } => write!(
                f,
                "{setting} is set, and no address is for TLS: add --listen-tls ADDR:PORT, as in \
                 --listen-tls {example}, or leave out {setting}"
            ),
            Problem::UnnamedSockets { setting } => write!(
                f,
                "{setting} is set, and no socket that the service manager passes is for TLS: name \
                 one {TLS_SOCKET} (FileDescriptorName={TLS_SOCKET} in its unit), or leave out \
                 {setting}"
            ),
            Problem::NoCertificate(address) => write!(
                f,
                "--listen-tls {} needs a certificate: set --tls-certificate and --tls-key, or \
                 --self-signed for development",
                address.socket
            ),
            Problem::NoCertificateForSocket(address) => write!(
                f,
                "the socket {address} is for TLS, as it is named {TLS_SOCKET}, and needs a \
                 certificate: set --tls-certificate and --tls-key"
            ),
            Problem::UnusedPort(port, instead) => write!(
                f,
                "--port {port} is for the default address, and {instead} is used instead; leave \
                 one out, or write the port in it"
            ),
            Problem::UnusedRedirect => f.write_str(
                "--redirect-to-https is set, and nothing listens for TLS: plain requests are \
                 redirected to hosts that a certificate of this server is for; add --listen-tls \
                 ADDR:PORT with a certificate, or leave it out",
            ),
            Problem::NoHttp2 => f.write_str(
                "--http2-prior-knowledge is set, and --no-http2, which switches HTTP/2 off; leave \
                 one out",
            ),
            Problem::Idle(setting, needed) => {
                write!(f, "{setting} does nothing without {needed}: add that, or leave it out")
            }
            Problem::SamePath(path) => {
                write!(f, "--listen unix:{} is set twice; leave one out", path.display())
            }
            Problem::SameAsAdmin(address) => write!(
                f,
                "--admin is the address of {} {}; choose another",
                flag(address),
                address.socket
            ),
            Problem::NothingToOpen => f.write_str(
                "--open is set, and no browser opens a Unix socket; add --listen 127.0.0.1:7890, \
                 or leave it out",
            ),
            Problem::SameAddress(one, other) if one == other => {
                write!(f, "{} {} is set twice; leave one out", flag(one), one.socket)
            }
            Problem::SameAddress(one, other) => write!(
                f,
                "{} {} is the address of {} {}; choose another port",
                flag(other),
                other.socket,
                flag(one),
                one.socket
            ),
        }
    }
}

impl Listeners {
    /// Those that count: sockets that are passed, or else the addresses that are set.
    pub(super) fn find(settings: &Settings) -> anyhow::Result<Listeners> {
        let passed = service_manager::inherited_listeners()?;
        if passed.is_empty() {
            return Ok(Listeners::Set(settings.listen(), settings.sockets()));
        }
        let scheme = |name: &str| if name == TLS_SOCKET { Scheme::Https } else { Scheme::Http };
        let passed = passed.into_iter().map(|(name, socket)| (scheme(&name), socket));
        Ok(Listeners::Passed(passed.collect()))
    }

    /// The addresses. Those that are set may have port 0.
    pub(super) fn addresses(&self) -> Vec<Address> {
        match self {
            Listeners::Set(addresses, _) => addresses.clone(),
            Listeners::Passed(sockets) => {
                let address = |(scheme, socket): &(_, Socket)| {
                    let socket = socket.local_addr().ok()?.as_socket()?;
                    Some(Address { scheme: *scheme, socket })
                };
                sockets.iter().filter_map(address).collect()
            }
        }
    }

    /// The paths of Unix sockets.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Listeners::Set(_, paths) => paths.clone(),
            Listeners::Passed(sockets) => {
                sockets.iter().filter_map(|(_, socket)| path_of(socket)).collect()
            }
        }
    }

    /// All that keeps a server from listening there, before it is tried.
    pub(super) fn problems(&self, settings: &Settings) -> Vec<anyhow::Error> {
        let addresses = self.addresses();
        let mut problems = Vec::new();
        let setting = certificate_setting(settings);
        match (self, addresses.iter().find(|address| is_for_tls(address)), setting) {
            (Listeners::Set(..), None, Some(setting)) => {
                let first = addresses.first().map(|address| address.socket);
                let mut example = first.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
                example.set_port(if (1..1024).contains(&example.port()) { 443 } else { 8443 });
                problems.push(Problem::UnusedCertificate { setting, example });
            }
            (Listeners::Passed(_), None, Some(setting)) => {
                problems.push(Problem::UnnamedSockets { setting });
            }
            (_, Some(_), _) if settings.has_certificate() || settings.orders_certificates() => {}
            (Listeners::Set(..), Some(address), _) => {
                problems.push(Problem::NoCertificate(*address));
            }
            (Listeners::Passed(_), Some(address), _) => {
                problems.push(Problem::NoCertificateForSocket(address.socket));
            }
            (_, None, None) => {}
        }
        let instead = match self {
            Listeners::Passed(_) => Some("a socket that the service manager passes"),
            Listeners::Set(..) if !settings.listen.is_empty() => Some("--listen"),
            Listeners::Set(..) if !settings.listen_tls.is_empty() => Some("--listen-tls"),
            Listeners::Set(..) => None,
        };
        let unused = settings.port.zip(instead);
        problems.extend(unused.map(|(port, instead)| Problem::UnusedPort(port, instead)));
        let redirects = settings.sites().iter().any(|site| site.https.redirect_to_https);
        if redirects && !addresses.iter().any(is_for_tls) {
            problems.push(Problem::UnusedRedirect);
        }
        if settings.http2.disabled && settings.http2.prior_knowledge {
            problems.push(Problem::NoHttp2);
        }
        if settings.open && addresses.is_empty() {
            problems.push(Problem::NothingToOpen);
        }
        if settings.tls.unknown_name != UnknownName::default() && !addresses.iter().any(is_for_tls)
        {
            problems.push(Problem::Idle("--tls-unknown-name", "an address for TLS"));
        }
        if let Some(ListenAddress::Tcp(admin)) = settings.admin.listen {
            let same = addresses.iter().find(|address| overlap(address.socket, admin));
            problems.extend(same.map(|address| Problem::SameAsAdmin(*address)));
        }
        if let Listeners::Set(addresses, paths) = self {
            let needed = "a socket in the file system to listen on (--listen unix:PATH)";
            for (is_set, setting) in [
                (settings.socket_mode.0 != DEFAULT_MODE, "--socket-mode"),
                (settings.socket_owner.is_some(), "--socket-owner"),
            ] {
                problems
                    .extend((is_set && paths.is_empty()).then_some(Problem::Idle(setting, needed)));
            }
            for (number, path) in paths.iter().enumerate() {
                let is_same = paths[..number].contains(path);
                problems.extend(is_same.then(|| Problem::SamePath(path.clone())));
            }
            for (number, address) in addresses.iter().enumerate() {
                let other =
                    addresses[..number].iter().find(|other| overlap(other.socket, address.socket));
                problems.extend(other.map(|other| Problem::SameAddress(*other, *address)));
            }
        }
        problems.into_iter().map(|problem| anyhow!("{problem}")).collect()
    }

    /// Binds the addresses, or takes the sockets over.
    pub(super) fn open(self, settings: &Settings, workers: NonZeroUsize) -> anyhow::Result<Server> {
        if let Some(problem) = self.problems(settings).into_iter().next() {
            return Err(problem);
        }
        let (max_connections, sites) = (settings.limits.max_connections, settings.sites().len());
        match self {
            Listeners::Set(addresses, paths) => {
                let listeners = addresses.len() + paths.len();
                let reserved = Reserved { listeners, sites };
                let mut server = Server::bind(&addresses, reserved, workers, max_connections)?;
                server.bind_unix(&paths, settings.socket_access()).context("--listen")?;
                Ok(server)
            }
            Listeners::Passed(sockets) => Server::inherit(sockets, sites, workers, max_connections),
        }
    }
}

fn is_for_tls(address: &Address) -> bool {
    address.scheme == Scheme::Https
}

/// The flag that an address is set by.
pub(super) fn flag(address: &Address) -> &'static str {
    match address.scheme {
        Scheme::Http => "--listen",
        Scheme::Https => "--listen-tls",
    }
}

/// The setting that only a listener for TLS has a use for. A server that seems to ask its
/// clients for certificates must not serve all.
fn certificate_setting(settings: &Settings) -> Option<&'static str> {
    let tls = &settings.tls;
    let any = |has: fn(&SiteSettings) -> bool| settings.sites().into_iter().any(has);
    [
        (any(|site| !site.tls.certificates.is_empty()), "--tls-certificate"),
        (tls.self_signed, "--self-signed"),
        (any(|site| !site.tls.keys.is_empty()), "--tls-key"),
        (tls.client_ca.is_some(), "--tls-client-ca"),
    ]
    .into_iter()
    .find_map(|(is_set, setting)| is_set.then_some(setting))
}

/// Whether one of two sockets would keep the other from listening.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = |address: SocketAddr| address.ip().is_unspecified();
    let same_ip =
        one.ip() == other.ip() || one.is_ipv4() == other.is_ipv4() && (all(one) || all(other));
    one.port() != 0 && one.port() == other.port() && same_ip
}
