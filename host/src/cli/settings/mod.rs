//! The settings of a server, as the tree that the configuration file is: one struct for each
//! table. Each setting is also a flag and an environment variable; [`key`](super::key) has the
//! rule.
//!
//! - [`site`]: what belongs to a site. [`files`], [`guest`], [`rules`], [`cache`]: what is served, and
//!   what decides; [`certificates`], [`https`], [`request_log`].
//! - [`limits`], [`proxy`]: what clients may use, and which proxies are trusted.
//! - [`tls`], [`acme`], [`http2`]: handshakes, certificates of an authority, and the other wire.
//! - [`log`], [`admin`], [`sandbox`]: how the server is run.
//! - `own_files`: the files that all of them name, which clients do not get.

pub mod acme;
pub mod admin;
pub mod cache;
pub mod certificates;
pub mod files;
pub mod guest;
pub mod http2;
pub mod https;
pub mod limits;
pub mod log;
mod own_files;
pub mod proxy;
pub mod request_log;
pub mod rules;
pub mod sandbox;
pub mod site;
pub mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use clap::builder::ArgPredicate;

use super::owner::{Mode, Owner, account, mode, parse as owner};
pub use site::{SiteIdentity, SiteSettings};

use super::values::{MAX_WORKERS, listen_address, port, tls_address, workers};
use crate::acme::Name;
use crate::clients::RateLimit;
use crate::clients::{Allowance, Clients, Proxies};
use crate::guest::{DecisionLimits, GuestLimits};
use crate::http::{HostPattern, Scheme};
use crate::http2::{Http2, Places};
use crate::release::active::FailurePolicy;
use crate::transport::{Address, FileAccess, ListenAddress};
use crate::unprivileged::Account;

/// The port of the notes that the project began with, for this machine alone.
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7890);

/// `[::]` is all addresses of both versions of IP, as users expect: it is followed by `0.0.0.0`
/// with the same port, unless an address of IPv4 has that port. Of port 0 each would be another.
fn with_both_versions(named: &[Address]) -> Vec<Address> {
    let has_ipv4 = |port| named.iter().any(|a| a.socket.is_ipv4() && a.socket.port() == port);
    let also = |address: &Address| {
        let port = address.socket.port();
        let is_all = address.socket.is_ipv6() && address.socket.ip().is_unspecified();
        let socket = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        (is_all && port != 0 && !has_ipv4(port)).then_some(Address { socket, ..*address })
    };
    let mut all = Vec::new();
    for address in named {
        let is_new = !all.contains(address);
        all.push(*address);
        all.extend(also(address).filter(|_| is_new));
    }
    all
}

/// The same as it is typed.
const DEFAULT_LISTEN: &str = "127.0.0.1:7890";

/// All settings of a server.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// The port of the default address, on this machine alone
    ///
    /// For other addresses write the port in --listen.
    #[arg(short, long, value_name = "PORT", value_parser = port)]
    pub port: Option<u16>,

    /// An address to listen on
    ///
    /// `8080` is port 8080 of this machine alone, `:8080` of all addresses, of both versions of
    /// IP, as is `[::]:8080`. May be given several times. Port 0 means any free port. IPv6
    /// addresses stand in brackets: `[::1]:7890`. `unix:/run/site.sock` is a socket in the file
    /// system, for a proxy on this machine. With --listen-tls alone the server has no such
    /// address; with a certificate, and neither of both, the default address speaks TLS. Sockets
    /// that systemd passes are used instead.
    #[arg(
        long,
        value_name = "ADDR:PORT|unix:PATH",
        default_values = [DEFAULT_LISTEN],
        default_value_ifs = [
            ("port", ArgPredicate::IsPresent, None::<&str>),
            ("listen_tls", ArgPredicate::IsPresent, None),
            ("tls_certificate", ArgPredicate::IsPresent, None),
            ("self_signed", ArgPredicate::Equals("true".into()), None),
            ("acme", ArgPredicate::IsPresent, None),
        ],
        value_parser = listen_address
    )]
    pub listen: Vec<ListenAddress>,

    /// An address to listen on for TLS
    ///
    /// Clients choose HTTP/2 or HTTP/1.1. May be given several times. Needs --tls-certificate or
    /// --self-signed. Of the sockets that systemd passes, those are for TLS that are called https
    /// (FileDescriptorName=).
    #[arg(long, value_name = "ADDR:PORT", value_parser = tls_address)]
    pub listen_tls: Vec<SocketAddr>,

    /// The mode of a socket in the file system, in octal
    ///
    /// A proxy of another user must be one of its group, or have 666.
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = mode, hide_short_help = true)]
    pub socket_mode: Mode,

    /// The user and the group that it is given to, as in :www-data
    ///
    /// By name or by number. Without privileges a group of the server's own user can be named.
    #[arg(long, value_name = "USER:GROUP", value_parser = owner, hide_short_help = true)]
    pub socket_owner: Option<Owner>,

    /// The user to become once all addresses are bound, and its group
    ///
    /// For a server that root starts to listen at ports below 1024: all of its processes become
    /// that user, for good, before they read any other file. By name or by number, as in
    /// www-data or 33:33. root stays root.
    #[arg(long, value_name = "USER[:GROUP]", value_parser = account)]
    pub user: Option<Account>,

    /// Number of worker threads [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = workers)]
    pub workers: Option<NonZeroUsize>,

    /// Refuse to start if one of several sites cannot be served
    ///
    /// By default the others are served: the hosts of that one get 503 until what it names is there.
    /// A server of one site without [[site]] is refused in any case.
    #[arg(long, hide_short_help = true)]
    pub strict_start: bool,

    /// Show the site in a browser once it is served
    #[arg(long)]
    pub open: bool,

    /// Read settings from this TOML file
    ///
    /// Flags and environment variables take precedence over it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Check the configuration and what it names, and exit
    ///
    /// Opens the root, the guest, its cases, the token, the log and the addresses, validates the
    /// guest, and prints the most memory that the server may use. Serves nothing, and changes no
    /// file. The exit code is 0 if a server would start, 1 if something that the configuration
    /// names is wrong, and 2 if the configuration itself is.
    #[arg(long)]
    pub check: bool,

    /// Print the effective configuration and exit
    ///
    /// A comment names the source of each value. The output is a valid file for --config.
    #[arg(long)]
    pub print_config: bool,

    /// What belongs to a site: the one site, or the defaults of those in `[[site]]`.
    #[command(flatten)]
    pub site: SiteSettings,

    /// The sites in `[[site]]`, if there are any.
    #[arg(skip)]
    pub sites: Vec<SiteSettings>,

    /// `[guest]`
    #[command(flatten)]
    pub guest: guest::EngineSettings,

    /// `[cache]`
    #[command(flatten)]
    pub cache: cache::CacheSettings,

    /// `[tls]`
    #[command(flatten)]
    pub tls: tls::TlsSettings,

    /// `[acme]`
    #[command(flatten)]
    pub acme: acme::AcmeSettings,

    /// `[http2]`
    #[command(flatten)]
    pub http2: http2::Http2Settings,

    /// `[limits]`
    #[command(flatten)]
    pub limits: limits::LimitSettings,

    /// `[proxy]`
    #[command(flatten)]
    pub proxy: proxy::ProxySettings,

    /// `[log]`
    #[command(flatten)]
    pub log: log::LogSettings,

    /// `[admin]`
    #[command(flatten)]
    pub admin: admin::AdminSettings,

    /// `[sandbox]`
    #[command(flatten)]
    pub sandbox: sandbox::SandboxSettings,
}

impl Settings {
    /// The number of worker threads: the one that is set, or one for each core that this
    /// process may use.
    pub fn worker_count(&self) -> NonZeroUsize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.workers.unwrap_or_else(|| cores().min(MAX_WORKERS))
    }

    /// The user to become, if that is another one than root.
    pub fn account(&self) -> Option<&Account> {
        self.user.as_ref().filter(|account| !account.is_root())
    }

    /// The directory that compiled guests are kept in. That of a user to become is not the home
    /// directory of the user who starts the server.
    pub fn code_directory(&self) -> Option<PathBuf> {
        let is_set = self.cache.code.is_some() || std::env::var_os("CACHE_DIRECTORY").is_some();
        match self.account() {
            Some(_) if !is_set => Some(PathBuf::from("/var/cache/innkeeper")),
            _ => self.cache.code_directory(),
        }
    }

    /// The directory that certificates are kept in which are ordered.
    pub fn acme_directory(&self) -> Option<PathBuf> {
        let is_set = self.acme.state.is_some() || std::env::var_os("STATE_DIRECTORY").is_some();
        match self.account() {
            Some(_) if !is_set => Some(PathBuf::from("/var/lib/innkeeper/acme")),
            _ => self.acme.state_directory(),
        }
    }

    /// The addresses to listen on, each with what is spoken there.
    pub fn listen(&self) -> Vec<Address> {
        let over = |scheme| move |&socket| Address { scheme, socket };
        let listen: Vec<_> = self.listen.iter().filter_map(ListenAddress::tcp).collect();
        if self.listen.is_empty() && self.listen_tls.is_empty() {
            let mut address = DEFAULT_ADDRESS;
            address.set_port(self.port.unwrap_or(address.port()));
            let scheme = if self.has_certificate() { Scheme::Https } else { Scheme::Http };
            return vec![over(scheme)(&address)];
        }
        let plain = listen.iter().map(over(Scheme::Http));
        let named: Vec<_> = plain.chain(self.listen_tls.iter().map(over(Scheme::Https))).collect();
        with_both_versions(&named)
    }

    /// The sockets in the file system to listen on.
    pub fn sockets(&self) -> Vec<PathBuf> {
        let path = |address: &ListenAddress| match address {
            ListenAddress::Unix(path) => Some(path.clone()),
            ListenAddress::Tcp(_) => None,
        };
        self.listen.iter().filter_map(path).collect()
    }

    /// Who may open them.
    pub fn socket_access(&self) -> FileAccess {
        // Those of the server, which may become another user when they are made.
        let account = self.account().map(|account| (account.user, account.group)).unzip();
        let (user, group) = self.socket_owner.map_or(account, |owner| (owner.user, owner.group));
        FileAccess { mode: self.socket_mode.0, user, group }
    }

    /// How HTTP/2 is spoken.
    pub fn http2(&self) -> Http2 {
        Http2 {
            limits: self.http2.limits(&self.limits),
            prior_knowledge: self.http2.prior_knowledge,
            print_heads: self.log.verbose,
            places: Arc::new(Places::new(self.http2.max_requests as usize)),
        }
    }

    /// The sites that are served: those in `[[site]]`, or the one that is described without.
    pub fn sites(&self) -> Vec<&SiteSettings> {
        match self.sites.as_slice() {
            [] => vec![&self.site],
            sites => sites.iter().collect(),
        }
    }

    /// Whether each site must be fit to be served at the start: the only one always.
    pub fn is_strict(&self) -> bool {
        self.strict_start || self.sites.is_empty()
    }

    /// The names that certificates are ordered for: those of `--acme`, and with the terms accepted
    /// the hosts of sites that have no certificate of their own.
    pub fn acme_names(&self) -> Vec<Name> {
        let of_sites = self.sites.iter().filter(|site| {
            self.acme.accept_terms && !self.tls.self_signed && site.tls.certificates.is_empty()
        });
        let hosts = of_sites.flat_map(|site| &site.identity.hosts);
        // A wildcard is proved by DNS alone; an address is no name of a site that others have.
        let hosts = hosts.filter_map(|host| match host {
            HostPattern::Exact(host) => host.parse().ok(),
            HostPattern::Wildcard(_) => None,
        });
        let mut names: Vec<_> = self.acme.names.iter().cloned().chain(hosts).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether certificates are ordered, or may be for sites that come by a reload.
    pub fn orders_certificates(&self) -> bool {
        let of_sites = self.acme.accept_terms && !self.sites.is_empty() && !self.tls.self_signed;
        of_sites || !self.acme_names().is_empty()
    }

    /// Whether there is a certificate, or is to be one.
    pub fn has_certificate(&self) -> bool {
        let has_own = |site: &&SiteSettings| !site.tls.certificates.is_empty();
        self.tls.self_signed || self.sites().iter().any(has_own)
    }

    /// The limits of guests, with the size of their decision cache: what the decisions of some site
    /// may use.
    pub fn guest_limits(&self) -> GuestLimits {
        let decision_cache_bytes = self.cache.decision_size.as_u64();
        let of_sites = self.sites().into_iter().map(|site| site.guest.limits.limits());
        let decision = of_sites.reduce(DecisionLimits::max).unwrap_or_default();
        GuestLimits { decision_cache_bytes, ..self.guest.limits.limits(decision) }
    }

    /// The policy for a guest of this site that fails on requests.
    pub fn failure_policy(&self, site: &SiteSettings) -> FailurePolicy {
        FailurePolicy {
            fallback: site.guest.on_failure,
            roll_back_after: site.guest.rollback_after,
            keep_previous: self.admin.listen.is_some(),
        }
    }

    /// The rate of requests of one client, of the sites that have none of their own.
    pub fn rate_limit(&self) -> RateLimit {
        self.site.limits.rate_limit.unwrap_or(RateLimit::Off)
    }

    /// The proxies that are trusted, and what one client may use.
    pub fn clients(&self) -> Clients {
        let limits = &self.limits;
        Clients {
            proxies: Proxies {
                trusted: self.proxy.trusted.clone(),
                proxy_protocol: self.proxy.protocol_from.clone(),
            },
            allowance: Allowance::new(limits.max_connections_per_client, self.rate_limit()),
        }
    }
}
