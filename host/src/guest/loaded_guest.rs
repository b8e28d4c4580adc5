//! One loaded guest: what may serve, as one value.
//!
//! A request uses one generation from beginning to end. Everything that belongs
//! to it goes with it: its compiled code, what it decided, its counters.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::component::{Component, Linker};

use crate::guest::decision::Decision;
use crate::guest::decision::interests::{Facts, Interests};
use crate::guest::decision_cache::{Key, Memory};
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::origin::Origin;
use crate::guest::runtime::bindings::v0_1::GuestPre;
use crate::guest::runtime::bindings::v0_1::exports::innkeeper::policy::policy;
use crate::guest::runtime::compile::{LoadError, Urgency};
use crate::guest::runtime::component::Form;
use crate::guest::runtime::contract;
use crate::guest::runtime::decision_cost::{Pace, cpu_time};
use crate::guest::runtime::engine::{Engine, WORKER_DEADLINE};
use crate::guest::runtime::epoch::Ticks;
use crate::guest::runtime::instance::{Instance, Usage};
use crate::helper::GiveUp;
use crate::text;

/// A guest that was compiled, checked against the world and asked for its
/// interests.
pub struct LoadedGuest {
    engine: Arc<Engine>,
    guest: GuestPre<Usage>,
    digest: Digest,
    origin: Origin,
    form: Form,
    interests: Interests,
    /// Escaped, as the guest may name them as it likes.
    imports: Vec<String>,
    /// One for each worker.
    memories: Box<[Memory]>,
    counters: Counters,
    /// Which of the decisions, counted from the first, failed lately.
    failed_at: Mutex<VecDeque<u64>>,
    pace: Pace,
}

/// What a generation did so far.
#[derive(Debug, Default)]
struct Counters {
    busy: AtomicU64,
    deadline: AtomicU64,
    memory: AtomicU64,
    trap: AtomicU64,
    refused: AtomicU64,
}

/// The counters of a generation, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions that were remembered.
    pub remembered: u64,
    /// Decisions that were asked for and not remembered.
    pub computed: u64,
    /// Requests that found all instances in use.
    pub busy: u64,
    /// Decisions that were not made in time.
    pub deadline: u64,
    /// Decisions that wanted too much memory.
    pub memory: u64,
    /// Decisions that ended in a trap.
    pub trap: u64,
    /// Decisions that were refused.
    pub refused: u64,
}

/// What came of asking for a decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision, or why there is none.
    pub decision: Result<Arc<Decision>, Failure>,
    /// How the guest that serves failed, where the one before it answers in its place.
    pub masked_failure: Option<Failure>,
    /// The guest that was asked.
    pub by: Digest,
    /// How long it took, with all waiting; `None` if it was remembered.
    pub compute_time: Option<Duration>,
}

/// What one decision on a fresh instance took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Making the instance.
    pub instantiate: Duration,
    /// The call, with the check of its result.
    pub decide: Duration,
    /// Dropping the instance.
    pub drop: Duration,
    /// Bytes of linear memory that the instance had in the end. What of them it
    /// touched is not known.
    pub memory_bytes: usize,
    /// Instructions of WebAssembly, where the engine counts them.
    pub instructions: Option<u64>,
}

impl LoadedGuest {
    /// Compiles a guest, given as a component or as a core module that carries
    /// its component type.
    ///
    /// The error is a sentence for the person who named the guest.
    pub fn load(engine: &Arc<Engine>, bytes: &[u8]) -> Result<LoadedGuest, String> {
        LoadedGuest::load_unless(engine, bytes, Urgency::First, &GiveUp::default())
            .map_err(|error| error.to_string())
    }

    /// The same, unless it is given up.
    pub fn load_unless(
        engine: &Arc<Engine>,
        bytes: &[u8],
        urgency: Urgency,
        give_up: &GiveUp,
    ) -> Result<LoadedGuest, LoadError> {
        let digest = Digest::of(bytes);
        let (form, component) = engine.compile(bytes, digest, urgency, give_up)?;
        LoadedGuest::of(engine, digest, form, &component).map_err(LoadError::Unfit)
    }

    fn of(
        engine: &Arc<Engine>,
        digest: Digest,
        form: Form,
        component: &Component,
    ) -> Result<LoadedGuest, String> {
        let imports = component
            .component_type()
            .imports(engine.wasm())
            .map(|(name, _)| text::short_name(name))
            .collect();
        let mut linker = Linker::new(engine.wasm());
        linker.define_unknown_imports_as_traps(component).map_err(|error| {
            format!("it imports what cannot be stubbed: {}", text::error_line(error))
        })?;
        let guest = linker
            .instantiate_pre(component)
            .and_then(GuestPre::new)
            .map_err(|error| contract::mismatch(component, engine.wasm(), error))?;
        let ask = || Instance::new(engine, &guest, engine.deadline())?.interests();
        let interests = patiently(ask)
            .map_err(|failure| format!("asked for its interests, it fails: {failure}"))?;
        let decision_cache_bytes = engine.limits().decision_cache_bytes;
        Ok(LoadedGuest {
            engine: Arc::clone(engine),
            guest,
            digest,
            origin: Origin::HandedOver,
            form,
            interests: Interests::named(interests)?,
            imports,
            memories: (0..engine.workers()).map(|_| Memory::new(decision_cache_bytes)).collect(),
            counters: Counters::default(),
            failed_at: Mutex::default(),
            pace: Pace::default(),
        })
    }

    /// The same, of which it is known where it came from. Otherwise it was handed over.
    pub(super) fn coming_from(self, origin: Origin) -> LoadedGuest {
        LoadedGuest { origin, ..self }
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Tells it apart from others.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What its file holds.
    pub fn form(&self) -> Form {
        self.form
    }

    /// What the component names as imports, escaped. None of it is there: calling
    /// one traps.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Names of the header fields and facts that it reads.
    pub fn interests(&self) -> impl Iterator<Item = &str> {
        self.interests.names()
    }

    /// What it did so far.
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Counts {
            remembered: self.memories.iter().map(Memory::hits).sum(),
            computed: self.memories.iter().map(Memory::misses).sum(),
            busy: count(&counters.busy),
            deadline: count(&counters.deadline),
            memory: count(&counters.memory),
            trap: count(&counters.trap),
            refused: count(&counters.refused),
        }
    }

    /// How long its decisions take.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Asks for a decision on the request with this line and these header
    /// fields, given in order of arrival, for the worker with this number.
    ///
    /// If this worker did not ask the same before, the guest runs, on a fresh
    /// instance: on this thread for two milliseconds at most, and if that is not
    /// enough, on another.
    pub async fn decide<'a>(
        self: &Arc<Self>,
        worker: usize,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Decided {
        let fields = self.interests.select(fields, facts);
        let key = Key::new(line, &fields);
        let memory = &self.memories[worker % self.memories.len()];
        if let Some(decision) = memory.recall(&key) {
            let decision = Ok(decision);
            return Decided { decision, masked_failure: None, by: self.digest, compute_time: None };
        }
        let request = policy::Request { line: line.to_vec(), fields };
        let began = Instant::now();
        let decision = self.compute(request, facts.client).await.map(Arc::new);
        match &decision {
            Ok(decision) => memory.remember(&key, decision),
            Err(failure) => self.count(failure),
        }
        let compute_time = Some(began.elapsed());
        Decided { decision, masked_failure: None, by: self.digest, compute_time }
    }

    /// Decides on a fresh instance, and blocks until the guest has decided or has
    /// met a limit; the deadline, three times. Nothing is recalled, remembered or counted.
    pub fn decide_uncached<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Result<Decision, Failure> {
        let request = self.request(line, fields, facts);
        patiently(|| self.run(&request, self.engine.deadline()))
    }

    /// Decides as `decide_uncached` does, and tells what that took.
    pub fn measure<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Result<Cost, Failure> {
        let request = self.request(line, fields, facts);
        let began = Instant::now();
        let mut instance = Instance::new(&self.engine, &self.guest, self.engine.deadline())?;
        let instantiated = Instant::now();
        drop(instance.decide(&request)?);
        let decided = Instant::now();
        let memory_bytes = instance.memory_bytes();
        let instructions = instance.instructions();
        let measured = Instant::now();
        drop(instance);
        Ok(Cost {
            instantiate: instantiated - began,
            decide: decided - instantiated,
            drop: measured.elapsed(),
            memory_bytes,
            instructions,
        })
    }

    /// What it gets to see of a request.
    fn request<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> policy::Request {
        policy::Request { line: line.to_vec(), fields: self.interests.select(fields, facts) }
    }

    /// Decides on a fresh instance, here and now.
    fn run(&self, request: &policy::Request, deadline: Ticks) -> Result<Decision, Failure> {
        Instance::new(&self.engine, &self.guest, deadline)?.decide(request)
    }

    /// The same for a client, on a thread that has had so much of a core's time. Takes note of
    /// what it took.
    fn serve(
        &self,
        request: &policy::Request,
        deadline: Ticks,
        before: Duration,
    ) -> Result<Decision, Failure> {
        let decision = self.run(request, deadline)?;
        // Not where it failed: who makes a guest fail makes nobody else's decisions wait for
        // a thread.
        self.pace.note(cpu_time().saturating_sub(before));
        Ok(decision)
    }

    /// Decides here, or elsewhere if that takes long: a decision depends on
    /// nothing but its request, so one that was given up may be begun anew.
    async fn compute(
        self: &Arc<Self>,
        request: policy::Request,
        client: IpAddr,
    ) -> Result<Decision, Failure> {
        let engine = &self.engine;
        let mut attempts = if self.pace.is_slow() { 0 } else { WORKER_ATTEMPTS };
        while attempts > 0 {
            let before = cpu_time();
            match self.serve(&request, engine.worker_deadline(), before) {
                Err(Failure::Busy) => break,
                Err(Failure::Deadline) if engine.worker_deadline() < engine.deadline() => {}
                decided => return decided,
            }
            // On a busy machine this thread may have lost its core meanwhile.
            attempts = if lacked_a_core(before, WORKER_DEADLINE) { attempts - 1 } else { 0 };
        }
        self.compute_elsewhere(request, client).await
    }

    /// Decides on a thread that may block, when there is room for it.
    async fn compute_elsewhere(
        self: &Arc<Self>,
        request: policy::Request,
        client: IpAddr,
    ) -> Result<Decision, Failure> {
        let generation = Arc::clone(self);
        let decide = move || generation.run_unhurried(&request);
        self.engine.lanes().run(client, decide).await
    }

    /// Decides here and now, again if the deadline passed while others had the core: these
    /// threads are the last to get one.
    fn run_unhurried(&self, request: &policy::Request) -> Result<Decision, Failure> {
        for _ in 1..ATTEMPTS {
            let before = cpu_time();
            match self.serve(request, self.engine.deadline(), before) {
                Err(Failure::Deadline) if lacked_a_core(before, self.engine.limits().deadline) => {}
                decided => return decided,
            }
        }
        self.run(request, self.engine.deadline())
    }

    /// Notes that a decision failed just now, and tells whether that is so of
    /// `limit` of the last 1,000 that it was asked for.
    pub(super) fn fails_often(&self, limit: NonZeroU32) -> bool {
        let counts = self.counts();
        let now = counts.remembered + counts.computed;
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        let mut failed_at = self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.push_back(now);
        while failed_at.front().is_some_and(|&at| at + 1_000 <= now) {
            failed_at.pop_front();
        }
        failed_at.len() >= limit
    }

    /// Decides on what the other generation remembers, so that requests that are
    /// made all the time find their decision there. Gives how many there are.
    pub(super) fn warm_up(&self, other: &LoadedGuest) -> usize {
        if self.interests != other.interests {
            return 0;
        }
        let began = Instant::now();
        let mut warmed = 0;
        for (memory, others) in self.memories.iter().zip(&other.memories) {
            for key in others.keys() {
                if began.elapsed() > WARM_UP {
                    return warmed;
                }
                let (line, fields) = key.request();
                let request = policy::Request { line: line.to_vec(), fields };
                // What fails is not remembered; its request is going to tell.
                if let Ok(decision) = self.run(&request, self.engine.deadline()) {
                    memory.remember(&key, &Arc::new(decision));
                    warmed += 1;
                }
            }
        }
        warmed
    }

    /// Requests that it decided on and remembers, of all workers.
    pub(super) fn remembered_keys(&self) -> impl Iterator<Item = Key<'static>> {
        self.memories.iter().flat_map(Memory::keys)
    }

    /// Decides on a fresh instance what was decided before, by this guest or by another.
    pub(super) fn decide_on(&self, key: &Key<'_>) -> Result<Decision, Failure> {
        let (line, fields) = key.request();
        let request = policy::Request { line: line.to_vec(), fields };
        patiently(|| self.run(&request, self.engine.deadline()))
    }

    fn count(&self, failure: &Failure) {
        let counter = match failure {
            Failure::Busy => &self.counters.busy,
            Failure::Deadline => &self.counters.deadline,
            Failure::Memory(_) => &self.counters.memory,
            Failure::Trap(_) => &self.counters.trap,
            Failure::Refused(_) => &self.counters.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Does what a guest is tried with, again if it missed the deadline: on a busy machine
/// that happens for want of a core. One that loops misses it each time.
fn patiently<R>(attempt: impl Fn() -> Result<R, Failure>) -> Result<R, Failure> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(Failure::Deadline) => {}
            done => return done,
        }
    }
    attempt()
}

/// Whether this thread, which missed a deadline, got to run for less than most of that
/// time since it had run so long.
fn lacked_a_core(before: Duration, deadline: Duration) -> bool {
    cpu_time().saturating_sub(before) < deadline * 3 / 4
}

/// How often a decision is begun on a worker that does not get to run it.
const WORKER_ATTEMPTS: usize = 10;

/// How often a guest that is tried may miss its deadline.
const ATTEMPTS: usize = 3;

/// How long warming up may delay a swap.
const WARM_UP: Duration = Duration::from_millis(100);
