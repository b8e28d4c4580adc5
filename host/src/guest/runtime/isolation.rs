//! How decisions are kept apart from each other, and how many were made in which way.

/// How decisions are kept apart. Either way each finds what it would find in an instance in which
/// nothing has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Isolation {
    /// An instance is put back to what it was, where that can be done.
    #[default]
    Live,
    /// An instance is made for each decision, and dropped after it.
    Fresh,
}

/// How decisions that no cache had were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// On an instance that was put back.
    pub live: u64,
    /// On a fresh instance.
    pub fresh: u64,
    /// Instances that were made to be put back.
    pub instances: u64,
    /// Guests that are live no more, as an instance was not put back or decided differently.
    pub differences: u64,
}
