//! A site: what serves, and how it is told of.

use std::fmt;
use std::sync::Arc;

use super::Https;
use crate::clients::Rate;
use crate::guest::Ambient;
use crate::in_flight::Share;
use crate::log::AccessLog;
use crate::metrics::SiteCounters;
use crate::release::Active;

/// One site.
pub struct Site {
    /// Its name, where there are several.
    pub name: Option<Box<str>>,
    /// The guest that decides, and the files that its decisions name; or why there are none.
    pub active: Result<Arc<Active>, Broken>,
    /// What a guest may know besides the request: the time, and how clients fall into buckets.
    pub ambient: Ambient,
    /// The access log, if there is one. Sites may share it.
    pub log: Option<Arc<AccessLog>>,
    /// How clients are brought to `https`.
    pub https: Https,
    /// The field that has the id of a request, if requests have one.
    pub request_id: Option<String>,
    /// How many requests a second a client may make of it.
    pub rate: Arc<Rate>,
    /// Its part in the memory that replies and listings are sent from.
    pub replies: Arc<Share>,
}

/// Why a site serves nothing: its guest was rejected, or its root is gone. Its requests get 503, and
/// other sites serve.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The reason, in one line.
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Site {
    /// A site without a name that serves what is active: to all clients alike, without a log.
    pub fn new(active: Arc<Active>) -> Site {
        Site { active: Ok(active), ..Site::broken(Broken { why: String::new() }) }
    }

    /// One that serves nothing.
    pub fn broken(why: Broken) -> Site {
        Site {
            name: None,
            active: Err(why),
            ambient: Ambient::default(),
            log: None,
            https: Https::default(),
            request_id: None,
            rate: Arc::default(),
            replies: Arc::default(),
        }
    }
}

/// What applies to what is for no site, where there are several.
#[derive(Default)]
pub struct Outside {
    /// Its access log, if there is one.
    pub log: Option<Arc<AccessLog>>,
    /// The field that has the id of a request, if requests have one.
    pub request_id: Option<String>,
}

/// Whose something is, as one worker has it.
pub(super) enum Place {
    /// That of a site.
    Site(Arc<SiteOfWorker>),
    /// Of none.
    Outside(Arc<Outside>),
}

impl Place {
    /// The site, if it is of one.
    pub(super) fn site(&self) -> Option<&Arc<SiteOfWorker>> {
        match self {
            Place::Site(site) => Some(site),
            Place::Outside(_) => None,
        }
    }

    /// The access log, if there is one.
    pub(super) fn log(&self) -> Option<&AccessLog> {
        match self {
            Place::Site(of) => of.site.log.as_deref(),
            Place::Outside(outside) => outside.log.as_deref(),
        }
    }

    /// The name of the field for ids, if requests have one.
    pub(super) fn request_id(&self) -> Option<&str> {
        match self {
            Place::Site(of) => of.site.request_id.as_deref(),
            Place::Outside(outside) => outside.request_id.as_deref(),
        }
    }

    /// The name of its site, where there are several.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        self.site()?.name.as_ref()
    }

    /// What is counted for its site, where there are several.
    pub(super) fn counters(&self) -> Option<&SiteCounters> {
        self.site()?.counters.as_deref()
    }
}

/// A site as one worker has it: no core fetches the counters of another for it.
pub struct SiteOfWorker {
    /// The site.
    pub site: Arc<Site>,
    /// Its number among those of now.
    pub(super) number: u32,
    /// Its name, where there are several.
    pub(super) name: Option<Arc<str>>,
    /// What is counted for it, where there are several.
    pub(super) counters: Option<Arc<SiteCounters>>,
    /// Its part in the memory of responses, where there are several.
    pub(super) share: Option<Arc<Share>>,
}
