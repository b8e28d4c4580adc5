//! One loaded guest with all that belongs to it: its code, its cache of decisions, its
//! counters. A request uses one of them from beginning to end.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use innkeeper_cases::Case;

use super::counters::{Counts, FailureCounters};
use super::decision::Decision;
use super::decision::interests::{Interests, InterestsError};
use super::decision::request::{Facts, Request};
use super::decision_cache::{DecisionCache, Key};
use super::digest::{Digest, Identity};
use super::failure::Failure;
use super::load_error::LoadError;
use super::origin::Origin;
use super::runtime::compile::Urgency;
use super::runtime::component::Form;
use super::runtime::decision_cost::DecisionCosts;
use super::runtime::engine::Engine;
use super::runtime::limits::DecisionLimits;
use super::runtime::live::guest::LiveGuest;
use super::runtime::live::ineligible::Ineligible;
use super::runtime::output::DEVELOPMENT;
use super::runtime::program::{Cost, Program};
use super::runtime::slow_pool::Asker;
use super::trapped::printed_lines;
use crate::helper::CancelToken;

/// How long warming up may delay a deployment.
const WARM_UP: Duration = Duration::from_millis(100);

/// A guest that was compiled, checked against the contract and asked for its interests.
pub struct LoadedGuest {
    made: Arc<Made>,
    /// What a decision may use.
    limits: DecisionLimits,
    /// Of its parts, and of the whole.
    identity: Identity,
    digest: Digest,
    /// What it was made of, where it may be configured with other data.
    made_of: Option<MadeOf>,
    origin: Origin,
    is_kept_code: bool,
    /// One for each worker.
    caches: Box<[DecisionCache]>,
    failures: FailureCounters,
}

/// What all guests of the same content share: its code is in memory once.
pub(super) struct Made {
    pub(super) program: Program,
    form: Form,
    pub(super) interests: Interests,
}

/// What a guest was made of.
#[derive(Clone, Debug)]
pub struct MadeOf {
    /// Its file.
    pub guest: Cow<'static, [u8]>,
    /// Its data, if it was configured with some.
    pub data: Option<Vec<u8>>,
}

/// The result of a request for a decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision, or why there is none.
    pub decision: Result<Arc<Decision>, Failure>,
    /// How the active guest failed, where the one before it decided in its place.
    pub masked_failure: Option<Failure>,
    /// The guest that decided, or failed.
    pub by: Digest,
    /// How long the decision took, with all waiting; `None` if it was in the cache.
    pub compute_time: Option<Duration>,
}

impl Decided {
    /// How the active guest failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.decision.as_ref().err().or(self.masked_failure.as_ref())
    }
}

impl Made {
    /// Compiles a guest, and asks it for its interests. Tells whether its code was kept.
    fn new(
        engine: &Arc<Engine>,
        bytes: &[u8],
        data: Option<&[u8]>,
        digest: Digest,
        limits: DecisionLimits,
        urgency: Urgency,
        cancel: &CancelToken,
    ) -> Result<(Arc<Made>, bool), LoadError> {
        let code = engine.compile(bytes, data, digest, urgency, cancel)?;
        let program = Program::link(engine, bytes, &code.component)?;
        program.fits(limits).map_err(LoadError::Limit)?;
        let interests = program.interests(limits).map_err(InterestsError::Failed)?;
        let interests = Interests::named(interests)?;
        let made = Arc::new(Made { program, form: code.form, interests });
        if engine.is_live()
            && let Some(product) = engine.kept_live(digest)
            && let Ok(live) = LiveGuest::load(engine, digest, &product)
        {
            made.program.set_live(live);
        }
        engine.known().note(digest, &made);
        Ok((made, code.is_kept))
    }
}

impl LoadedGuest {
    /// Compiles a guest, given as a component or as a core module that carries its component
    /// type.
    pub fn load(engine: &Arc<Engine>, bytes: &[u8]) -> Result<LoadedGuest, LoadError> {
        LoadedGuest::load_with(engine, bytes, None)
    }

    /// Compiles a guest, configured with this data.
    pub fn load_with(
        engine: &Arc<Engine>,
        bytes: &[u8],
        data: Option<&[u8]>,
    ) -> Result<LoadedGuest, LoadError> {
        let (limits, origin) = (engine.limits().decision, Origin::Uploaded);
        let cancel = CancelToken::default();
        LoadedGuest::load_unless(engine, bytes, data, limits, origin, Urgency::First, &cancel)
    }

    /// Whether one of the same content is in use: what was made of it is shared.
    pub fn is_in_use(engine: &Engine, identity: Identity) -> bool {
        engine.known().get::<Made>(identity.digest()).is_some()
    }

    /// Loads a guest whose decisions may use this, unless that is canceled.
    pub(super) fn load_unless(
        engine: &Arc<Engine>,
        bytes: &[u8],
        data: Option<&[u8]>,
        limits: DecisionLimits,
        origin: Origin,
        urgency: Urgency,
        cancel: &CancelToken,
    ) -> Result<LoadedGuest, LoadError> {
        let identity = Identity::of(bytes, data);
        let digest = identity.digest();
        let (made, is_kept_code) = match engine.known().get::<Made>(digest) {
            Some(made) => {
                made.program.fits(limits).map_err(LoadError::Limit)?;
                (made, true)
            }
            None => Made::new(engine, bytes, data, digest, limits, urgency, cancel)?,
        };
        Ok(LoadedGuest {
            made,
            limits,
            identity,
            digest,
            made_of: None,
            origin,
            is_kept_code,
            caches: engine.cache_budgets().iter().map(DecisionCache::of).collect(),
            failures: FailureCounters::default(),
        })
    }

    /// The same, whose decisions may use this.
    pub fn with_limits(self, limits: DecisionLimits) -> LoadedGuest {
        LoadedGuest { limits, ..self }
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The digest of its file, and of its data if it has some.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digests of its file and of its data.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What it was made of, if that is kept.
    pub fn made_of(&self) -> Option<&MadeOf> {
        self.made_of.as_ref()
    }

    /// Keeps what it was made of, if it can be configured: other data may be put under it.
    pub(super) fn keep(&mut self, made_of: MadeOf) {
        self.made_of = Some(made_of).filter(|_| self.is_configurable());
    }

    /// Whether it decides live, or why it does not, as far as that is known.
    pub fn liveness(&self) -> Option<Result<(), &Ineligible>> {
        if !self.made.program.engine().is_live() {
            return Some(Err(&Ineligible::Isolated));
        }
        self.made.program.live().map(|live| match live {
            Ok(live) if live.is_on() => Ok(()),
            Ok(_) => Err(&Ineligible::NotPutBack),
            Err(ineligible) => Err(ineligible),
        })
    }

    /// What its file holds.
    pub fn form(&self) -> Form {
        self.made.form
    }

    /// Whether its code was compiled before: at an earlier start, or for another site.
    pub fn is_kept_code(&self) -> bool {
        self.is_kept_code
    }

    /// Whether it takes data.
    pub fn is_configurable(&self) -> bool {
        self.made.program.is_configurable()
    }

    /// What the component names as imports, escaped. None of it is there: calling one traps, unless
    /// it is for output.
    pub fn imports(&self) -> &[String] {
        self.made.program.imports()
    }

    /// Whether it is a build for development, which speaks to its author.
    pub fn is_for_development(&self) -> bool {
        self.imports().iter().any(|import| import == DEVELOPMENT)
    }

    /// Whether it runs in `innkeeper dev` or a command, for its author alone.
    pub fn serves_its_author(&self) -> bool {
        self.made.program.is_for_author()
    }

    /// Names of the header fields and facts that it reads.
    pub fn interests(&self) -> impl Iterator<Item = &str> {
        self.made.interests.names()
    }

    /// What it shares with all of the same content.
    pub(super) fn made(&self) -> &Arc<Made> {
        &self.made
    }

    /// What it reads.
    pub(super) fn read(&self) -> &Interests {
        &self.made.interests
    }

    /// The names of these fields that it does not read, each once.
    pub fn unread<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut unread: Vec<&str> = Vec::new();
        for name in names.filter(|name| !self.made.interests.has_field(name)) {
            if !unread.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                unread.push(name);
            }
        }
        unread
    }

    /// The names of what a case states and this guest does not read: fields, and facts.
    pub fn unread_of(&self, case: &Case) -> Vec<String> {
        let fields = self.unread(case.fields.iter().map(|(name, _)| name.as_str()));
        fields.into_iter().map(str::to_owned).chain(self.unread_facts(&case.facts)).collect()
    }

    /// The names of facts that are stated and that this guest does not read.
    pub fn unread_facts(&self, facts: &innkeeper_cases::Facts) -> Vec<String> {
        let facts = facts.stated().map(|(fact, _)| fact);
        let unread = facts.filter(|fact| !self.made.interests.depend_on(*fact));
        unread.map(|fact| fact.name().into()).collect()
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        let hits = self.caches.iter().map(DecisionCache::hits).sum();
        let misses = self.caches.iter().map(DecisionCache::misses).sum();
        self.failures.read(hits, misses)
    }

    /// What a decision may use.
    pub fn limits(&self) -> DecisionLimits {
        self.limits
    }

    /// How long its decisions take.
    pub(super) fn costs(&self) -> &DecisionCosts {
        self.made.program.costs()
    }

    /// Asks for a decision on the request with this line and these header fields, given in order
    /// of arrival, for the worker with this number.
    ///
    /// If this worker's cache does not have it, the guest runs on a fresh instance: on this
    /// thread for two milliseconds at most, and if that is not enough, in the slow pool.
    pub async fn decide<'a>(
        self: &Arc<Self>,
        worker: usize,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Decided {
        let fields = self.made.interests.select(fields, facts);
        let key = Key::new(line, &fields);
        let cache = &self.caches[worker % self.caches.len()];
        if let Some(decision) = cache.get(&key) {
            let decision = Ok(decision);
            return Decided { decision, masked_failure: None, by: self.digest, compute_time: None };
        }
        let request = Request { line: line.to_vec(), fields };
        let began = Instant::now();
        // Boxed, as each connection would have room for it while it is idle.
        let (site, client, deadline) = (facts.site, facts.client, self.limits.deadline);
        let asker = Asker { site, client, deadline };
        let decision = Box::pin(self.compute(worker, request, asker)).await.map(Arc::new);
        match &decision {
            Ok(decision) => cache.insert(&key, decision),
            Err(failure) => self.failures.count(failure),
        }
        let compute_time = Some(began.elapsed());
        Decided { decision, masked_failure: None, by: self.digest, compute_time }
    }

    async fn compute(
        self: &Arc<Self>,
        worker: usize,
        request: Request,
        asker: Asker,
    ) -> Result<Decision, Failure> {
        if let Some(decision) = self.made.program.run_on_worker(worker, &request, self.limits) {
            return decision;
        }
        let guest = Arc::clone(self);
        let decide = move || guest.made.program.run_in_pool(&request, guest.limits);
        self.made.program.in_slow_pool(asker, decide).await
    }

    /// Decides on a fresh instance, and blocks until the guest has decided or has met a limit;
    /// the deadline, three times. The caches and counters are left alone.
    pub fn decide_uncached<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Result<Decision, Failure> {
        self.decide_on(&self.request(line, fields, facts))
    }

    /// Decides as `decide_uncached` does, and gives what the guest printed, and where it trapped:
    /// the last of it, in lines for people.
    pub fn listen<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> (Result<Decision, Failure>, Vec<String>) {
        let request = self.request(line, fields, facts);
        let (decision, printed) = self.made.program.run_and_listen(&request, self.limits);
        let lines = match &decision {
            Err(failure @ Failure::Trap(_)) => failure.lines(),
            _ => printed_lines(&printed),
        };
        (decision, lines)
    }

    /// Decides as `decide_uncached` does, and measures it.
    pub fn measure<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Result<Cost, Failure> {
        self.made.program.measure(&self.request(line, fields, facts), self.limits)
    }

    /// The facts and fields of a request that the guest is shown: names and values.
    pub fn shown<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> impl Iterator<Item = (String, Vec<u8>)> {
        let fields = self.made.interests.select(fields, facts).into_iter();
        fields.map(|field| (field.name.into_owned(), field.value.into_owned()))
    }

    /// A request as the guest is shown it.
    pub(super) fn request<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts<'_>,
    ) -> Request {
        self.made.interests.request(line, fields, facts)
    }

    /// Notes that a decision failed just now, and returns whether `limit` of the last 1,000 did.
    pub fn fails_often(&self, limit: NonZeroU32) -> bool {
        let counts = self.counts();
        self.failures.fails_often(counts.cache_hits + counts.cache_misses, limit)
    }

    /// Decides on the requests in the other guest's caches, so that those that come all the time
    /// find their decision in this one's. Returns their number.
    pub fn warm_up(&self, other: &LoadedGuest) -> usize {
        if self.made.interests != other.made.interests {
            return 0;
        }
        let began = Instant::now();
        let mut warmed = 0;
        for (cache, others) in self.caches.iter().zip(&other.caches) {
            for key in others.keys() {
                if began.elapsed() > WARM_UP {
                    return warmed;
                }
                // A failure is not cached; the request itself will report it.
                if let Ok(decision) = self.made.program.run(&key.request(), self.limits) {
                    cache.insert(&key, &Arc::new(decision));
                    warmed += 1;
                }
            }
        }
        warmed
    }

    /// Requests in the caches of all workers.
    pub(super) fn cached_requests(&self) -> impl Iterator<Item = Key<'static>> {
        self.caches.iter().flat_map(DecisionCache::keys)
    }

    /// Decides as `decide_uncached` does on a request as the guest is shown it.
    pub(super) fn decide_on(&self, request: &Request) -> Result<Decision, Failure> {
        self.made.program.run_with_retries(request, self.limits)
    }
}
