//! Generated types, in one file for each version of the contract.

pub(super) mod v0_1;
