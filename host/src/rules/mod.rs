//! Rules as users write them: they become a table, which is the data of the built-in guest that
//! decides by rules.
//!
//! - [`file`](mod@file): a file of rules, and single rules in its form, as flags have them.
//!   - [`Key`]: what a rule is about; [`Cookie`]: one that lets its client pass.
//! - `site`: the text of `_redirects` and `_headers`; `site_root`: those of a root, as they come
//!   and go; `kept`: what a file was before it was removed or emptied.
//! - `users`: files of passwords.
//! - [`part`]: the rules of one source, and how those of several become one table.
//! - [`gather`]: reads all of them; `lint`: what may be wrong with rules, in bounded time; `missing`:
//!   pages of rules that are not there.
//! - [`describe`](mod@describe): rules in words; [`explain`](mod@explain): which of them make a decision.
//! - [`source`]: rules as a source of guests.
//! - [`problem`]: what is wrong with a rule, and where; [`error`]: why rules are not accepted.

mod cookie;
pub mod describe;
pub mod error;
pub mod explain;
pub mod file;
pub mod gather;
mod kept;
mod key;
mod lint;
mod missing;
pub mod part;
pub mod problem;
mod site;
mod site_root;
pub mod source;
mod users;

pub use cookie::Cookie;
pub use error::RulesError;
pub use gather::{Count, Gathered, KeptFiles, RuleFiles};
pub use key::Key;
pub use part::Part;
pub use problem::Problem;
pub use site_root::SiteRoot;
pub use source::{RulesSource, Summary};
