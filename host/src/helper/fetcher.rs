//! The fetcher: the only process of a server that may connect. What it does is
//! [`acme`](crate) of the root; here is what it may use, and how it connects.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::confine::Confinement;
use crate::sandbox::{Needs, Role};

/// How long one address of an authority is tried. A handshake of TCP that was lost is sent again
/// after 1, 3 and 7 s.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

/// Bytes of memory that the fetcher may write to: an order takes few.
pub const MEMORY: u64 = 256 << 20;

/// Bytes of a file that it writes: chains of certificates have some thousand.
const FILE_BYTES: u64 = 16 << 20;

/// What the C library resolves names by.
const RESOLVER: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve",
];

/// Where those files are, and what tells which machine this is: the process that starts the fetcher
/// keeps the right to them, as they are replaced while a server serves.
const RESOLVER_FOLDERS: &[&str] =
    &["/etc", "/run", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname"];

/// The code with which the fetcher ends to be started again at once.
pub const AGAIN: u8 = 75;

/// The files of a fetcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The folder that it writes.
    pub state: PathBuf,
    /// Another folder that it writes, which a link in that one leads to.
    pub challenges: Option<PathBuf>,
    /// The authorities that it trusts, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// The key that an authority has given for the account.
    pub eab_key_file: Option<PathBuf>,
}

impl Places {
    /// As arguments of a process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let named = [
            ("state:", Some(&self.state)),
            ("challenges:", self.challenges.as_ref()),
            ("ca:", self.ca_file.as_ref()),
            ("eab:", self.eab_key_file.as_ref()),
        ];
        let named = named.into_iter().filter_map(|(name, path)| Some((name, path?)));
        named
            .map(|(name, path)| {
                let mut argument = OsString::from(name);
                argument.push(path);
                argument
            })
            .collect()
    }

    /// Those that this process was started with.
    pub(super) fn of_this_process() -> Places {
        use std::os::unix::ffi::OsStrExt;
        let mut places = Places::default();
        for argument in std::env::args_os().skip(1) {
            let path = |name: &str| {
                let bytes = argument.as_bytes().strip_prefix(name.as_bytes())?;
                Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
            };
            if let Some(state) = path("state:") {
                places.state = state;
            }
            places.challenges = path("challenges:").or(places.challenges);
            places.ca_file = path("ca:").or(places.ca_file);
            places.eab_key_file = path("eab:").or(places.eab_key_file);
        }
        places
    }

    /// Gives up all but these files and connections. What else is read, as the authorities of the
    /// system, is to be read before.
    pub fn confine(&self) -> io::Result<()> {
        // What a resolver loads it loads now: its modules are files. Since glibc 2.34 that of DNS
        // is a part of the C library; before, only a name that is in no file would load it, and
        // have the start wait for a name server.
        let _ = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 443));
        for (resource, most) in
            [(Resource::Data, MEMORY), (Resource::Fsize, FILE_BYTES), (Resource::Core, 0)]
        {
            // One that is lower already stays.
            let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
        }
        Confinement::of_this_process().enter(Role::Fetcher(&self.needs(RESOLVER)))
    }

    /// What the process that starts the fetcher gives up.
    pub(super) fn confine_keeper(&self) -> io::Result<()> {
        let role = self.needs(RESOLVER_FOLDERS).with(self.ca_file.iter().chain(&self.eab_key_file));
        let roots = ["/usr/share", "/usr/lib", "/usr/local/share", "/var/lib"].map(PathBuf::from);
        let role = role.with(roots.iter());
        Confinement::of_this_process().enter(Role::FetcherKeeper(&role))
    }

    fn needs(&self, read: &[&str]) -> Needs {
        let write = [self.state.clone()].into_iter().chain(self.challenges.clone()).collect();
        let needs = Needs { write, ..Needs::default() };
        let read: Vec<_> = read.iter().map(PathBuf::from).collect();
        needs.with(read.iter())
    }
}

impl Needs {
    /// With these files and folders to read, as far as they are there.
    fn with<'a>(mut self, read: impl Iterator<Item = &'a PathBuf>) -> Needs {
        self.read.extend(read.filter(|path| path.exists()).cloned());
        self
    }
}

/// What tells whether the resolver's file is another one than before.
pub fn resolver_stamp() -> Option<(u64, u64, SystemTime)> {
    let metadata = std::fs::metadata(Path::new(RESOLVER[0])).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.modified().ok()?))
}

/// Connects to a server by TLS. Its addresses are tried one after the other.
pub async fn dial(
    host: &str,
    port: u16,
    tls: &Arc<rustls::ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|_| io::Error::other(format!("{host:?} is not the name of a host")))?;
    let addresses = tokio::net::lookup_host((bare, port)).await;
    let addresses = addresses
        .map_err(|error| io::Error::other(format!("{host} cannot be resolved: {error}")))?;
    let mut failure = io::Error::other(format!("{host} has no address"));
    for address in addresses.take(ADDRESSES) {
        let connected = timeout(CONNECT, TcpStream::connect(address)).await;
        let stream = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => stream,
            Err(error) => {
                failure = io::Error::other(format!("{host} ({address}): {error}"));
                continue;
            }
        };
        let handshake = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
        let secured = timeout(HANDSHAKE, handshake).await;
        let secured = secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        return secured
            .map_err(|error| io::Error::other(format!("TLS with {host} ({address}): {error}")));
    }
    Err(failure)
}
