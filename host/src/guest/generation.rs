//! One loaded guest, and the call that asks it for a decision.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{ResourceLimiter, Store, Trap};

use super::bindings::GuestPre;
use super::bindings::exports::innkeeper::policy::policy;
use super::decision::{Decision, Refusal};
use super::engine::Engine;
use super::load;
use super::memory::{self, Memory};

/// Names that one guest may be interested in. A policy that reads more than a
/// handful of fields is rare; browsers send about fifteen.
const MAX_INTERESTS: usize = 64;

/// A guest that was compiled, checked against the world and asked for its
/// interests.
pub struct Generation {
    engine: Arc<Engine>,
    guest: GuestPre<Usage>,
    interests: Vec<Interest>,
    imports: Vec<String>,
    memory: Memory,
}

/// Something of a request, besides its line, that a guest reads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Interest {
    /// The header fields of this name, in lower case.
    Field(String),
    /// `:client-address`
    ClientAddress,
    /// `:scheme`
    Scheme,
}

/// What is known of a request besides its head.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The client's address.
    pub client: IpAddr,
}

/// Why there is no decision.
#[derive(Debug)]
pub enum Failure {
    /// All instances are in use.
    Busy,
    /// The guest did not decide in time.
    Deadline,
    /// The guest asked for more memory, or a larger table, than it may have.
    Memory(String),
    /// The guest trapped, or its answer could not be read.
    Trap(String),
    /// The guest's decision breaks a rule of the contract.
    Refused(Refusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Busy => write!(f, "all instances are in use"),
            Failure::Deadline => write!(f, "it did not decide before its deadline"),
            Failure::Memory(what) | Failure::Trap(what) => write!(f, "{what}"),
            Failure::Refused(refusal) => write!(f, "its decision was refused: {refusal}"),
        }
    }
}

impl Generation {
    /// Compiles a guest, given as a component or as a core module that carries
    /// its component type.
    ///
    /// The error is a sentence for the person who named the guest.
    pub fn load(engine: &Arc<Engine>, bytes: &[u8]) -> Result<Generation, String> {
        let component = load::component(bytes)?;
        let component = Component::from_binary(engine.wasm(), &component)
            .map_err(|error| format!("it does not compile: {error:#}"))?;
        let imports = component
            .component_type()
            .imports(engine.wasm())
            .map(|(name, _)| name.to_owned())
            .collect();
        let mut linker = Linker::new(engine.wasm());
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(|error| format!("it imports what cannot be stubbed: {error:#}"))?;
        let guest =
            linker.instantiate_pre(&component).and_then(GuestPre::new).map_err(|error| {
                format!("it does not export the world `guest` of wit/policy.wit: {error:#}")
            })?;
        let mut generation = Generation {
            engine: Arc::clone(engine),
            guest,
            interests: Vec::new(),
            imports,
            memory: Memory::new(),
        };
        generation.interests = generation.ask_interests()?;
        Ok(generation)
    }

    /// What the component names as imports. None of it is there: calling one
    /// traps.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Asks for a decision on the request with this line and these header
    /// fields, given in order of arrival. If it was not asked the same before, it
    /// runs on a fresh instance, and blocks until the guest has decided or has met
    /// a limit.
    pub fn decide<'a>(
        &self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Result<Arc<Decision>, Failure> {
        let fields = self.of_interest(fields, facts);
        let key = match fields.as_slice() {
            [] => Cow::Borrowed(line),
            fields => Cow::Owned(memory::key(line, fields)),
        };
        if let Some(decision) = self.memory.recall(&key) {
            return Ok(decision);
        }
        let request = policy::Request { line: line.to_vec(), fields };
        let decision =
            self.run(|guest, store| guest.call_decide(store, &request)).map_err(classify)?;
        let decision = Arc::new(Decision::check(decision).map_err(Failure::Refused)?);
        self.memory.remember(&key, &decision);
        Ok(decision)
    }

    /// The fields and facts that the guest asked for.
    fn of_interest<'a>(
        &self,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
        facts: Facts,
    ) -> Vec<policy::Field> {
        let fact = |name: &str, value: String| policy::Field {
            name: name.to_owned(),
            value: value.into_bytes(),
        };
        if self.interests.is_empty() {
            return Vec::new();
        }
        let mut selected: Vec<_> = self
            .interests
            .iter()
            .filter_map(|interest| match interest {
                Interest::ClientAddress => Some(fact(CLIENT_ADDRESS, facts.client.to_string())),
                Interest::Scheme => Some(fact(SCHEME, "http".to_owned())),
                Interest::Field(_) => None,
            })
            .collect();
        for (name, value) in fields {
            let wanted = self.interests.iter().find_map(|interest| match interest {
                Interest::Field(wanted) if wanted.eq_ignore_ascii_case(name) => Some(wanted),
                _ => None,
            });
            if let Some(name) = wanted {
                selected.push(policy::Field { name: name.clone(), value: value.to_vec() });
            }
        }
        selected
    }

    fn ask_interests(&self) -> Result<Vec<Interest>, String> {
        let names = self
            .run(|guest, store| guest.call_interests(store))
            .map_err(|error| format!("asked for its interests, it fails: {}", classify(error)))?;
        if names.len() > MAX_INTERESTS {
            return Err(format!(
                "it is interested in {} fields; {MAX_INTERESTS} are allowed",
                names.len()
            ));
        }
        names
            .into_iter()
            .map(|name| match name.as_str() {
                CLIENT_ADDRESS => Ok(Interest::ClientAddress),
                SCHEME => Ok(Interest::Scheme),
                _ if super::decision::is_token(&name) => {
                    Ok(Interest::Field(name.to_ascii_lowercase()))
                }
                _ => Err(format!(
                    "it is interested in {name:?}, which is neither a field name nor one of the \
                     facts `{CLIENT_ADDRESS}` and `{SCHEME}`"
                )),
            })
            .collect()
    }

    /// Makes a fresh instance, calls it once and drops it.
    fn run<R>(
        &self,
        call: impl FnOnce(&policy::Guest, &mut Store<Usage>) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<R> {
        let limits = self.engine.limits();
        let usage = Usage { memory_left: limits.memory_bytes };
        let mut store = Store::new(self.engine.wasm(), usage);
        store.limiter(|usage| usage);
        store.set_epoch_deadline(self.engine.deadline_ticks());
        store.set_hostcall_fuel(limits.decision_bytes);
        let instance = self.guest.instantiate(&mut store)?;
        call(instance.innkeeper_policy_policy(), &mut store)
    }
}

/// The fact that names the client's address.
const CLIENT_ADDRESS: &str = ":client-address";

/// The fact that names the URL's scheme.
const SCHEME: &str = ":scheme";

/// What a running instance has left of its limits.
struct Usage {
    memory_left: usize,
}

/// Growth beyond the limit traps, so that the log can tell the cause: a guest
/// that is told "no" only aborts.
impl ResourceLimiter for Usage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired - current;
        if growth > self.memory_left {
            return Err(OverLimit(format!("it asks for {desired} bytes of memory")).into());
        }
        self.memory_left -= growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its memory cannot grow: {error}")).into())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's tables have a fixed size; beyond it the next call is made.
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverLimit(format!("its table cannot grow: {error}")).into())
    }
}

/// A limit on what a guest may have was met.
#[derive(Debug)]
struct OverLimit(String);

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// Tells apart why a call failed.
fn classify(error: wasmtime::Error) -> Failure {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Failure::Busy;
    }
    if let Some(OverLimit(what)) = error.downcast_ref() {
        return Failure::Memory(what.clone());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline,
        Some(trap) => Failure::Trap(trap.to_string()),
        None => Failure::Trap(format!("{error:#}")),
    }
}
