//! A device that does not respond costs no other one anything.

use super::{Instant, JobError, Limits, Owner, Pool, Progress, Resource};
use crate::disk::owner::Registered;
use std::sync::mpsc;
use std::time::Duration;

const A: Resource = Resource::Device(1);
const B: Resource = Resource::Device(2);
const SHARE: usize = 2;
const PATIENCE: Duration = Duration::from_millis(500);

/// One for a test, with short waits.
fn pool() -> &'static Pool {
    pool_of(|| false)
}

fn pool_of(are_several: fn() -> bool) -> &'static Pool {
    Box::leak(Box::new(Pool::new(Limits {
        name: "test",
        rank: 0,
        share: SHARE,
        are_several,
        threads: 8,
        waiting: 4,
        patience: PATIENCE,
        brief_patience: PATIENCE / 10,
        longest: 10 * PATIENCE,
    })))
}

fn own() -> Owner {
    Owner::default()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Has this many threads of a device wait until the sender is dropped.
fn block(pool: &'static Pool, resource: Resource, count: usize) -> mpsc::Sender<()> {
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    for _ in 0..count {
        let ended = std::sync::Arc::clone(&ended);
        pool.run_detached(resource, own(), move || {
            // All of them hear of the end: the lock is free then.
            let _ = ended.lock().map(|ended| ended.recv());
        });
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while running(pool, resource) < count.min(SHARE) {
        assert!(Instant::now() < deadline, "they never begin");
        std::thread::yield_now();
    }
    end
}

fn running(pool: &Pool, resource: Resource) -> usize {
    pool.state().queues.by_resource.get(&resource).map_or(0, |queue| queue.running.len())
}

#[test]
fn stalled_device_takes_only_its_own_threads() {
    let (pool, runtime) = (pool(), runtime());
    let end = block(pool, A, SHARE + 1);
    assert_eq!(running(pool, A), SHARE);
    let late = runtime.block_on(pool.run(A, own(), |_: &Progress| 1));
    assert!(matches!(late, Err(JobError::TimedOut(after)) if after >= PATIENCE), "{late:?}");
    let load = |resource| {
        let Resource::Device(device) = resource else { panic!("a device") };
        let load = pool.loads().into_iter().find(|load| load.device == Some(device));
        load.expect("it was asked")
    };
    assert!(load(A).is_stalled && load(A).late == 1);
    // What follows waits less, and the other device for nothing.
    let asked = Instant::now();
    assert!(runtime.block_on(pool.run(A, own(), |_: &Progress| 1)).is_err());
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
    assert_eq!(runtime.block_on(pool.run(B, own(), |_: &Progress| 2)), Ok(2));
    assert!(!load(B).is_stalled);
    drop(end);
    assert_eq!(
        runtime.block_on(async {
            loop {
                if let Ok(outcome) = pool.run(A, own(), |_: &Progress| 3).await {
                    break outcome;
                }
            }
        }),
        3
    );
    assert!(!load(A).is_stalled);
}

#[test]
fn job_without_a_waiting_caller_is_not_begun() {
    let (pool, runtime) = (pool(), runtime());
    let end = block(pool, A, SHARE);
    let (begun, begins) = mpsc::channel();
    let gone = pool.run(A, own(), move |_: &Progress| begun.send(()));
    assert!(runtime.block_on(async { tokio::time::timeout(PATIENCE / 4, gone).await }).is_err());
    drop(end);
    assert_eq!(runtime.block_on(pool.run(A, own(), |_: &Progress| 1)), Ok(1));
    assert!(begins.recv().is_err(), "it is begun, or never dropped");
}

#[test]
fn job_that_makes_progress_has_more_time() {
    let (pool, runtime) = (pool(), runtime());
    let slow = |progress: &Progress| {
        for _ in 0..12 {
            // It takes longer than the patience, and each step less.
            std::thread::sleep(PATIENCE / 10);
            progress.step();
        }
    };
    assert_eq!(runtime.block_on(pool.run(A, own(), slow)), Ok(()));
}

#[test]
fn job_beyond_the_queue_is_refused_at_once() {
    let (pool, runtime) = (pool(), runtime());
    let end = block(pool, A, SHARE + 4);
    assert_eq!(runtime.block_on(pool.run(A, own(), |_: &Progress| ())), Err(JobError::QueueFull));
    drop(end);
}

#[test]
fn panic_costs_one_job() {
    let (pool, runtime) = (pool(), runtime());
    let panics = |_: &Progress| panic!("as a test wants it");
    assert_eq!(runtime.block_on(pool.run::<()>(A, own(), panics)), Err(JobError::Panicked));
    assert_eq!(runtime.block_on(pool.run(A, own(), |_: &Progress| 1)), Ok(1));
}

#[test]
fn flood_of_one_owner_leaves_others_a_thread_and_their_turns() {
    let (pool, runtime) = (pool_of(|| true), runtime());
    // While there are several, each may have one thread of two.
    let (flood, other) = (Registered::new(), Registered::new());
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Arc::new(std::sync::Mutex::new(ended));
    let wait = || {
        let ended = std::sync::Arc::clone(&ended);
        pool.run(A, flood.owner(), move |_: &Progress| {
            let _ = ended.lock().map(|ended| ended.recv());
        })
    };
    runtime.block_on(async {
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(wait())).collect();
        for call in &mut waiting {
            // One runs and four wait, as many as may.
            assert!(tokio::time::timeout(PATIENCE / 50, call).await.is_err());
        }
        assert_eq!(wait().await, Err(JobError::QueueFull));
        let asked = Instant::now();
        // The last that waits makes room for it.
        assert_eq!(pool.run(A, other.owner(), |_: &Progress| 1).await, Ok(1));
        assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
        let last = waiting.pop().expect("five");
        assert_eq!(last.await, Err(JobError::QueueFull));
        drop(end);
        for call in waiting {
            assert_eq!(call.await, Ok(()));
        }
    });
}
