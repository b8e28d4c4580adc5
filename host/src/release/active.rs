//! The generation that serves: it is replaced in one step, while requests come in.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption};
use clap::ValueEnum;

use super::generation::Generation;
use super::history::{History, Outcome};
use super::rejected::{RejectedGuests, Rejection};
use crate::clock;
use crate::files::Files;
use crate::guest::decision::request::Facts;
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::{Decided, LoadedGuest};
use crate::lock::lock;
use crate::text::Bytes;
use crate::throttle::Kinds;

/// What is done about a guest that fails on requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailurePolicy {
    /// What responds to the request that it failed on.
    pub fallback: Fallback,
    /// If this many of the last 1,000 decisions failed, the previous guest serves again.
    pub roll_back_after: Option<NonZeroU32>,
    /// Whether the previous guest is kept although the two above do not need it: an operator
    /// may roll back.
    pub keep_previous: bool,
}

impl FailurePolicy {
    /// Whether the guest that served before is kept.
    fn keeps_previous(self) -> bool {
        self.keep_previous || self.roll_back_after.is_some() || self.fallback == Fallback::Previous
    }
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
pub struct Active {
    current: ArcSwap<Generation>,
    previous: ArcSwapOption<Generation>,
    /// The latest one of another guest, for when the guest fails.
    fallback: ArcSwapOption<Generation>,
    policy: FailurePolicy,
    /// Locked while the two change, so that they change together. Holds the guests that are not
    /// deployed again.
    changing: Mutex<RejectedGuests>,
    history: History,
    failures: Kinds,
    /// What frees what a worker takes out of service.
    free: OnceLock<Free>,
}

/// Frees generations elsewhere.
type Free = Box<dyn Fn(Vec<Arc<Generation>>) + Send + Sync>;

impl Active {
    /// Puts the first generation in service.
    pub fn new(first: Generation, policy: FailurePolicy) -> Active {
        Active {
            current: ArcSwap::from_pointee(first),
            previous: ArcSwapOption::empty(),
            fallback: ArcSwapOption::empty(),
            policy,
            changing: Mutex::default(),
            history: History::default(),
            failures: Kinds::new(),
            free: OnceLock::new(),
        }
    }

    /// The generation that serves now.
    pub fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }

    /// The latest deployments.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The generation that served before, if it is kept.
    pub fn previous(&self) -> Option<Arc<Generation>> {
        self.previous.load_full()
    }

    /// Asks the guest that serves for a decision, as [`LoadedGuest::decide`] does, and gives the
    /// generation that it is of: its files are the ones that the decision names. A failure is logged
    /// here.
    pub async fn decide<'a>(
        &self,
        worker: usize,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])> + Clone,
        facts: Facts<'_>,
    ) -> (Decided, Arc<Generation>) {
        let generation = self.current.load_full();
        let decided = generation.guest.decide(worker, line, fields.clone(), facts).await;
        let Err(failure) = &decided.decision else { return (decided, generation) };
        self.log(failure, &generation.guest, line);
        if *failure == Failure::Busy {
            return (decided, generation);
        }
        let previous = self.fallback.load_full();
        self.note_failure(&generation);
        match previous {
            Some(previous) if self.policy.fallback == Fallback::Previous => {
                let guest = previous.guest.digest();
                self.failures.log(("previous", guest, ""), |suppressed| {
                    tracing::warn!(%guest, suppressed, "previous guest decides instead");
                });
                let masked_failure = Some(failure.clone());
                let decided = Box::pin(previous.guest.decide(worker, line, fields, facts)).await;
                (Decided { masked_failure, ..decided }, previous)
            }
            _ => (decided, generation),
        }
    }

    fn log(&self, failure: &Failure, guest: &LoadedGuest, line: &[u8]) {
        let deadline_ms = clock::millis(guest.limits().deadline);
        let guest = guest.digest();
        let request = tracing::field::display(Bytes(line));
        // A line for each would add to the load.
        let cause = failure.to_string();
        let log = |log: &dyn Fn(Option<u64>)| {
            self.failures.log((failure.name(), guest, &*cause), log);
        };
        match failure {
            Failure::Busy => log(&|suppressed| {
                tracing::error!(%guest, suppressed, "guest is busy");
            }),
            Failure::Deadline => log(&|suppressed| {
                tracing::error!(%guest, request, deadline_ms, suppressed, "guest timed out");
            }),
            Failure::Memory(error) => log(&|suppressed| {
                tracing::error!(%guest, request, %error, suppressed, "guest met its memory limit");
            }),
            Failure::Trap(error) => log(&|suppressed| {
                tracing::error!(%guest, request, %error, suppressed, "guest trapped");
            }),
            Failure::Refused(error) => log(&|suppressed| {
                tracing::error!(%guest, request, %error, suppressed, "decision refused");
            }),
        }
    }

    /// Puts a guest in service, files, or both in one step: what is not given stays as it is.
    /// Returns the generations that are not needed any longer.
    pub(super) fn activate(
        &self,
        guest: Option<Arc<LoadedGuest>>,
        files: Option<Arc<Files>>,
    ) -> Vec<Arc<Generation>> {
        let mut rejected = self.changing();
        let before = self.kept();
        let old = self.current.load_full();
        let guest = guest.unwrap_or_else(|| Arc::clone(&old.guest));
        let files = files.unwrap_or_else(|| Arc::clone(&old.files));
        rejected.remove(guest.digest());
        let is_same_guest = Arc::ptr_eq(&guest, &old.guest);
        self.current.store(Arc::new(Generation { guest, files: Arc::clone(&files) }));
        if self.policy.keeps_previous() {
            self.previous.store(Some(Arc::clone(&old)));
            if !is_same_guest {
                self.fallback.store(Some(old));
            } else if let Some(other) = self.fallback.load_full()
                && !other.guest.origin().depends_on_root()
            {
                let guest = Arc::clone(&other.guest);
                self.fallback.store(Some(Arc::new(Generation { guest, files })));
            }
        }
        self.gone(before)
    }

    /// The generations that are kept.
    fn kept(&self) -> [Option<Arc<Generation>>; 3] {
        let current = Some(self.current.load_full());
        [current, self.previous.load_full(), self.fallback.load_full()]
    }

    /// Those of these that are not kept any longer, each once.
    fn gone(&self, before: [Option<Arc<Generation>>; 3]) -> Vec<Arc<Generation>> {
        let kept = self.kept();
        let mut gone: Vec<Arc<Generation>> = Vec::new();
        for generation in before.into_iter().flatten() {
            let mut others = kept.iter().flatten().chain(&gone);
            if !others.any(|other| Arc::ptr_eq(other, &generation)) {
                gone.push(generation);
            }
        }
        gone
    }

    /// Whether this guest serves, or may serve again.
    pub(super) fn keeps(&self, guest: &Arc<LoadedGuest>) -> bool {
        let _changing = self.changing();
        self.kept().iter().flatten().any(|kept| Arc::ptr_eq(&kept.guest, guest))
    }

    /// Puts the previous generation in service again, on request: its guest and its files. `None` if
    /// no previous one is kept.
    pub(super) fn roll_back(&self) -> Option<Returned> {
        self.return_to(&self.previous, &mut self.changing(), Rejection::RolledBack)
    }

    fn return_to(
        &self,
        kept: &ArcSwapOption<Generation>,
        rejected: &mut RejectedGuests,
        why: Rejection,
    ) -> Option<Returned> {
        let before = self.kept();
        let restored = kept.load_full()?;
        self.previous.store(None);
        self.fallback.store(None);
        let replaced = self.current.swap(Arc::clone(&restored));
        let (digest, old_digest) = (restored.guest.digest(), replaced.guest.digest());
        // The same may serve again, if it was deployed twice, or with another root.
        if old_digest != digest {
            rejected.add(old_digest, why);
        }
        let mut message = format!("serves again in place of {old_digest}");
        if restored.files.id() != replaced.files.id() {
            let (root, old) = (restored.files.directory(), replaced.files.directory());
            message += &format!(", with the root {} in place of {}", root.display(), old.display());
        }
        self.history.add(Outcome::RolledBack, Some(digest), message);
        Some(Returned { restored, replaced, gone: self.gone(before) })
    }

    /// Why this guest is not to be deployed again, if it is known. `with_cases` is its digest
    /// with that of its cases.
    pub(super) fn rejection(&self, guest: Digest, with_cases: Digest) -> Option<Rejection> {
        let rejected = self.changing();
        rejected.why(guest).or_else(|| rejected.why(with_cases))
    }

    /// Notes that a guest did not pass its check with these cases.
    pub(super) fn reject(&self, with_cases: Digest) {
        self.changing().add(with_cases, Rejection::Invalid);
    }

    /// Forgets all rejections: an operator wants the guests tried again.
    pub(super) fn forget_rejections(&self) {
        self.changing().clear();
    }

    fn changing(&self) -> MutexGuard<'_, RejectedGuests> {
        // Each change of it is one step, whoever panicked.
        lock(&self.changing)
    }

    /// Whether other data may be put under the guest that serves: by who may roll back, too.
    pub(super) fn keeps_sources(&self) -> bool {
        self.policy.keep_previous
    }

    /// Has this free what a worker takes out of service.
    pub(super) fn free_by(&self, free: Free) {
        // It is set once.
        let _ = self.free.set(free);
    }

    fn note_failure(&self, generation: &Arc<Generation>) {
        let Some(limit) = self.policy.roll_back_after else { return };
        if !generation.guest.fails_often(limit) {
            return;
        }
        let mut rejected = self.changing();
        // Another may have been deployed meanwhile, which has not failed.
        let is_current = Arc::ptr_eq(generation, &self.current.load());
        let why = Rejection::Failed(limit.get());
        let fallback = self.fallback.load_full().filter(|_| is_current);
        if let Some(fallback) = fallback.filter(|fallback| fallback.files.is_removed()) {
            drop(rejected);
            let (guest, root) = (fallback.guest.digest(), fallback.files.directory().display());
            self.failures.log(("removed", guest, ""), |suppressed| {
                tracing::error!(
                    %guest, %root, suppressed, "guest not rolled back: its root was removed"
                );
            });
            return;
        }
        let returned =
            is_current.then(|| self.return_to(&self.fallback, &mut rejected, why)).flatten();
        drop(rejected);
        if let Some(Returned { restored, replaced, gone }) = returned {
            let is_other_root = restored.files.id() != replaced.files.id();
            let root =
                |of: &Generation| is_other_root.then(|| of.files.directory().display().to_string());
            tracing::error!(
                guest = %restored.guest.digest(),
                previous = %replaced.guest.digest(),
                root = root(&restored),
                previous_root = root(&replaced),
                failures = limit,
                decisions = 1000,
                "guest rolled back: too many decisions failed"
            );
            if let Some(free) = self.free.get() {
                free(gone);
            }
        }
    }
}

/// Two generations of which one serves again in place of the other.
pub(super) struct Returned {
    pub(super) restored: Arc<Generation>,
    pub(super) replaced: Arc<Generation>,
    /// Those that are not needed any longer.
    pub(super) gone: Vec<Arc<Generation>>,
}

#[cfg(test)]
mod tests {
    use super::{Active, FailurePolicy, Fallback};
    use crate::guest::{DEFAULT_GUEST, Engine, GuestLimits, LoadedGuest};
    use crate::release::generation::tests::generation;
    use std::sync::Arc;

    fn guests(count: usize) -> Vec<LoadedGuest> {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let engine = Arc::new(engine);
        let load = |_| LoadedGuest::load(&engine, DEFAULT_GUEST).expect("the default guest");
        (0..count).map(load).collect()
    }

    #[test]
    fn old_guest_is_freed_after_its_last_request() {
        let mut guests = guests(2).into_iter();
        let first = Arc::new(guests.next().expect("a guest"));
        let freed = Arc::downgrade(&first);
        let active = Active::new(generation(&first), FailurePolicy::default());
        // A request holds it.
        let in_use = active.current();
        drop(first);
        let other = Arc::new(guests.next().expect("another"));
        let old = active.activate(Some(other), None).pop().expect("the first");
        assert!(Arc::ptr_eq(&old, &in_use) && active.previous().is_none());
        drop(old);
        assert!(freed.upgrade().is_some());
        drop(in_use);
        assert!(freed.upgrade().is_none());
    }

    #[test]
    fn previous_guest_is_kept_where_it_may_be_needed() {
        let mut guests = guests(3).into_iter().map(Arc::new);
        let mut next = || guests.next().expect("a guest");
        let policy = FailurePolicy { fallback: Fallback::Previous, ..FailurePolicy::default() };
        let (first, second, third) = (next(), next(), next());
        let active = Active::new(generation(&first), policy);
        let activate = |guest| active.activate(Some(guest), None).pop();
        assert!(activate(second).is_none());
        assert!(Arc::ptr_eq(&active.previous().expect("the first").guest, &first));
        let gone = activate(third).expect("the first");
        assert!(Arc::ptr_eq(&gone.guest, &first));
        // Back to the second, and no further.
        assert!(active.roll_back().is_some());
        assert!(active.previous().is_none() && active.roll_back().is_none());
    }

    #[test]
    fn failures_of_a_replaced_guest_do_not_roll_back() {
        let mut guests = guests(3).into_iter();
        let mut next = || guests.next().expect("a guest");
        let policy = FailurePolicy {
            roll_back_after: std::num::NonZeroU32::new(1),
            ..FailurePolicy::default()
        };
        let active = Active::new(generation(&Arc::new(next())), policy);
        active.activate(Some(Arc::new(next())), None);
        let fails = active.current();
        active.activate(Some(Arc::new(next())), None);
        let replaced_it = active.current();
        active.note_failure(&fails);
        assert!(Arc::ptr_eq(&active.current(), &replaced_it));
        // Its successor may be, by its own failures.
        active.note_failure(&replaced_it);
        assert!(Arc::ptr_eq(&active.current(), &fails));
    }
}
