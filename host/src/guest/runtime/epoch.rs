//! The clock that interrupts guests: it ticks while one may be running, and
//! sleeps while none is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

use crate::supervise;

/// How often it ticks. A deadline is kept to within a tick or two; a tick costs a
/// wake-up of some microseconds.
const TICK: Duration = Duration::from_millis(1);

/// How long it goes on when nothing runs: waking it costs a worker as much as
/// some ticks.
const IDLE_TICKS: u32 = 100;

/// A time in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticks(pub(super) u64);

impl Ticks {
    /// Rounded up, as the tick that comes next may come at once: at least this
    /// long, and at most two ticks more.
    pub(super) fn at_least(time: Duration) -> Ticks {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        Ticks(u64::try_from(ticks).unwrap_or(u64::MAX - 1).saturating_add(1))
    }
}

/// The clock of one engine. Dropping it ends its thread.
pub(super) struct EpochClock {
    hands: Arc<Hands>,
    thread: Thread,
}

/// What the clock and the threads that run guests share.
#[derive(Default)]
struct Hands {
    /// How many guests are running.
    running: AtomicU64,
    /// Whether the thread sleeps, or is about to.
    sleeps: AtomicBool,
    stopped: AtomicBool,
    /// A fault, for tests.
    #[cfg(test)]
    panics: AtomicBool,
}

/// While it exists, the clock ticks.
pub(super) struct Ticking(Arc<Hands>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl EpochClock {
    /// Starts a clock.
    pub(super) fn start(engine: EngineWeak) -> io::Result<EpochClock> {
        let hands = Arc::new(Hands::default());
        let thread = thread::Builder::new().name("guest-clock".to_owned()).spawn({
            let hands = Arc::clone(&hands);
            // Without it a guest that loops would do so for ever.
            move || {
                supervise::thread("epoch", || {
                    hands.tick(&engine);
                    Ok(())
                });
            }
        })?;
        Ok(EpochClock { hands, thread: thread.thread().clone() })
    }

    /// Makes it tick. To be held as long as a guest has a deadline: a thread may lose
    /// its core for any time between setting one and running the guest.
    pub(super) fn ticking(&self) -> Ticking {
        // One of the two sees what the other wrote, as all four are in one order:
        // either the thread finds one running, or we find that it sleeps.
        self.hands.running.fetch_add(1, Ordering::SeqCst);
        if self.hands.sleeps.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.hands))
    }
}

impl Drop for EpochClock {
    fn drop(&mut self) {
        self.hands.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Hands {
    fn tick(&self, engine: &EngineWeak) {
        let mut idle_ticks = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            #[cfg(test)]
            assert!(!self.panics.swap(false, Ordering::SeqCst), "on purpose");
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            let is_idle = self.running.load(Ordering::SeqCst) == 0;
            idle_ticks = if is_idle { idle_ticks + 1 } else { 0 };
            if idle_ticks > IDLE_TICKS {
                self.sleeps.store(true, Ordering::SeqCst);
                while self.running.load(Ordering::SeqCst) == 0
                    && !self.stopped.load(Ordering::SeqCst)
                {
                    thread::park();
                }
                self.sleeps.store(false, Ordering::SeqCst);
                idle_ticks = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TICK, Ticks};
    use crate::guest::{Engine, GuestLimits};
    use std::time::{Duration, Instant};

    #[test]
    fn deadline_is_not_shorter_than_its_time() {
        assert_eq!(Ticks::at_least(TICK), Ticks(2));
        assert_eq!(Ticks::at_least(TICK + Duration::from_nanos(1)), Ticks(3));
        assert_eq!(Ticks::at_least(Duration::MAX), Ticks(u64::MAX));
    }

    /// It did, once: a thread that was not scheduled for the length of its deadline
    /// between asking for ticks and setting that deadline then ran for ever.
    #[test]
    fn clock_does_not_sleep_while_a_guest_may_run() {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let hands = &engine.clock().hands;
        let ticking = engine.clock().ticking();
        let began = Instant::now();
        while began.elapsed() < 3 * TICK * super::IDLE_TICKS {
            assert!(!hands.sleeps.load(super::Ordering::SeqCst));
            std::thread::yield_now();
        }
        drop(ticking);
    }

    #[test]
    fn clock_ticks_again_after_a_panic() {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let hands = &engine.clock().hands;
        hands.panics.store(true, super::Ordering::SeqCst);
        let _ticking = engine.clock().ticking();
        // Two in a row: the second is that of the restarted clock.
        for _ in 0..2 {
            let began = Instant::now();
            while hands.panics.load(super::Ordering::SeqCst) {
                assert!(began.elapsed() < Duration::from_secs(20), "it stands still");
                std::thread::yield_now();
            }
            hands.panics.store(true, super::Ordering::SeqCst);
        }
    }

    #[test]
    fn clock_sleeps_when_nothing_runs_and_wakes_when_something_does() {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let hands = &engine.clock().hands;
        let wait_until = |sleeps: bool| {
            let began = Instant::now();
            while hands.sleeps.load(super::Ordering::SeqCst) != sleeps {
                assert!(began.elapsed() < Duration::from_secs(20), "it never is: {sleeps}");
                std::thread::yield_now();
            }
        };
        for _ in 0..3 {
            wait_until(true);
            let ticking = engine.clock().ticking();
            wait_until(false);
            drop(ticking);
        }
    }
}
