//! `[limits]`: what clients and connections may use.
//!
//! The defaults are those of [`http::Limits`], [`http1::Limits`] and [`transport::Limits`], whose
//! comments have the reasons.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use crate::cli::values::{at_least_one, connections, rate_limit, size, time};
use crate::clients::RateLimit;
use crate::http;
use crate::http1;
use crate::http1::head::MAX_FIELDS;
use crate::transport;

/// The longest time that any limit can be set to, in milliseconds: an hour. A client that may
/// hold a connection for longer than that is not limited.
const HOUR: u64 = 3_600_000;

/// What clients and connections may use.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Connections at a time
    ///
    /// Further connections wait until one ends. There are fewer if the process may open fewer
    /// files (ulimit -n): each connection takes two. An idle connection takes about 4 KiB.
    #[arg(long, value_name = "COUNT", default_value = "16384", value_parser = connections, hide_short_help = true)]
    pub max_connections: NonZeroUsize,

    /// Time for which a connection waits to be accepted for what its client sends, up to 1min
    ///
    /// The kernel waits for 1, 3, 7, 15, 31 or 63 s, the next one above. A client that sends at once is served sooner and for less;
    /// one that sends nothing is accepted when the time is over, and all other times begin then. 0s:
    /// each is accepted at once. Unix sockets do not wait.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time::<0, 60_000>, hide_short_help = true)]
    pub defer_accept: Duration,

    /// Connections at a time of one client [default: no limit]
    ///
    /// Further connections get 429 (Too Many Requests). An IPv6 network (/64) counts as one client. The
    /// connections of a --trusted-proxy are not counted.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one, hide_short_help = true)]
    pub max_connections_per_client: Option<NonZeroU32>,

    /// Size of a request line
    ///
    /// Longer ones get 414 (URI Too Long). nginx and Apache httpd take 8 KiB, too.
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = size::<{ 512 }, { 64 << 10 }>, hide_short_help = true)]
    pub max_request_line_size: ByteSize,

    /// Size of a request head: the request line and the header fields
    ///
    /// Longer ones get 431 (Request Header Fields Too Large). 32 KiB, as in nginx, have room for
    /// large cookies.
    #[arg(long, value_name = "SIZE", default_value = "32KiB", value_parser = size::<{ 1 << 10 }, { 1 << 20 }>, hide_short_help = true)]
    pub max_header_size: ByteSize,

    /// Header fields of a request, up to 100
    ///
    /// More get 431 (Request Header Fields Too Large). Browsers send about 15, and a proxy adds some.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=MAX_FIELDS as i64), hide_short_help = true)]
    pub max_header_fields: u16,

    /// Empty lines before a request line
    ///
    /// Old clients send some after a body (RFC 9112, section 2.2).
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=100), hide_short_help = true)]
    pub max_empty_lines: u16,

    /// Size of a request body
    ///
    /// Larger ones get 413 (Content Too Large). The server reads a body only to discard it and to keep the
    /// connection; beyond 1 MiB it is cheaper to close it.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::<0, { 1 << 40 }>, hide_short_help = true)]
    pub max_body_size: ByteSize,

    /// Memory for the content of files in responses
    ///
    /// Responses of the same content share it. Beyond it files are sent from the disk, and
    /// uncompressed.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<{ 1 << 20 }, { 1 << 40 }>, hide_short_help = true)]
    pub response_file_memory: ByteSize,

    /// Memory for replies of guests, and for listings, in responses
    ///
    /// Responses of the same content share it. Beyond it the response is 503. 64 MiB are 64 of
    /// the largest replies.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<{ 1 << 20 }, { 1 << 40 }>, hide_short_help = true)]
    pub response_reply_memory: ByteSize,

    /// Requests of one connection
    ///
    /// The last response closes the connection, and the next connection may go to another
    /// worker.
    #[arg(long, value_name = "COUNT", default_value = "100000", value_parser = at_least_one, hide_short_help = true)]
    pub keepalive_requests: NonZeroU32,

    /// Time from the start of a connection to the first byte of a request
    ///
    /// Browsers open connections ahead of their first use.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::<100, HOUR>, hide_short_help = true)]
    pub first_byte_timeout: Duration,

    /// Time from the first byte of a request head to its last
    ///
    /// A head that takes longer gets 408 (Request Timeout).
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time::<100, HOUR>, hide_short_help = true)]
    pub header_timeout: Duration,

    /// Time for a whole request body
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::<100, HOUR>, hide_short_help = true)]
    pub body_timeout: Duration,

    /// Time from a response to the first byte of the next request
    ///
    /// nginx waits 75 s, too.
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = time::<100, HOUR>, hide_short_help = true)]
    pub keepalive_timeout: Duration,

    /// Time in which a client must take some bytes of a response
    ///
    /// It begins again with each byte that the client acknowledges: a large file may take as
    /// long as it takes. A client that acknowledges rarely has up to six times as long.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::<1_000, HOUR>, hide_short_help = true)]
    pub send_timeout: Duration,

    /// Time that a closed connection stays open for a client that still sends
    ///
    /// The client can read the last response meanwhile, instead of a reset (RFC 9112, section
    /// 9.6). nginx waits 30 s, too.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time::<0, HOUR>, hide_short_help = true)]
    pub lingering_time: Duration,

    /// The same time for a client that sends nothing
    ///
    /// nginx waits 5 s, too.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time::<0, HOUR>, hide_short_help = true)]
    pub lingering_timeout: Duration,

    /// Time for requests in flight when the server stops
    ///
    /// Connections that take longer are cut. Service managers kill a process after 30 to 90
    /// seconds.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time::<0, HOUR>, hide_short_help = true)]
    pub stop_timeout: Duration,

    /// Time for one more request of a busy connection when the server stops
    ///
    /// The client may be sending it already, and cannot know whether it is processed if the
    /// server closes now (RFC 9112, section 9.5).
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time::<0, HOUR>, hide_short_help = true)]
    pub stop_keepalive_timeout: Duration,

    /// --lingering-time when the server stops
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time::<0, HOUR>, hide_short_help = true)]
    pub stop_lingering_time: Duration,
}

/// What clients may use of one site.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct SiteLimitSettings {
    /// Requests per second of one client; off: no limit [default: off]
    ///
    /// A client may send the requests of ten seconds at once; further ones get 429 (Too
    /// Many Requests). An IPv6 network (/64) counts as one client.
    #[arg(long, value_name = "COUNT|off", value_parser = rate_limit, hide_short_help = true)]
    pub rate_limit: Option<RateLimit>,

    /// Whether the site says that itself: its requests are counted apart.
    #[arg(skip)]
    pub has_own_rate: bool,
}

impl SiteLimitSettings {
    /// The rate of its own, if it has one.
    pub fn own_rate(&self) -> Option<RateLimit> {
        self.rate_limit.filter(|_| self.has_own_rate)
    }
}

impl LimitSettings {
    /// What a request may hold.
    pub fn request(&self) -> http::Limits {
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        http::Limits {
            line_bytes: bytes(self.max_request_line_size),
            head_bytes: bytes(self.max_header_size),
            fields: usize::from(self.max_header_fields),
            body_bytes: self.max_body_size.as_u64(),
        }
    }

    /// The bounds on one connection that speaks HTTP/1.
    pub fn http1(&self) -> http1::Limits {
        http1::Limits {
            request: self.request(),
            empty_lines: usize::from(self.max_empty_lines),
            requests: self.keepalive_requests.get(),
        }
    }

    /// How long a connection is waited for.
    pub fn transport(&self) -> transport::Limits {
        transport::Limits {
            first_byte: self.first_byte_timeout,
            head: self.header_timeout,
            body: self.body_timeout,
            idle: self.keepalive_timeout,
            stall: self.send_timeout,
            drain: self.lingering_time,
            drain_silence: self.lingering_timeout,
            drain_at_stop: self.stop_lingering_time,
            linger: self.stop_keepalive_timeout,
        }
    }
}
