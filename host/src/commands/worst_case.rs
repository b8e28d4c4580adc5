//! The memory that the server uses at most: each part is a product of its factors, computed from
//! the settings and from the bounds in the code.
//!
//! Clients and guests can use this much together; a server uses far less, as most parts are near
//! zero, or shared. The program itself is not counted: some MiB, whatever clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytesize::ByteSize;

use super::guest::{may_compile, may_have_other};
use crate::cli::{Settings, SiteSettings};
use crate::clients::RateLimit;
use crate::guest::runtime::compile::KEPT_FUNCTIONS_BYTES;
use crate::guest::runtime::compile_job::MAX_DATA_BYTES;
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::guest::runtime::engine::instances;
use crate::guest::runtime::live::instances::KEPT_BYTES;
use crate::guest::runtime::live::shape::SNAPSHOT_BYTES;
use crate::guest::{DEFAULT_GUEST, Isolation, RULES_GUEST};
use crate::helper::fetcher;
use crate::http::Scheme;
use crate::http2::{CORK_BYTES, SMALL_BYTES};
use crate::metrics::{COUNTED_SITES, lately};
use crate::server::Address;
use crate::service::record::UNLOGGED_BYTES;
use crate::transport::session;
use crate::transport::stream::READ_BYTES;
use crate::transport::unsent::{CROWD, CROWD_LOW_WATERMARK, SHARED_BYTES, UNSENT_LOW_WATERMARK};
use crate::{clients, diagnostics, disk, files, in_flight, log};

/// Memory of an idle connection, measured: benches/README.md.
const IDLE_CONNECTION_BYTES: u64 = 4 << 10;

/// Bytes of the head of a response: fields that a guest adds, and a Location.
const RESPONSE_HEAD_BYTES: u64 = 32 << 10;

/// Memory of the TLS of an idle connection, and of its HTTP/2, measured: benches/README.md.
const IDLE_TLS_BYTES: u64 = 8 << 10;
const IDLE_HTTP2_BYTES: u64 = 24 << 10;

/// Bytes of the longest record of TLS (RFC 8446, section 5.2).
const RECORD_BYTES: u64 = (16 << 10) + 256 + 5;

/// Stack of a thread, where nothing else is said: that of the standard library.
const STACK_BYTES: u64 = 2 << 20;

/// The largest size of a table of cases, which is read whole.
const CASES_BYTES: u64 = 64 << 20;

/// Where memory is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the server.
    Server,
    /// In a process beside it.
    Helper,
    /// In the process that orders certificates.
    Fetcher,
    /// In the kernel, for the server's sockets.
    Kernel,
}

impl Place {
    const ALL: [Place; 4] = [Place::Server, Place::Helper, Place::Fetcher, Place::Kernel];

    fn name(self) -> &'static str {
        match self {
            Place::Server => "in the server",
            Place::Helper => "in the process that compiles guests",
            Place::Fetcher => "in the process that orders certificates",
            Place::Kernel => "in the kernel, for sends",
        }
    }
}

/// One part: counts, multiplied, times the sum of bytes.
#[derive(Clone, Debug)]
pub(super) struct Part {
    place: Place,
    counts: Vec<(u64, &'static str)>,
    bytes: Vec<(u64, &'static str)>,
}

impl Part {
    /// The product.
    pub(super) fn total(&self) -> u64 {
        let each = self.bytes.iter().fold(0u64, |sum, (bytes, _)| sum.saturating_add(*bytes));
        self.counts.iter().fold(each, |product, (count, _)| product.saturating_mul(*count))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, what) in &self.counts {
            let what = if *count == 1 { what.trim_end_matches('s') } else { what };
            write!(f, "{count} {what} × ")?;
        }
        let bytes = self.bytes.iter().map(|(bytes, what)| format!("{} {what}", size(*bytes)));
        let bytes = bytes.collect::<Vec<_>>().join(" + ");
        if self.bytes.len() > 1 && !self.counts.is_empty() {
            write!(f, "({bytes})")
        } else {
            f.write_str(&bytes)
        }
    }
}

/// The parts of a server with these settings, which listens at these addresses, for this many
/// connections.
pub(super) fn parts(settings: &Settings, addresses: &[Address], connections: usize) -> Vec<Part> {
    let workers = settings.worker_count().get() as u64;
    let connections = connections as u64;
    let (guest, compile) = (settings.guest_limits(), settings.guest.limits.compile_limits());
    let head = settings.limits.max_header_size.as_u64();
    let caches = settings.cache.sizes();
    let has_admin = settings.admin.listen.is_some();
    let sites = settings.sites();
    let may_compile = may_compile(settings);
    let may_be_any = has_admin || sites.iter().any(|site| site.guest.file.is_some());
    let logged = sites.iter().filter(|site| site.log.access_format().is_some());
    let files: BTreeSet<_> = logged.map(|site| &site.log.access_file).collect();
    let logs = files.len() as u64;
    // A line of the log: escaped, a byte takes up to five.
    let line = if logs > 0 { 5 * head } else { 0 };
    let mut parts = Vec::new();
    let mut part = |place, counts: &[(u64, &'static str)], bytes: &[(u64, &'static str)]| {
        let bytes = bytes.iter().copied().filter(|(bytes, _)| *bytes > 0).collect();
        parts.push(Part { place, counts: counts.to_vec(), bytes });
    };
    let server = Place::Server;
    part(
        server,
        &[(connections, "connections")],
        &[
            (IDLE_CONNECTION_BYTES, "idle"),
            // The head of this request, and those that the client sent ahead.
            (2 * head + READ_BYTES as u64, "received"),
            (RESPONSE_HEAD_BYTES, "response head"),
            (in_flight::SMALL_BYTES as u64, "small body"),
            // The bound, and the line that exceeds it.
            (
                if logs > 0 || has_admin { UNLOGGED_BYTES as u64 + line } else { 0 },
                "unlogged responses",
            ),
        ],
    );
    if addresses.iter().any(|address| address.scheme == Scheme::Https) {
        part(
            server,
            &[(connections, "connections")],
            &[
                (IDLE_TLS_BYTES, "idle TLS"),
                // A record that has not arrived whole, and its content.
                (2 * RECORD_BYTES, "received records"),
                (session::BUFFER_BYTES as u64, "records to send"),
            ],
        );
        let limits = settings.tls.limits();
        part(
            server,
            &[(connections.min(u64::from(limits.handshakes.get())), "TLS handshakes")],
            &[(limits.handshake_bytes as u64, "received")],
        );
    }
    if http2_is_spoken(settings, addresses) {
        let limits = settings.http2.limits(&settings.limits);
        let most = connections * u64::from(limits.concurrent_streams);
        part(
            server,
            &[(connections, "connections")],
            &[
                (IDLE_HTTP2_BYTES, "idle HTTP/2"),
                (2 * u64::from(limits.header_table), "header tables"),
                (CORK_BYTES as u64 + limits.send_buffer as u64, "to send"),
            ],
        );
        part(
            server,
            // One of each connection, and the places of all.
            &[(most.min(connections + u64::from(settings.http2.max_requests)), "streams")],
            &[
                // The list of fields, and the lines that a guest and the log get.
                (2 * head, "request head"),
                (RESPONSE_HEAD_BYTES, "response head"),
                (SMALL_BYTES, "small body"),
                // That of a response that is not sent to its end.
                (line, "line"),
            ],
        );
    }
    part(
        server,
        &[],
        &[
            (settings.limits.response_file_memory.as_u64(), "files in responses"),
            (settings.limits.response_reply_memory.as_u64(), "replies and listings in responses"),
        ],
    );
    part(
        server,
        &[],
        &[
            (caches.files, "cache of files"),
            (caches.compressed, "of compressed files"),
            (caches.listings, "of listings"),
        ],
    );
    part(
        server,
        &[(files::COMPRESSIONS as u64, "compressions")],
        &[(files::COMPRESSION_BYTES as u64, "encoder and file")],
    );
    let instances = instances(u32::try_from(workers).unwrap_or(u32::MAX / 4));
    part(
        server,
        &[(u64::from(instances), "guest instances")],
        &[
            (guest.decision.memory_bytes as u64, "memory"),
            (guest.instance_bytes() - guest.decision.memory_bytes as u64, "tables and decision"),
        ],
    );
    let is_live = settings.guest.isolation == Isolation::Live;
    if is_live {
        part(
            server,
            &[(workers + 1, "workers and slow pools")],
            &[(KEPT_BYTES as u64, "kept live instances")],
        );
    }
    // While one replaces another, both are there; the administration can return to the previous.
    let guests = |site: &SiteSettings| {
        let may_be_any = has_admin || site.guest.file.is_some();
        let may_compile = may_be_any || may_have_other(site);
        match (may_be_any, has_admin || site.guest.rollback_after.is_some()) {
            (false, _) if !may_compile => (1, DEFAULT_GUEST.len() as u64, 0),
            // What a guest made of its data is in its first memory.
            (false, _) => (2, RULES_GUEST.len() as u64, guest.decision.memory_bytes as u64),
            (true, false) => (2, MAX_GUEST_BYTES, 0),
            (true, true) => (3, MAX_GUEST_BYTES, 0),
        }
    };
    let mut of_sites = BTreeMap::new();
    for site in &sites {
        *of_sites.entry(guests(site)).or_insert(0) += 1;
    }
    for ((guests, guest_bytes, table), count) in of_sites {
        let counts = [(count, "sites"), (guests, "guests")];
        part(
            server,
            if sites.len() > 1 { &counts } else { &counts[1..] },
            &[
                (compile.code_bytes(guest_bytes), "machine code"),
                (table, "rules"),
                (if is_live { compile.code_bytes(guest_bytes) } else { 0 }, "live machine code"),
                (if is_live { SNAPSHOT_BYTES } else { 0 }, "live snapshot"),
            ],
        );
    }
    part(
        server,
        &[(workers, "workers")],
        &[(guest.decision_cache_bytes, "cached decisions of all guests")],
    );
    if may_compile {
        let cases = sites.iter().map(|site| site.guest.cases.len()).max().unwrap_or_default();
        let cases = cases as u64 * CASES_BYTES;
        part(
            server,
            &[],
            &[
                (
                    if may_be_any { MAX_GUEST_BYTES } else { RULES_GUEST.len() as u64 },
                    "a guest that is validated",
                ),
                (MAX_DATA_BYTES, "its data"),
                (cases, "its cases"),
            ],
        );
        part(server, &[], &[(KEPT_FUNCTIONS_BYTES as u64, "functions of a guest with data")]);
    }
    if has_admin {
        part(server, &[(workers, "workers")], &[(lately::WORKER_BYTES as u64, "recent requests")]);
        let counted = settings.sites.len().min(COUNTED_SITES + 1) as u64;
        part(
            server,
            &[(workers, "workers"), (counted, "sites")],
            &[(lately::SITE_BYTES as u64, "recent requests")],
        );
        // Other data may be put under the active guest, and under the previous one.
        part(
            server,
            &[(2 * sites.len() as u64, "guests that take data")],
            &[(MAX_GUEST_BYTES + MAX_DATA_BYTES, "kept")],
        );
    }
    part(
        server,
        &[(2 * workers, "threads of workers and slow decisions")],
        &[(STACK_BYTES, "stack")],
    );
    part(
        server,
        &[(disk::THREADS as u64, "threads for disks")],
        &[(disk::STACK_BYTES as u64, "stack")],
    );
    let is_limited =
        |of: &SiteSettings| matches!(of.limits.rate_limit, Some(RateLimit::PerSecond(_)));
    let has_rates = is_limited(&settings.site) || sites.iter().any(|site| is_limited(site));
    let rates = has_rates.then_some(clients::rate::RATES_BYTES);
    part(
        server,
        &[],
        &[
            (logs.max(1) * log::WAITING_BYTES as u64, "access log"),
            (diagnostics::WAITING_BYTES as u64, "diagnostics"),
            (rates.unwrap_or(0), "rates of clients"),
        ],
    );
    if may_compile {
        part(Place::Helper, &[(1, "compilations")], &[(compile.memory_bytes, "of memory")]);
    }
    if settings.orders_certificates() {
        part(Place::Fetcher, &[], &[(fetcher::MEMORY, "of memory")]);
    }
    // One write may come on top of the unsent bytes.
    let few = connections.min(CROWD as u64 * workers);
    let unsent = |watermark: u32| [(2 * u64::from(watermark), "unsent")];
    part(Place::Kernel, &[(few, "connections")], &unsent(UNSENT_LOW_WATERMARK));
    part(Place::Kernel, &[(connections - few, "more connections")], &unsent(CROWD_LOW_WATERMARK));
    part(Place::Kernel, &[(workers, "workers")], &[(SHARED_BYTES, "for fast clients")]);
    parts.retain(|part| part.total() > 0);
    parts
}

/// Whether HTTP/2 is spoken on one of the addresses.
fn http2_is_spoken(settings: &Settings, addresses: &[Address]) -> bool {
    let is_spoken = |scheme| match scheme {
        Scheme::Https => true,
        Scheme::Http => settings.http2.prior_knowledge,
    };
    !settings.http2.disabled && addresses.iter().any(|address| is_spoken(address.scheme))
}

/// Describes the parts, and their sums: a line for each.
pub(super) fn describe(parts: &[Part]) -> String {
    let mut text = String::new();
    for place in Place::ALL {
        let parts: Vec<_> = parts.iter().filter(|part| part.place == place).collect();
        let sum = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.total()));
        if sum == 0 {
            continue;
        }
        for part in &parts {
            text.push_str(&format!("{:>12}  = {part}\n", size(part.total())));
        }
        text.push_str(&format!("{:>12}  at most {}\n", size(sum), place.name()));
    }
    text
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests;
