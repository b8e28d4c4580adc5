//! The administration: health, metrics and status for operators, and another guest.
//!
//! An HTTP server of its own, on its own listener, apart from the public site; off by default.
//! It is small and not in a hurry, so it stands on hyper.
//!
//! - [`context`]: what requests work on.
//! - `server`: its connections; `slots`: how many at a time;
//!   `patience`: how long a client may take nothing.
//! - `routes`: the paths; [`access`]: what a client may do.
//! - `guest`: requests that check or replace the guest; `changes`: what another one would change
//!   for clients.
//! - [`status`] and `metrics`: the state of the server; `certificates`, `acme`: what they tell of those;
//!   `traffic`: what was asked lately.
//! - [`reload`]: the configuration is read again; `reload_history`: what became of it.
//! - [`sites`]: the sites, and which one a request is for.
//! - `response`: responses; `api`: their JSON.

pub mod access;
mod acme;
mod api;
mod certificates;
mod changes;
pub mod context;
mod guest;
mod metrics;
mod patience;
pub mod reload;
mod reload_history;
mod response;
mod routes;
mod server;
pub mod sites;
mod slots;
pub mod status;
mod traffic;

pub use api::{RuleSourceBody, RulesBody};
pub use context::{Admin, PageEvents};
pub use reload::{BrokenSite, Reload, ReloadError, Reloaded};
pub use reload_history::ReloadHistory;
pub use server::serve;
pub use sites::{RulesOf, SiteSubject, SiteSubjects};
