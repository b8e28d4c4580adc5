//! How the scheduler ranks threads that must not delay workers, which have 0 (sched(7)).

use std::io;

/// The rank of what takes long and is waited for: slow decisions, listings, compression. It has a
/// third of the share of a core that a worker wants too. Lower still, and an honest decision of
/// some milliseconds would miss its deadline on a busy machine.
pub const BACKGROUND: i32 = 5;

/// Gives this thread a rank, which takes effect where the system allows it.
pub fn set(rank: i32) -> io::Result<()> {
    rustix::process::setpriority_process(None, rank).map_err(io::Error::from)
}
