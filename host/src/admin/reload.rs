//! `POST /reload`: the configuration, the guests and the certificates are read again.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use super::response::{Response, error, json};

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Sites that are new.
    pub added: Vec<String>,
    /// Sites with other settings, and those that are served again.
    pub changed: Vec<String>,
    /// Sites that are gone.
    pub removed: Vec<String>,
    /// Sites that are not served, and why.
    pub broken: Vec<BrokenSite>,
    /// Sites whose guest, rules, root or certificate were not put in service, and why: what served
    /// before goes on. What is of no site has no name.
    pub rejected: Vec<BrokenSite>,
    /// Settings of the process that are others now, which needs a restart.
    pub restart: Vec<String>,
}

/// A site that is not served, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenSite {
    /// Its name; the one site of flags has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why, in one line.
    pub error: String,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadError {
    /// The configuration is wrong: a sentence for each mistake.
    Rejected(Vec<String>),
    /// The server is about to stop, or the log has a panic.
    Canceled,
}

impl fmt::Display for Reloaded {
    /// As in `added a.example; changed b.example, c.example`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |sites: &[BrokenSite]| sites.iter().map(|site| site.name.clone()).collect();
        let (broken, mut rejected): (Vec<_>, Vec<_>) = (names(&self.broken), names(&self.rejected));
        // What is of no site is named by its reason.
        for (name, site) in rejected.iter_mut().zip(&self.rejected) {
            if name.is_empty() {
                name.clone_from(&site.error);
            }
        }
        let lists = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
            ("not served", &broken),
            ("rejected", &rejected),
            ("settings that need a restart:", &self.restart),
        ];
        let mut lists = lists.into_iter().filter(|(_, names)| !names.is_empty()).peekable();
        if lists.peek().is_none() {
            return f.write_str("nothing changed");
        }
        for (number, (what, names)) in lists.enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{what} {}", names.join(", "))?;
        }
        Ok(())
    }
}

/// What reloads, and tells when it is done.
pub type Reload = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reloaded, ReloadError>> + Send>> + Send + Sync,
>;

/// Reloads.
pub(super) async fn reload(reload: &Reload) -> Response {
    match reload().await {
        Ok(reloaded) if reloaded.rejected.is_empty() => json(StatusCode::OK, &reloaded),
        // Whoever deploys has to see that it is not what serves.
        Ok(reloaded) => json(StatusCode::UNPROCESSABLE_ENTITY, &reloaded),
        Err(ReloadError::Rejected(mistakes)) => {
            error(StatusCode::UNPROCESSABLE_ENTITY, "configuration-rejected", mistakes.join("\n"))
        }
        Err(ReloadError::Canceled) => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "canceled",
            "canceled: the server is about to stop, or the log has a panic",
        ),
    }
}
