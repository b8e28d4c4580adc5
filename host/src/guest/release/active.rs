//! What serves: one generation, which can be replaced in one step while requests
//! come in.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use clap::ValueEnum;

use super::history::{History, Outcome};
use super::rejected::{Unfit, UnfitGuests};
use crate::guest::decision::request::Facts;
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::{Decided, LoadedGuest};

/// What is done about a guest that fails on requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailurePolicy {
    /// What responds to the request that it failed on.
    pub fallback: Fallback,
    /// If this many of the last 1,000 decisions failed, the generation before this
    /// one serves again.
    pub roll_back_after: Option<NonZeroU32>,
    /// Whether the generation before is kept although the two above have no need of it:
    /// the administration can return to it.
    pub keep_previous: bool,
}

/// What responds to a request on which the guest failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Fallback {
    /// The host responds with 500
    #[default]
    Error,
    /// The previous guest decides, if there is one; it may allow what the new one denies
    #[value(name = "fallback")]
    Previous,
}

/// The generation that serves, and the one before it where it may be needed.
pub struct ActiveGuest {
    current: ArcSwap<LoadedGuest>,
    previous: ArcSwapOption<LoadedGuest>,
    failure_policy: FailurePolicy,
    /// Held while the two change, so that they change together. Holds the guests that are
    /// not tried again.
    changing: Mutex<UnfitGuests>,
    history: History,
    overload: Overload,
}

impl ActiveGuest {
    /// Puts the first generation in service.
    pub fn new(first: Arc<LoadedGuest>, failure_policy: FailurePolicy) -> ActiveGuest {
        ActiveGuest {
            current: ArcSwap::new(first),
            previous: ArcSwapOption::empty(),
            failure_policy,
            changing: Mutex::default(),
            history: History::default(),
            overload: Overload::default(),
        }
    }

    /// The generation that serves now.
    pub fn current(&self) -> Arc<LoadedGuest> {
        self.current.load_full()
    }

    /// What became of the guests that were to serve.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The generation that served before, if it is kept.
    pub fn previous(&self) -> Option<Arc<LoadedGuest>> {
        self.previous.load_full()
    }

    /// Asks the generation that serves for a decision, as
    /// [`LoadedGuest::decide`] does. The cause of a failure is logged here.
    pub async fn decide<'a>(
        &self,
        worker: usize,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
        facts: Facts,
    ) -> Decided {
        let generation = self.current.load_full();
        let decided = generation.decide(worker, line, fields.clone(), facts).await;
        let Err(failure) = &decided.decision else { return decided };
        let (digest, shown) = (generation.digest(), line.escape_ascii());
        if *failure == Failure::Busy {
            // A line for each would add to the load.
            if self.overload.should_log() {
                let busy = generation.counts().busy;
                tracing::error!(
                    "the guest {digest} gave no decision on {shown}: {failure} ({busy} so far)"
                );
            }
            return decided;
        }
        tracing::error!("the guest {digest} gave no decision on {shown}: {failure}");
        let previous = self.previous.load_full();
        self.note_failure(&generation);
        match previous {
            Some(previous) if self.failure_policy.fallback == Fallback::Previous => {
                tracing::warn!("the guest {} answers in its place", previous.digest());
                let masked_failure = Some(failure.clone());
                Decided { masked_failure, ..previous.decide(worker, line, fields, facts).await }
            }
            _ => decided,
        }
    }

    /// Puts a generation in service, and gives the one that is needed no longer.
    pub(in crate::guest) fn publish(&self, next: LoadedGuest) -> Option<Arc<LoadedGuest>> {
        let mut unfit = self.changing();
        unfit.remove(next.digest());
        let old = self.current.swap(Arc::new(next));
        if self.keeps_previous() { self.previous.swap(Some(old)) } else { Some(old) }
    }

    /// Puts the generation that served before in service again, as somebody wants. Gives its
    /// digest, and the one that served. `None` if none is kept.
    pub fn roll_back(&self) -> Option<(Digest, Arc<LoadedGuest>)> {
        self.return_to_previous(&mut self.changing(), Unfit::RolledBack)
    }

    fn return_to_previous(
        &self,
        unfit: &mut UnfitGuests,
        why: Unfit,
    ) -> Option<(Digest, Arc<LoadedGuest>)> {
        let previous = self.previous.swap(None)?;
        let digest = previous.digest();
        let old = self.current.swap(previous);
        // The same may serve again, if it was put in service twice.
        if old.digest() != digest {
            unfit.add(old.digest(), why);
        }
        let told = format!("serves again in place of {}", old.digest());
        self.history.note(Outcome::RolledBack, Some(digest), told);
        Some((digest, old))
    }

    /// Why this guest is not to be tried, if it is known to be unfit. `tried` is its digest
    /// with that of its cases.
    pub(in crate::guest) fn unfit(&self, guest: Digest, tried: Digest) -> Option<Unfit> {
        let unfit = self.changing();
        unfit.why(guest).or_else(|| unfit.why(tried))
    }

    /// Remembers that a guest, with its cases, was found unfit.
    pub(in crate::guest) fn refuse(&self, tried: Digest) {
        self.changing().add(tried, Unfit::Refused);
    }

    /// Forgets what was found unfit: somebody wants it tried again.
    pub(in crate::guest) fn forgive(&self) {
        self.changing().forget();
    }

    fn changing(&self) -> MutexGuard<'_, UnfitGuests> {
        // What it holds is written in one step, whoever panicked.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeps_previous(&self) -> bool {
        self.failure_policy != FailurePolicy::default()
    }

    fn note_failure(&self, generation: &Arc<LoadedGuest>) {
        let Some(limit) = self.failure_policy.roll_back_after else { return };
        if !generation.fails_often(limit) {
            return;
        }
        let mut unfit = self.changing();
        // Another may have been published meanwhile, which has not failed.
        if Arc::ptr_eq(generation, &self.current.load())
            && let Some((again, old)) =
                self.return_to_previous(&mut unfit, Unfit::Failed(limit.get()))
        {
            tracing::error!(
                "{limit} of its last 1000 decisions failed: the guest {} is out of service, and \
                 {again} serves again",
                old.digest()
            );
        }
    }
}

/// How often it is told that there are more decisions to make than can be made.
const TELL: Duration = Duration::from_secs(1);

/// When that was told last.
#[derive(Default)]
struct Overload(Mutex<Option<Instant>>);

impl Overload {
    /// Whether to tell it now.
    fn should_log(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| told.elapsed() >= TELL);
        if is_due {
            *told = Some(Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::{ActiveGuest, FailurePolicy, Fallback};
    use crate::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
    use std::sync::Arc;

    fn generations(count: usize) -> Vec<LoadedGuest> {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let engine = Arc::new(engine);
        let load = |_| LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest");
        (0..count).map(load).collect()
    }

    #[test]
    fn an_old_generation_is_freed_when_its_last_request_is_done() {
        let mut generations = generations(2).into_iter();
        let first = Arc::new(generations.next().expect("a generation"));
        let freed = Arc::downgrade(&first);
        let serving = ActiveGuest::new(first, FailurePolicy::default());
        // A request holds it.
        let in_use = serving.current();
        let old = serving.publish(generations.next().expect("another")).expect("the first");
        assert!(Arc::ptr_eq(&old, &in_use) && serving.previous().is_none());
        drop(old);
        assert!(freed.upgrade().is_some());
        drop(in_use);
        assert!(freed.upgrade().is_none());
    }

    #[test]
    fn the_one_before_is_kept_where_it_may_be_needed() {
        let mut generations = generations(3).into_iter().map(Arc::new);
        let mut next = || generations.next().expect("a generation");
        let failure_policy =
            FailurePolicy { fallback: Fallback::Previous, ..FailurePolicy::default() };
        let (first, second, third) = (next(), next(), next());
        let serving = ActiveGuest::new(Arc::clone(&first), failure_policy);
        let publish = |generation| {
            let generation = Arc::try_unwrap(generation).ok().expect("not in use");
            serving.publish(generation)
        };
        assert!(publish(second).is_none());
        assert!(Arc::ptr_eq(&serving.previous().expect("the first"), &first));
        let gone = publish(third).expect("the first");
        assert!(Arc::ptr_eq(&gone, &first));
        // Back to the second, and no further.
        assert!(serving.roll_back().is_some());
        assert!(serving.previous().is_none() && serving.roll_back().is_none());
    }
    #[test]
    fn a_guest_that_was_replaced_takes_nobody_out_of_service() {
        let mut generations = generations(3).into_iter();
        let mut next = || generations.next().expect("a generation");
        let failure_policy = FailurePolicy {
            roll_back_after: std::num::NonZeroU32::new(1),
            ..FailurePolicy::default()
        };
        let serving = ActiveGuest::new(Arc::new(next()), failure_policy);
        serving.publish(next());
        let fails = serving.current();
        serving.publish(next());
        let replaced_it = serving.current();
        serving.note_failure(&fails);
        assert!(Arc::ptr_eq(&serving.current(), &replaced_it));
        // Its successor may be, by its own failures.
        serving.note_failure(&replaced_it);
        assert!(Arc::ptr_eq(&serving.current(), &fails));
    }
}
