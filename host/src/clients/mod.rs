//! Who the clients are, and how much of the server one of them may have.
//!
//! - [`proxies`]: the client that a trusted proxy names.
//! - [`allowance`]: connections and requests of one address; [`rate`]: requests a second.

pub mod allowance;
pub mod proxies;
pub mod rate;

pub use allowance::Allowance;
pub use proxies::Proxies;
pub use rate::{Rate, RateLimit};

/// What is known about clients, and what they may have.
#[derive(Default)]
pub struct Clients {
    /// The proxies that are believed.
    pub proxies: Proxies,
    /// What one address may have.
    pub allowance: Allowance,
}
