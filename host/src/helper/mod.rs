//! Helpers: processes that do for the server what it must not do itself.
//!
//! The server gives up running programs before it serves. So it starts one process
//! before that, the *spawner*, which starts the helpers when they are needed:
//!
//! ```text
//! server ──orders──▶ spawner ──starts, ends──▶ helper (one for each job)
//!    └───────────────── the job's own socket ─────┘
//! ```
//!
//! - [`protocol`]: the messages on these sockets.
//! - `spawner`: the process that starts helpers. It never sees what they work on.
//! - [`job`]: the server's end: orders helpers, and notices their end.
//! - [`fetcher`]: the process that orders certificates, the only one that may connect;
//!   [`fetcher_keeper`]: the one that starts it, and starts it again.
//! - `opener`: the process that opens files for the server; `run`: what the program does when it
//!   is executed as one of them.
//! - `confine`: what each of them gives up before it reads its first byte; [`sandbox`] has
//!   what each role may do.
//!
//! A helper works on one job and ends. One that takes too long is ended by the spawner, the
//! server hears of one that ends by itself, and the next job has another one: nothing of a job
//! is left for the next. When the server ends, the spawner does, and takes the helpers with it.
//!
//! [`sandbox`]: crate::sandbox
//!
//! All of them are the program that runs, executed again: `/proc/self/exe` leads to it also
//! when its file has been replaced. The name that it is given says which of them it is.

mod confine;
pub mod fetcher;
pub mod fetcher_keeper;
pub mod job;
mod opener;
pub mod protocol;
mod role;
mod run;
mod spawner;

pub use confine::{Bounds, Confinement};
pub use job::{CancelToken, Ended, Helpers, Job, Spawner};
pub use opener::start_opener;
pub use role::Role;
pub use run::run;
