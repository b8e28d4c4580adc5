//! The sites that are administered: what each serves, and what deploys its guests.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::StatusCode;
use innkeeper_guest::query;
use serde::Serialize;

use super::api::RulesBody;
use super::response::{Response, error};
use crate::guest::LoadedGuest;
use crate::guest::digest::Digest;
use crate::guest::origin::Origin;
use crate::metrics::COUNTED_SITES;
use crate::release::deploy::Deployer;
use crate::service::Site;

/// One site.
pub struct SiteSubject {
    /// It, as it serves.
    pub site: Arc<Site>,
    /// Its hosts, as they are configured.
    pub hosts: Vec<String>,
    /// Whether it serves what no other site is for.
    pub is_default: bool,
    /// What it serves.
    pub root: String,
    /// The guest's file, if there is one.
    pub guest_file: Option<String>,
    /// The file of its data, if there is one.
    pub data_file: Option<String>,
    /// Tells of the table of rules with this digest, if rules may decide.
    pub rules: Option<RulesOf>,
    /// Deploys its guests; `None` if it serves nothing.
    pub deployer: Option<Arc<Deployer>>,
}

/// Tells of the table of rules with a digest.
pub type RulesOf = Arc<dyn Fn(Digest) -> Option<RulesBody> + Send + Sync>;

/// All of them, replaced in one step.
pub struct SiteSubjects(ArcSwap<Vec<Arc<SiteSubject>>>);

/// A site in a list.
#[derive(Serialize)]
pub(super) struct SiteBody {
    /// Null for the only one.
    name: Option<String>,
    hosts: Vec<String>,
    default: bool,
    root: String,
    serves: bool,
    error: Option<String>,
    guest_digest: Option<String>,
    origin: Option<&'static str>,
    requests: Option<u64>,
}

/// The body of `GET /sites`.
#[derive(Serialize)]
pub(super) struct SitesBody {
    sites: Vec<SiteBody>,
}

/// Why no site is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SiteError {
    /// There are several, and the request names none.
    Unnamed,
    /// None has this name.
    Unknown(String),
    /// It serves nothing.
    Broken(String),
    /// It has no figures of its own.
    Uncounted,
}

impl SiteSubjects {
    /// These, of which the first is told of where none is named.
    pub fn new(sites: Vec<Arc<SiteSubject>>) -> SiteSubjects {
        SiteSubjects(ArcSwap::from_pointee(sites))
    }

    /// Puts others in their place.
    pub fn replace(&self, sites: Vec<Arc<SiteSubject>>) {
        self.0.store(Arc::new(sites));
    }

    /// All of them.
    pub(super) fn all(&self) -> Arc<Vec<Arc<SiteSubject>>> {
        self.0.load_full()
    }

    /// Whether there are several.
    pub(super) fn are_several(&self) -> bool {
        self.0.load().len() > 1
    }

    /// The site that the query of a request names, `site=NAME`; or the first one, if it names none.
    pub(super) fn told(&self, query: Option<&str>) -> Result<Arc<SiteSubject>, SiteError> {
        let sites = self.0.load();
        let site = match named(query) {
            None => sites.first(),
            Some(name) => match sites.iter().find(|site| site.has_name(&name)) {
                None => return Err(SiteError::Unknown(name)),
                site => site,
            },
        };
        site.cloned().ok_or(SiteError::Unnamed)
    }

    /// The site that the query of a request for a change names. Where there are several it names one.
    pub(super) fn changed(&self, query: Option<&str>) -> Result<Arc<SiteSubject>, SiteError> {
        if named(query).is_none() && self.are_several() {
            return Err(SiteError::Unnamed);
        }
        self.told(query)
    }
}

/// The name of a site in a query.
pub(super) fn named(query: Option<&str>) -> Option<String> {
    Some(query::find(query?, "site")?.into_owned())
}

impl SiteSubject {
    fn has_name(&self, name: &str) -> bool {
        self.name().unwrap_or_default() == name
    }

    /// What deploys its guests.
    pub(super) fn deployer(&self) -> Result<&Arc<Deployer>, SiteError> {
        self.deployer.as_ref().ok_or_else(|| SiteError::Broken(self.error().unwrap_or_default()))
    }

    /// Why it serves nothing, if so.
    pub(super) fn error(&self) -> Option<String> {
        self.site.active.as_ref().err().map(ToString::to_string)
    }

    /// The rules in force, while rules decide.
    pub(super) fn rules(&self, guest: &LoadedGuest) -> Option<RulesBody> {
        let rules = self.rules.as_ref().filter(|_| guest.origin() == Origin::Rules)?;
        rules(guest.identity().data?)
    }

    /// The name, where there are several.
    pub(super) fn name(&self) -> Option<&str> {
        self.site.name.as_deref()
    }

    /// It in a list, with the number of its responses.
    pub(super) fn body(&self, requests: Option<u64>) -> SiteBody {
        let active = self.site.active.as_ref().ok().map(|active| active.current());
        let guest = active.as_ref().map(|active| &active.guest);
        SiteBody {
            name: self.name().map(str::to_owned),
            hosts: self.hosts.clone(),
            default: self.is_default,
            root: self.root.clone(),
            serves: self.site.active.is_ok(),
            error: self.error(),
            guest_digest: guest.map(|guest| format!("{:#}", guest.digest())),
            origin: guest.map(|guest| guest.origin().name()),
            requests,
        }
    }
}

impl SitesBody {
    pub(super) fn new(sites: Vec<SiteBody>) -> SitesBody {
        SitesBody { sites }
    }
}

impl SiteError {
    /// The response that tells it.
    pub(super) fn response(&self) -> Response {
        match self {
            SiteError::Unnamed => error(
                StatusCode::BAD_REQUEST,
                "site-required",
                "there are several sites: name one, as in ?site=NAME; GET /sites lists them",
            ),
            SiteError::Unknown(name) => error(
                StatusCode::NOT_FOUND,
                "no-such-site",
                format!("there is no site {name:?}; GET /sites lists them"),
            ),
            SiteError::Broken(why) => {
                error(StatusCode::SERVICE_UNAVAILABLE, "site-broken", why.clone())
            }
            SiteError::Uncounted => error(
                StatusCode::CONFLICT,
                "site-not-counted",
                format!("figures are kept for {COUNTED_SITES} sites, and this is another one"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn site_is_named_in_the_query() {
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("a=b"), None),
            (Some("site=a.example"), Some("a.example")),
            (Some("a=b&site=%2A.example&site=x"), Some("*.example")),
            (Some("site="), Some("")),
        ] {
            assert_eq!(named(query).as_deref(), expected, "{query:?}");
        }
    }
}
