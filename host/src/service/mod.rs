//! The core: a request becomes a response, whatever wire it came by.
//!
//! [`Service::respond`] asks the guest and carries out its decision. What is neither bytes on a
//! wire nor a socket happens here, once for every version of HTTP.
//!
//! - [`respond`]: the decision, carried out; `context`: with what.
//! - `file`, `directory`, `error_page`: what it leads to; `failure`: the form of a failure. `selection`: what a request selects of a
//!   file; `multipart`: several parts of one; `location`, `accept`: where a client is sent, and
//!   which form of a listing it prefers.
//! - `response`: what a response is made of.
//! - `policy_fields`: the guest's fields among the host's; [`page_script`]: what `innkeeper dev`
//!   adds to pages, and `widened_policy`: what it allows there.
//! - [`challenge`]: how a certificate authority sees that a name is this server's.
//! - [`https`]: how clients are brought to `https`, and kept there; [`hsts`]: for how long.
//! - [`admission`]: how much of the server a client may have.
//! - [`record`]: one request and its response, for log and metrics.
//! - [`site`]: what one site has; [`sites`]: all of them; [`hosts`]: which one a request is for.
//! - `request_id`: the id of a request, which it may come with.
//! - [`explain`]: the same road, with its reasons; [`preview`]: without a client.

mod accept;
pub mod admission;
pub mod challenge;
mod context;
mod directory;
mod error_page;
pub mod explain;
mod failure;
mod file;
pub mod hosts;
pub mod hsts;
pub mod https;
mod location;
mod multipart;
pub mod page_script;
mod policy_fields;
pub mod preview;
pub mod record;
mod request_id;
pub mod respond;
mod response;
mod selection;
pub mod site;
pub mod sites;
mod widened_policy;

use std::num::NonZeroUsize;
use std::sync::Arc;

pub use challenge::FindChallenge;
pub use https::Https;
pub use page_script::PageScript;
pub use record::Record;
pub use response::{Body, Content, Response};
pub use site::Site;
pub use sites::Sites;

use crate::clients::Clients;
use crate::log::AccessLog;
use crate::metrics::Metrics;
use crate::release::Active;

/// What the connections of a server share, whatever their wire.
pub struct Service {
    /// The sites.
    pub sites: Sites,
    /// Trusted proxies, and what one client may have.
    pub clients: Clients,
    /// The metrics, if there are any.
    pub metrics: Option<Arc<Metrics>>,
    /// What proves names to a certificate authority, where certificates are ordered.
    pub challenges: Option<FindChallenge>,
    /// What is appended to pages, if anything.
    pub page_script: Option<PageScript>,
}

impl Service {
    /// Serves what is active: to all clients alike, without log and metrics.
    pub fn new(active: Arc<Active>) -> Service {
        Service::of(Site::new(active), NonZeroUsize::MIN)
    }

    /// Serves one site with this many workers: to all clients alike, without metrics.
    pub fn of(site: impl Into<Arc<Site>>, workers: NonZeroUsize) -> Service {
        Service::with(Sites::one(site.into(), workers))
    }

    /// Serves these sites: to all clients alike, without metrics.
    pub fn with(sites: Sites) -> Service {
        Service {
            sites,
            clients: Clients::default(),
            metrics: None,
            challenges: None,
            page_script: None,
        }
    }

    /// All access logs, each once.
    pub fn logs(&self) -> Vec<Arc<AccessLog>> {
        self.sites.logs()
    }
}
