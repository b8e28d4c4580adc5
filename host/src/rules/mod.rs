//! Rules as users write them: they become a table, which is the data of the built-in guest that
//! decides by rules.
//!
//! - [`file`](mod@file): a file of rules, and single rules in its form, as flags have them.
//! - [`Key`]: what a rule is about.
//! - [`Cookie`]: one that lets its client pass.
//! - `site`: `_redirects` and `_headers` in the root.
//! - [`part`]: the rules of one source, and how those of several become one table.
//! - [`problem`]: what is wrong with a rule, and where.

mod cookie;
pub mod file;
mod key;
pub mod part;
pub mod problem;
mod site;

pub use cookie::Cookie;
pub use key::Key;
pub use part::Part;
pub use problem::Problem;
