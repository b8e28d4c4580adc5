//! `[http2]`: whether HTTP/2 is spoken, and what its connections and streams may use.
//!
//! The defaults are those of [`Limits`], whose comments have the reasons.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use super::limits::LimitSettings;
use crate::cli::values::{size, time};
use crate::http2::Limits;

/// Whether HTTP/2 is spoken, and what its connections and streams may use.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "HTTP2")]
pub struct Http2Settings {
    /// Speak HTTP/1.1 alone, also over TLS
    ///
    /// By default the client chooses by ALPN.
    #[arg(id = "no_http2", long = "no-http2", hide_short_help = true)]
    pub disabled: bool,

    /// Speak HTTP/2 without TLS, too, to clients that begin with it
    ///
    /// For proxies and tools that are told so (prior knowledge; h2c): browsers never do.
    #[arg(id = "http2_prior_knowledge", long = "http2-prior-knowledge", hide_short_help = true)]
    pub prior_knowledge: bool,

    /// Streams at a time of one connection
    ///
    /// Further ones are refused, and the client may send them again.
    #[arg(id = "http2_max_streams", long = "http2-max-streams", value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=10_000), hide_short_help = true)]
    pub max_streams: u32,

    /// Streams at a time of all connections, beside one of each
    ///
    /// Further ones are refused, and the client may send them again. Most responses are over at
    /// once, and need no place among these.
    #[arg(id = "http2_max_requests", long = "http2-max-requests", value_name = "COUNT", default_value = "16384", value_parser = clap::value_parser!(u32).range(1..=10_000_000), hide_short_help = true)]
    pub max_requests: u32,

    /// Streams that a client may open and reset before the server gets to them
    ///
    /// More end the connection (ENHANCE_YOUR_CALM). As many as streams at a time, as a browser
    /// that leaves a page cancels all of them at once.
    #[arg(id = "http2_max_pending_resets", long = "http2-max-pending-resets", value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u16).range(1..=10_000), hide_short_help = true)]
    pub max_pending_resets: u16,

    /// Streams that a client may reset while no response is finished, within --http2-reset-window
    ///
    /// More end the connection (ENHANCE_YOUR_CALM; CVE-2023-44487).
    #[arg(id = "http2_max_resets", long = "http2-max-resets", value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000), hide_short_help = true)]
    pub max_resets: u32,

    /// The time in which streams that a client resets are counted
    #[arg(id = "http2_reset_window", long = "http2-reset-window", value_name = "TIME", default_value = "10s", value_parser = time::<1_000, 3_600_000>, hide_short_help = true)]
    pub reset_window: Duration,

    /// Frames of a client that are no request and bring none, such as PING and SETTINGS
    ///
    /// More end the connection (ENHANCE_YOUR_CALM). A request makes 20 of them good, a second 10.
    #[arg(id = "http2_max_control_frames", long = "http2-max-control-frames", value_name = "COUNT", default_value = "1000", value_parser = clap::value_parser!(u32).range(100..=1_000_000), hide_short_help = true)]
    pub max_control_frames: u32,

    /// Streams that the server may reset for mistakes of a client
    ///
    /// More end the connection (ENHANCE_YOUR_CALM).
    #[arg(id = "http2_max_local_resets", long = "http2-max-local-resets", value_name = "COUNT", default_value = "128", value_parser = clap::value_parser!(u16).range(1..=10_000), hide_short_help = true)]
    pub max_local_resets: u16,

    /// Memory for responses of one connection that wait to be sent
    ///
    /// Files are read as their client takes them.
    #[arg(id = "http2_send_buffer_size", long = "http2-send-buffer-size", value_name = "SIZE", default_value = "64KiB", value_parser = size::<{ 16 << 10 }, { 16 << 20 }>, hide_short_help = true)]
    pub send_buffer_size: ByteSize,

    /// Memory for the header fields that a client refers to (HPACK); 0: none
    #[arg(id = "http2_header_table_size", long = "http2-header-table-size", value_name = "SIZE", default_value = "4KiB", value_parser = size::<0, { 64 << 10 }>, hide_short_help = true)]
    pub header_table_size: ByteSize,
}

impl Http2Settings {
    /// The bounds on one connection, beside those that apply to each protocol.
    pub fn limits(&self, common: &LimitSettings) -> Limits {
        Limits {
            request: common.request(),
            concurrent_streams: self.max_streams,
            requests: common.keepalive_requests.get(),
            pending_accept_resets: usize::from(self.max_pending_resets),
            resets: self.max_resets,
            resets_within: self.reset_window,
            control_frames: self.max_control_frames,
            local_resets: usize::from(self.max_local_resets),
            send_buffer: usize::try_from(self.send_buffer_size.as_u64()).unwrap_or(usize::MAX),
            header_table: u32::try_from(self.header_table_size.as_u64()).unwrap_or(u32::MAX),
        }
    }
}
