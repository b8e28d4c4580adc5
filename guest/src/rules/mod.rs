//! Rules as data: what most sites need of a policy, without a line of code.
//!
//! - [`table`]: the rules, as every source of them becomes one table.

pub mod table;
