//! Generated types, one file for each version of the contract.

pub(in crate::guest) mod v0_1;
