//! Rules as data: what most sites need of a policy, without a line of code.
//!
//! - [`table`]: the rules, as every source of them becomes one table.
//! - [`Rules`]: a table made ready to decide by.
//! - [`explain`]: which rules made a decision.
//! - [`problem`]: why a table cannot be obeyed.

mod engine;
pub mod explain;
#[cfg_attr(not(test), expect(dead_code, reason = "the engine will use it"))]
mod index;
#[cfg_attr(not(test), expect(dead_code, reason = "the engine will use it"))]
mod pattern_set;
pub mod problem;
pub mod table;

pub use engine::Rules;
pub use explain::{Applied, Effect};
pub use problem::{Problem, RuleError};
pub use table::{Place, Table};
