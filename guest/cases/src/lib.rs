//! Decision cases: what a guest must decide, as a table that every language can read.
//!
//! The host (`innkeeper test`, `--cases`) and the unit tests of a policy in Rust
//! (`innkeeper_guest::testing`) read the same tables, so they are parsed, judged and
//! printed here, once. A table is a TOML 1.0 file:
//!
//! ```toml
//! case = [
//!     { line = "GET / HTTP/1.1", decision = { index = "" } },
//!     { line = "GET /a HTTP/1.1", fields = { host = "b" }, decision = "not-found" },
//! ]
//! ```
//!
//! or, with one section for each case:
//!
//! ```toml
//! [[case]]
//! name = "by language"
//! line = "GET /about HTTP/1.1"
//! fields = { accept-language = "fr" }
//! decision.serve.candidates = [{ file = "fr/about.html" }, { file = "about.html", status = 404 }]
//! decision.serve.otherwise = { status = 302, location = "/" }
//! decision.serve.fields = { vary = "accept-language" }
//! ```
//!
//! A case has a `line`, or an `escaped-line` with `\xHH` for bytes that are no text; a
//! `decision` in the names of `wit/policy.wit`; and perhaps a `name`, and `fields`: header
//! fields, each with one value or a list, and facts (`":client-address" = "192.0.2.1"`). A fact
//! of TLS, such as `":client-name" = "alice"`, makes the case one over TLS: `:scheme` is `https`.
//! `":time/60" = "1735689600"` states the time, for every grain; without it, it is that one, the
//! beginning of 2025 in UTC. A `:client-bucket/N` that is not stated is 0.
//!
//! Only the stated parts of a decision are compared. A status that is not stated is 200, as
//! in the contract's short forms, and a location or an `otherwise` that is not stated is none.
//!
//! In reading order:
//!
//! - [`table`]: the file, parsed into cases; [`toml_1_0`]: refuses additions of
//!   TOML 1.1; [`error`]: why a table is refused.
//! - [`case`]: a request and its expected decision, and how a decision is judged.
//! - [`facts`]: what is known of a request besides its head.
//! - [`expected`]: what a case states of a decision.
//! - [`decision`]: a decision, in the words in which both sides print it.
//! - `text`: bytes and text as one printable line.
//!
//! The crate does no I/O. To add a case of `decision` in `wit/policy.wit`, add it to
//! [`decision`] and [`expected`] here, and to the one conversion into [`Decision`] that
//! each side has.

pub mod case;
pub mod decision;
pub mod error;
pub mod expected;
pub mod facts;
pub mod table;
mod text;
pub mod toml_1_0;

pub use case::{Case, Failure, Mismatch};
pub use decision::{Candidate, Decision, Field, Page, Redirect};
pub use error::{Problem, TableError};
pub use facts::{Fact, FactError, FactNameError, Facts};
pub use table::parse;
