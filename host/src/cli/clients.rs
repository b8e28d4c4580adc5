//! What can be set about clients: the proxies that are believed, and what one address may
//! have.

use std::num::NonZeroU32;

use clap::Args;
use ipnet::IpNet;

use super::values::{at_least_one, network};
use crate::clients::{Allowance, Clients, Proxies};

/// The proxies that are believed, and what one address may have.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Clients")]
pub struct ClientArguments {
    /// Connections at a time of one address [default: no limit]
    ///
    /// Those beyond are answered 429. A network of IPv6 (/64) counts as one address; proxies of
    /// --trusted-proxy are not counted.
    #[arg(long, value_name = "COUNT", hide_short_help = true, value_parser = at_least_one)]
    pub max_connections_per_client: Option<NonZeroU32>,

    /// Requests a second of one address [default: no limit]
    ///
    /// Ten seconds' worth may come at once; those beyond are answered 429. A network of IPv6
    /// (/64) counts as one address.
    #[arg(long, value_name = "COUNT", hide_short_help = true, value_parser = at_least_one)]
    pub rate_limit: Option<NonZeroU32>,

    /// A proxy that is believed about whom it asks for, in X-Forwarded-For
    ///
    /// An address or a network: 10.0.0.0/8. May be given several times. Name none that passes on
    /// what clients write there themselves.
    #[arg(long, value_name = "NETWORK", value_parser = network, hide_short_help = true)]
    pub trusted_proxy: Vec<IpNet>,

    /// A proxy that begins each connection with a PROXY header, of version 1 or 2
    ///
    /// An address or a network. May be given several times. Its connections without such a
    /// header are closed; from others the header is no request, and answered 400.
    #[arg(long, value_name = "NETWORK", value_parser = network, hide_short_help = true)]
    pub proxy_protocol_from: Vec<IpNet>,
}

impl ClientArguments {
    /// What is known about clients, and what they may have.
    pub fn clients(&self) -> Clients {
        Clients {
            proxies: Proxies {
                trusted: self.trusted_proxy.clone(),
                proxy_protocol: self.proxy_protocol_from.clone(),
            },
            allowance: Allowance::new(self.max_connections_per_client, self.rate_limit),
        }
    }
}
