//! Operations that may wait for a file system: they never run on a worker.
//!
//! A file system may be slow in each operation, `open` and `close` included, or not respond at all:
//! those of FUSE and of the network do, and a failing disk. So:
//!
//! - [`place`]: the device of a file, and whether its file system is local.
//! - [`owner`]: whose an operation is.
//! - [`open_file`]: an open file that is closed where that may wait.
//! - `pool`: threads, a limited number for each device, with a limit on each wait; `queues`:
//!   their jobs; [`Progress`]: signs that one goes on; [`JobError`]: why one has no outcome.
//!
//! Threads that a file system keeps cannot be ended. Their number is bounded, they belong to the
//! whole process, and its end waits for none of them.

mod job_error;
pub mod open_file;
pub mod owner;
pub mod place;
mod pool;
mod progress;
mod queues;

use std::io;
use std::time::Duration;

pub use job_error::JobError;
pub use open_file::OpenFile;
pub use owner::Owner;
pub use place::{Kind, Place};
use pool::Pool;
pub use progress::Progress;
pub use queues::DeviceLoad;
use queues::{Limits, Resource};

use crate::priority;

/// How long a file system may take for one operation: longer than a disk that spins up (seconds), or
/// a network file system whose server restarts its service. A client that waits longer has gone.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The same of a device that has not responded for [`PATIENCE`]: few requests are let through, to
/// find out whether it does again.
const BRIEF_PATIENCE: Duration = Duration::from_secs(1);

/// How long an operation that makes progress may take in all.
const LONGEST: Duration = Duration::from_secs(60);

/// Threads of the two pools below.
const FOREGROUND_THREADS: usize = 256;
const BACKGROUND_THREADS: usize = 32;

/// Threads that there may be at most.
pub const THREADS: usize = FOREGROUND_THREADS + BACKGROUND_THREADS;

/// Bytes of the stack of each.
pub const STACK_BYTES: usize = pool::STACK_BYTES;

/// For operations that requests wait for. Sixteen operations at a time are what a disk of one machine needs
/// to be busy; a device that does not respond keeps that many threads, and there is room for fifteen
/// of them besides one that does.
static FOREGROUND: Pool = Pool::new(Limits {
    name: "disk",
    rank: 0,
    share: 16,
    are_several: owner::are_several,
    threads: FOREGROUND_THREADS,
    waiting: 4096,
    patience: PATIENCE,
    brief_patience: BRIEF_PATIENCE,
    longest: LONGEST,
});

/// For operations that take long, listings and compression: two of each at a time, for the whole server, or
/// for one device. They give way to workers, as slow decisions do.
static BACKGROUND: Pool = Pool::new(Limits {
    name: "background",
    rank: priority::BACKGROUND,
    share: 2,
    are_several: owner::are_several,
    threads: BACKGROUND_THREADS,
    waiting: 4096,
    patience: PATIENCE,
    brief_patience: BRIEF_PATIENCE,
    longest: LONGEST,
});

/// Starts the first threads, so that none is missing where the system gives no more later.
pub fn start() -> io::Result<()> {
    FOREGROUND.start()?;
    BACKGROUND.start()
}

/// Runs an operation that may wait for the device of this place.
///
/// It is boxed here and below: it is rare, and each connection would hold room for it in its task
/// as long as it lives.
pub async fn run<R: Send + 'static>(
    place: Place,
    work: impl FnOnce(&Progress) -> R + Send + 'static,
) -> Result<R, JobError> {
    Box::pin(FOREGROUND.run(Resource::Device(place.device), place.owner, work)).await
}

/// Runs an operation that may wait for the device of this place and takes long: it reports its
/// progress.
pub async fn run_in_background<R: Send + 'static>(
    place: Place,
    work: impl FnOnce(&Progress) -> R + Send + 'static,
) -> Result<R, JobError> {
    Box::pin(BACKGROUND.run(Resource::Device(place.device), place.owner, work)).await
}

/// Runs an operation that takes a processor's time, and waits for no device.
pub async fn compute<R: Send + 'static>(
    owner: Owner,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, JobError> {
    Box::pin(BACKGROUND.run(Resource::Processor, owner, |_: &Progress| work())).await
}

/// Runs an operation that no caller waits for.
fn run_detached(place: Place, work: impl FnOnce() + Send + 'static) {
    FOREGROUND.run_detached(Resource::Device(place.device), place.owner, work);
}

/// What runs and waits for each device now: first what requests wait for.
pub fn loads() -> Vec<DeviceLoad> {
    let mut loads = FOREGROUND.loads();
    loads.extend(BACKGROUND.loads());
    loads
}

#[cfg(test)]
mod tests {
    use super::{Owner, compute, run, run_in_background};
    use crate::disk::place::{Kind, Place};
    use crate::priority::BACKGROUND;

    fn rank() -> i32 {
        rustix::process::getpriority_process(None).expect("the rank of this thread")
    }

    #[test]
    fn background_threads_have_a_lower_rank() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let place = Place { device: 1, kind: Kind::Local, owner: Owner::default() };
        let own = rank();
        let ranks = runtime.block_on(async {
            let foreground = run(place, |_| rank()).await;
            let background = run_in_background(place, |_| rank()).await;
            [foreground, background, compute(Owner::default(), rank).await]
        });
        let ranks = ranks.map(|rank| rank.expect("a thread that answers"));
        assert_eq!(ranks, [own, own.max(BACKGROUND), own.max(BACKGROUND)]);
    }
}
