//! `[proxy]`: the proxies in front of the server that are trusted.

use clap::Args;
use ipnet::IpNet;

use crate::cli::values::proxy;

/// The proxies in front of the server that are trusted.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Proxy")]
pub struct ProxySettings {
    /// A proxy whose X-Forwarded-For names the client, and X-Forwarded-Proto the scheme
    ///
    /// An address or a network, as in 10.0.0.0/8, or unix for the clients of Unix sockets. May be
    /// given several times. The proxy must not pass on these fields of its client unchanged.
    #[arg(id = "trusted_proxy", long = "trusted-proxy", value_name = "NETWORK|unix", value_parser = proxy, hide_short_help = true)]
    pub trusted: Vec<IpNet>,

    /// A proxy that sends the PROXY protocol, version 1 or 2
    ///
    /// An address or a network, or unix. May be given several times. Its connections without a PROXY
    /// header are closed. From other addresses the header is an invalid request (400).
    #[arg(id = "proxy_protocol_from", long = "proxy-protocol-from", value_name = "NETWORK|unix", value_parser = proxy, hide_short_help = true)]
    pub protocol_from: Vec<IpNet>,
}
