//! Rules as data: what most sites need of a policy, without a line of code.
//!
//! ```
//! use innkeeper_guest::rules::{Rules, Table, redirects_file};
//! use innkeeper_guest::{Decision, Redirect, Request};
//!
//! let routes = redirects_file::parse(b"/old/* /new/:splat 301!\n", 0).expect("rules");
//! let sources = vec!["_redirects".to_owned()];
//! let rules = Rules::new(&Table { sources, routes, ..Table::default() }).expect("a table");
//! let decision = rules.decide(&Request::new("GET /old/a?b HTTP/1.1", Vec::new()));
//! assert_eq!(decision, Decision::from(Redirect::new(301, "/new/a?b")));
//! ```
//!
//! - [`table`]: the rules, as every source of them becomes one table.
//! - [`Rules`]: a table made ready to decide by.
//! - [`explain`]: which rules made a decision.
//! - [`problem`]: why a table cannot be obeyed.
//! - [`redirects_file`] and [`headers_file`]: the files of Netlify and Cloudflare Pages.
//! - [`lines`]: what both have in common.
//! - [`checks`]: what a rule may say, wherever it is written.
//! - [`fault`]: what is wrong with a rule as it was written.
//! - [`lint`](mod@lint): rules that never do anything, and redirects in a circle.
//! - [`named_pages`](fn@named_pages): the pages of the site that rules name.
//!
//! Inside, in the order of a decision: `ask` (the request, parsed), `access`, `cors`, `methods`,
//! `maintenance`, `passwords`, `routes` (and `self_redirect`), `pages`, `headers`, and `draft`, which adds
//! fields to what came out; `engine` has the order. They share `pattern_set` (patterns, of which those
//! that match are found without a look at the others), `host`, `template`, `target`, `index` and `text`.

mod access;
mod ask;
pub mod checks;
mod cors;
#[cfg(test)]
mod documented;
mod draft;
mod engine;
pub mod explain;
pub mod fault;
mod headers;
pub mod headers_file;
mod host;
mod index;
pub mod lines;
pub mod lint;
mod maintenance;
mod methods;
mod named_pages;
mod pages;
mod passwords;
mod pattern_set;
pub mod problem;
pub mod redirects_file;
mod routes;
mod self_redirect;
pub mod table;
mod target;
mod template;
#[cfg(test)]
mod testing;
mod text;

pub use engine::Rules;
pub use explain::{Applied, Effect};
pub use named_pages::{NamedPage, named_pages};
pub use problem::{Problem, RuleError};
pub use table::{Place, Table};
