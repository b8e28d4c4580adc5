//! Certificates of an authority by ACME (RFC 8555): ordered, proved, renewed, and handed over as
//! files, which [`tls`](crate::tls) reads as those of any other program.
//!
//! All of it runs in the *fetcher*, a process of its own, which alone may connect; the server
//! knows what is in [`link`]:
//!
//! ```text
//! server ── names, settings ──▶ fetcher ── HTTPS ──▶ authority
//!   │   ◀── state, log ───────     │
//!   │   ── challenge? ────────▶    ▼
//!   └────────── reads ────▶ NAME/fullchain.pem, NAME/privkey.pem
//! ```
//!
//! - [`options`], [`name`]: what is ordered. [`protocol`] and `socket`: what both say to one another.
//! - [`link`]: the server's end; `lookup`: how it finds challenges. [`mod@fetch`]: the fetcher's.
//! - `attempt`: one attempt; `account`, `order`: what it takes; `client`: over HTTPS; `failure`: why it
//!   failed; `ari`: when the authority wants it renewed.
//! - [`schedule`], `state`, `names`: when; `clock`: times as they are kept.
//! - `state_failure`: what is told while the folder cannot be written.
//! - [`store`]: the folder; `record`: what is kept of an authority, `installed`: the certificates, `challenges`:
//!   what proves names; `lock`: who orders, of servers that share it.
//! - `arpa`: addresses in the names that TLS asks for.

mod account;
mod ari;
mod arpa;
mod attempt;
mod challenges;
mod client;
mod clock;
mod failure;
mod fetch;
mod installed;
pub mod link;
mod lock;
mod lookup;
pub mod name;
mod names;
pub mod options;
mod order;
pub mod protocol;
mod record;
pub mod schedule;
mod socket;
mod state;
mod state_failure;
pub mod store;

pub use account::{EabKeyError, read_eab_key};
pub use client::find_authorities;
pub use clock::time;
pub use fetch::{fetch, report_end};
pub use link::Link;
pub use name::{Name, NameError};
pub use options::{ChallengeKind, KeyType, Options};
pub use store::{Folder, FolderError};
