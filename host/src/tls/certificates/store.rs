//! The certificates that serve, for all workers and listeners: one for each handshake.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::client::ClientAuth;
use super::error::CertificateError;
use super::index::Index;
use super::options::{Options, PairFiles, UnknownName};
use super::pair::{NAMES, PATIENCE, Pair};
use super::reloads::Reloads;
use crate::file_watch::{Stamps, stamps};
use crate::text::{beginning, short_name};
use crate::throttle::Throttle;

/// The certificates of a server.
pub struct Store {
    options: ArcSwap<Options>,
    /// What serves. All of it is replaced in one step.
    pub(super) active: ArcSwap<Active>,
    pub(super) client_auth: ArcSwap<ClientAuth>,
    unknown_names: Throttle,
    /// What became of files that changed.
    pub(super) reloads: Reloads,
    /// What the files were like before they were read for the first time.
    pub(super) first_seen: Stamps,
}

/// The certificates that serve, in the order of the settings.
#[derive(Debug)]
pub(super) struct Active {
    /// `None` for one that is awaited.
    pub(super) slots: Vec<Option<Arc<Pair>>>,
    index: Index,
}

/// A certificate of the settings, also when its file is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairId(usize);

/// A client asked for a name that no certificate has, and gets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnrecognizedName;

impl Store {
    /// Loads all certificates. Files that are being replaced are waited for, for
    /// [some seconds](super::pair::PATIENCE).
    pub fn load(options: Options) -> Result<Store, CertificateError> {
        let first_seen = stamps(options.files());
        // For all that are awaited together.
        let end = Instant::now() + PATIENCE;
        let pairs = options.pairs.iter();
        let pairs = pairs.map(|files| Pair::load_patiently(files).map(|pair| Some(Arc::new(pair))));
        let mut slots = pairs.collect::<Result<Vec<_>, _>>()?;
        slots.extend(options.awaited.iter().map(|files| load_awaited(end, files).map(Arc::new)));
        let client_auth = match &options.client_authorities {
            Some(authorities) => ClientAuth::load(authorities)?,
            None => ClientAuth::none(),
        };
        Ok(Store {
            reloads: Reloads::new(slots.len()),
            first_seen,
            options: ArcSwap::from_pointee(options),
            active: ArcSwap::from_pointee(Active::new(slots)),
            client_auth: ArcSwap::from_pointee(client_auth),
            unknown_names: Throttle::new(),
        })
    }

    /// What it was loaded by.
    pub fn options(&self) -> Arc<Options> {
        self.options.load_full()
    }

    /// The certificates that serve, in the order of the settings.
    pub fn pairs(&self) -> Vec<Arc<Pair>> {
        self.active.load().slots.iter().flatten().cloned().collect()
    }

    /// The same, with a place for each that is awaited.
    pub(super) fn slots(&self) -> Vec<Option<Arc<Pair>>> {
        self.active.load().slots.clone()
    }

    /// Which certificates of clients are accepted, for new connections.
    pub fn client_auth(&self) -> Arc<ClientAuth> {
        self.client_auth.load_full()
    }

    /// Its number, which each request asks for: without the count that workers share.
    pub fn client_auth_id(&self) -> u64 {
        self.client_auth.load().id
    }

    /// Whether a client that asks for this name gets a certificate. To be called once for each
    /// handshake: a name that is unknown is logged.
    pub fn recognize(&self, server_name: Option<&str>) -> Result<(), UnrecognizedName> {
        let active = self.active.load();
        if active.first().is_none() {
            self.unknown_names.log(|suppressed| {
                let server_name = short_name(server_name.unwrap_or_default());
                tracing::warn!(
                    server_name,
                    suppressed,
                    "handshake refused: there is no certificate yet"
                );
            });
            return Err(UnrecognizedName);
        }
        let Some(name) = server_name else { return Ok(()) };
        if !active.index.find(name).is_empty() {
            return Ok(());
        }
        let is_refused = self.options.load().unknown_name == UnknownName::Refuse;
        self.unknown_names.log(|suppressed| {
            let (server_name, names) =
                (short_name(name), beginning(&active.names().join(", "), NAMES));
            if is_refused {
                tracing::warn!(
                    server_name,
                    names,
                    suppressed,
                    "handshake refused: no certificate for server name"
                );
            } else {
                tracing::warn!(
                    server_name,
                    names,
                    suppressed,
                    "default certificate sent: no certificate for server name"
                );
            }
        });
        if is_refused { Err(UnrecognizedName) } else { Ok(()) }
    }

    /// The certificate that a client gets which asks for this host: without a port, in any case,
    /// with or without brackets and a dot at the end. `None` if it would be refused.
    ///
    /// A client that has one connection may ask for another host by it: it gets that host's
    /// content if the certificate is the same (RFC 9113, section 9.1.1), and a 421 if not.
    pub fn certificate_for(&self, host: &str) -> Option<PairId> {
        self.certificate_in(&self.active.load(), host)
    }

    /// Whether clients that ask for these two hosts get the same certificate, both at one moment.
    pub fn have_one_certificate(&self, host: &str, other: &str) -> bool {
        let active = self.active.load();
        self.certificate_in(&active, host) == self.certificate_in(&active, other)
    }

    fn certificate_in(&self, active: &Active, host: &str) -> Option<PairId> {
        match active.index.find(host) {
            [first, ..] => Some(PairId(*first)),
            [] if self.options.load().unknown_name == UnknownName::Refuse => None,
            [] => active.first().map(PairId),
        }
    }

    /// The files of the certificates that serve.
    pub fn serving(&self) -> HashSet<PairFiles> {
        self.active.load().slots.iter().flatten().map(|pair| pair.files.clone()).collect()
    }

    /// Whether a certificate is for this host: one that has its name. The default is not.
    pub fn has_name(&self, host: &str) -> bool {
        !self.active.load().index.find(host).is_empty()
    }

    /// All names that certificates are for, each once.
    pub fn names(&self) -> Vec<String> {
        self.active.load().names()
    }

    /// What the files are like now.
    pub(super) fn stamps(&self) -> Stamps {
        stamps(self.options.load().files())
    }

    /// Replaces all certificates, in one step.
    pub(super) fn replace(&self, slots: Vec<Option<Arc<Pair>>>) {
        self.active.store(Arc::new(Active::new(slots)));
    }

    /// Serves by the certificates of these options: those that it has already stay as they are, and
    /// one that cannot be used is awaited. What applies to clients stays.
    pub(super) fn reconfigure(&self, pairs: Vec<PairFiles>, awaited: Vec<PairFiles>) {
        let end = Instant::now() + PATIENCE;
        let before = self.options();
        let slots = self.slots();
        let known: HashMap<_, _> = before.all().zip(&slots).collect();
        let options = Options { pairs, awaited, ..(*before).clone() };
        let slots: Vec<_> = options
            .all()
            .map(|files| match known.get(files) {
                Some(Some(pair)) => Some(Arc::clone(pair)),
                _ => load_awaited(end, files).map(Arc::new),
            })
            .collect();
        self.reloads.reset(slots.len());
        self.options.store(Arc::new(options));
        self.replace(slots);
    }
}

/// One that may come later, if it is there and can be used: until this moment, if it is being
/// replaced.
fn load_awaited(end: Instant, files: &PairFiles) -> Option<Pair> {
    match Pair::load_until(end, files) {
        Ok(pair) => Some(pair),
        Err(error) => {
            let path = files.certificate.display();
            if error.problem.is_missing_file() {
                tracing::info!(%path, "certificate is awaited");
            } else {
                tracing::warn!(%path, %error, "certificate cannot be used, another is awaited");
            }
            None
        }
    }
}

impl Active {
    fn new(slots: Vec<Option<Arc<Pair>>>) -> Active {
        let index = Index::of(&slots);
        Active { slots, index }
    }

    /// The number of the first that is there.
    fn first(&self) -> Option<usize> {
        self.slots.iter().position(Option::is_some)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.slots.iter().flatten().flat_map(|pair| &pair.leaf.names) {
            let name = name.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The pairs that a client gets which asks for no name, or for one that is unknown: the first,
    /// and those of its names that have keys of another kind.
    fn default_numbers(&self) -> Vec<usize> {
        let Some(number) = self.first() else { return Vec::new() };
        let first = self.slots[number].as_ref().and_then(|pair| pair.leaf.names.first());
        let numbers = first.map_or(&[][..], |name| self.index.of_name(name));
        if numbers.first() == Some(&number) { numbers.to_vec() } else { vec![number] }
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let active = self.active.load();
        let found = hello.server_name().map_or(&[][..], |name| active.index.find(name));
        let is_known = hello.server_name().is_none() || !found.is_empty();
        if !is_known && self.options.load().unknown_name == UnknownName::Refuse {
            return None;
        }
        let by_default;
        let numbers = match found.is_empty() {
            true => {
                by_default = active.default_numbers();
                &by_default
            }
            false => found,
        };
        let pairs = || numbers.iter().filter_map(|&number| active.slots.get(number)?.as_ref());
        // Of several kinds of keys the first that the client can verify.
        let fits = |pair: &&Arc<Pair>| {
            numbers.len() == 1 || pair.key.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        pairs().find(fits).or(pairs().next()).map(|pair| Arc::clone(&pair.key))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.options()).finish_non_exhaustive()
    }
}
