//! Compiles guests: in a helper, a process with limits and without files or connections, or in
//! this process if there is no helper.
//!
//! Compiling takes memory and time that are no function of a guest's size: with loops and
//! locals both are quadratic in it. And a guest is not trusted before it is compiled. So a
//! server does not even parse an uploaded guest: the *compiler* does (`helper/`), and returns
//! machine code. It is wasmtime's in both processes, with one [`Settings`] for both.

use std::fmt;
use std::io::BufReader;
use std::time::Duration;

use super::compile_job::{
    Compiled, MAX_FUNCTIONS_BYTES, Product, Request, Response, Task, code_limit, compile,
    product_limit,
};
use super::component::FormError;
use super::configure::{ConfigureLimits, RESERVED_BYTES};
use super::job_error::{CompileError, JobError};
use super::settings::Settings;
use super::turns::Turns;
use crate::guest::default_guest::DEFAULT_GUEST;
use crate::guest::digest::Digest;
use crate::guest::load_error::LoadError;
use crate::helper::job::NoHelper;
use crate::helper::protocol::{Ending, ProtocolError, open_frame, write_frame};
use crate::helper::{Bounds, CancelToken, Ended, Helpers, Role};
use crate::text;

/// Bytes of compiled functions that are kept of a guest that was configured, for its next data:
/// those of one in JavaScript, and not those of one in Python.
pub const KEPT_FUNCTIONS_BYTES: usize = 32 << 20;

/// How often the processor's time fits into the time that it may take by the clock.
const WALL: u64 = 20;

/// How a compilation is ranked beside workers, with 0, for its first second; after that it is
/// the last (`helper/spawner.rs`). It gets about a tenth of a core that they want too, and all
/// of one that is idle (sched(7)).
const NICENESS: i32 = 10;

/// What compiling one guest may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of memory. A guest in Python, the largest known, takes a third of the default.
    pub memory_bytes: u64,
    /// Of a processor's time, for each MiB of a guest that was begun. One in JavaScript takes
    /// a second, one in Python 25 for its 19 MiB.
    pub time: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        CompileLimits { memory_bytes: 1 << 30, time: Duration::from_secs(10) }
    }
}

impl CompileLimits {
    /// Bytes of machine code that a guest of this size may become: no more than compiling it may
    /// take in all.
    pub fn code_bytes(&self, guest_bytes: u64) -> u64 {
        code_limit(guest_bytes).min(self.memory_bytes)
    }

    /// Seconds of a processor for a guest, with its data, of this size.
    fn processor_s(&self, bytes: usize) -> u64 {
        self.time.as_secs().max(1).saturating_mul(bytes.div_ceil(1 << 20).max(1) as u64)
    }
}

/// How urgent a compilation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing is served before.
    First,
    /// Another guest serves meanwhile, and must not notice.
    Beside,
}

/// Compiles guests, one at a time.
pub(super) struct Compiler {
    settings: Settings,
    limits: CompileLimits,
    configuration: ConfigureLimits,
    /// If `None`, guests are compiled in this process, and have to be trusted.
    helpers: Option<Helpers>,
    /// Two compilations at a time would take twice the memory.
    turns: Turns<Known>,
    keeps_functions: bool,
}

/// The functions that were compiled before, where they are kept.
#[derive(Default)]
struct Known {
    functions: Option<Vec<u8>>,
    /// The guest whose functions they are: no other guest runs them, as it is its compiler that
    /// said what they are. `None` in `innkeeper dev`, where a guest's next edition does.
    of: Option<Digest>,
}

impl Compiler {
    pub(super) fn new(
        settings: Settings,
        configuration: ConfigureLimits,
        keeps_functions: bool,
    ) -> Compiler {
        Compiler {
            settings,
            limits: CompileLimits::default(),
            configuration,
            helpers: None,
            turns: Turns::default(),
            keeps_functions,
        }
    }

    /// The compiler, with helpers to compile in.
    pub(super) fn in_helpers(self, helpers: Helpers, limits: CompileLimits) -> Compiler {
        Compiler { helpers: Some(helpers), limits, ..self }
    }

    /// Whether functions are kept from one compilation to the next.
    pub(super) fn keeps_functions(&self) -> bool {
        self.keeps_functions
    }

    /// Compiles a guest. `recall` reads the functions that were kept, and `keep` takes new ones,
    /// where they are kept: those of the guest with this digest, or of any edition in
    /// `innkeeper dev`.
    pub(super) fn run(
        &self,
        task: Task<'_>,
        urgency: Urgency,
        cancel: &CancelToken,
        recall: impl Fn(Option<Digest>) -> Option<Vec<u8>>,
        keep: impl FnOnce(Option<Digest>, &[u8]),
    ) -> Result<Vec<u8>, LoadError> {
        let mut known = self.turns.next();
        if cancel.is_canceled() {
            return Err(LoadError::Canceled);
        }
        if self.keeps_functions && known.functions.is_none() {
            known.functions = recall(None);
        }
        let of = (!self.keeps_functions && known.of.is_some() || task.data.is_some())
            .then(|| Digest::of(task.guest));
        if !self.keeps_functions
            && task.data.is_some()
            && known.of != of
            && let Some(functions) = recall(of)
        {
            *known = Known { functions: Some(functions), of };
        }
        let is_known = self.keeps_functions || known.of.is_some() && known.of == of;
        let functions = known.functions.as_deref().filter(|_| is_known).unwrap_or_default();
        let compiled = self.compile(task, urgency, cancel, functions)?;
        match compiled.functions {
            Some(functions) if self.keeps_functions => {
                keep(None, &functions);
                known.functions = Some(functions);
            }
            Some(functions) if functions.len() <= KEPT_FUNCTIONS_BYTES => {
                let of = of.or_else(|| Some(Digest::of(task.guest)));
                keep(of, &functions);
                *known = Known { functions: Some(functions), of };
            }
            Some(_) | None => {}
        }
        Ok(compiled.product)
    }

    /// Compiles the live form of a guest when nothing else is to be compiled: what comes meanwhile
    /// cancels it, and it begins again after that, as long as it is wanted. Functions are neither
    /// recalled nor kept: those of the other form would be lost.
    pub(super) fn run_live(
        &self,
        guest: &[u8],
        data: Option<&[u8]>,
        has_spare: bool,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, LoadError> {
        let task = Task { guest, data, product: Product::Live { has_spare } };
        loop {
            let compiled = self.turns.when_idle(|cancel| match is_wanted() {
                true => self.compile(task, Urgency::Beside, cancel, &[]),
                false => Err(LoadError::Canceled),
            });
            match compiled {
                Err(LoadError::Canceled) if is_wanted() => {}
                compiled => return Ok(compiled?.product),
            }
        }
    }

    /// Compiles in a helper what has to be, and the rest here.
    fn compile(
        &self,
        task: Task<'_>,
        urgency: Urgency,
        cancel: &CancelToken,
        functions: &[u8],
    ) -> Result<Compiled, LoadError> {
        match &self.helpers {
            Some(helpers) if task.guest != DEFAULT_GUEST => {
                self.in_helper(helpers, task, urgency, cancel, functions)
            }
            _ => {
                compile(&self.settings, &self.configuration, task, functions, self.keeps_functions)
                    .map_err(|error| bounded(error).into())
            }
        }
    }

    fn in_helper(
        &self,
        helpers: &Helpers,
        task: Task<'_>,
        urgency: Urgency,
        cancel: &CancelToken,
        functions: &[u8],
    ) -> Result<Compiled, LoadError> {
        let Task { guest, data, product } = task;
        let mut job = helpers.begin(Role::Compiler, self.wall(task), cancel).map_err(
            |problem| match problem {
                NoHelper::Canceled => LoadError::Canceled,
                NoHelper::Gone | NoHelper::NotStarted(_) => unavailable(problem),
            },
        )?;
        let request = Request {
            settings: self.settings,
            bounds: Bounds {
                // Functions are in memory twice: as they came, and as they are used.
                memory_bytes: self.limits.memory_bytes + 3 * functions.len() as u64,
                reserved_bytes: RESERVED_BYTES,
                processor_s: self.processor_s(task),
                niceness: if urgency == Urgency::First { 0 } else { NICENESS },
            },
            configuration: self.configuration,
            product,
            has_data: data.is_some(),
            keeps_functions: self.keeps_functions,
        };
        let limit = product_limit(guest.len() as u64, &self.configuration);
        let parts = [guest, data.unwrap_or_default(), functions];
        let response = write_frame(&mut &job.socket, &request, &parts).and_then(|()| {
            let mut from = BufReader::new(&job.socket);
            open_frame(&mut from, [limit, MAX_FUNCTIONS_BYTES])?.parts(&mut from)
        });
        let [product, functions] = match response {
            Ok((Response::Compiled, parts)) => parts,
            Ok((Response::NotCompiled(error), _)) => return Err(bounded(error).into()),
            Ok((Response::Unconfined(why), _)) => {
                return Err(unavailable(format_args!("its compiler cannot be confined: {why}")));
            }
            Err(_) if cancel.is_canceled() => return Err(LoadError::Canceled),
            Err(ProtocolError::Closed) => return Err(self.ended(job.ended(), task)),
            Err(ProtocolError::Bounds) => {
                return Err(LoadError::Compile(CompileError::CodeSize(limit)));
            }
            Err(problem) => return Err(unavailable(problem)),
        };
        let is_new = !functions.is_empty();
        Ok(Compiled { product, functions: is_new.then_some(functions) })
    }

    /// Seconds of a processor for compiling this.
    fn compile_s(&self, task: Task<'_>) -> u64 {
        self.limits.processor_s(task.guest.len() + task.data.map_or(0, <[u8]>::len))
    }

    /// Seconds of a processor for all of it: which guests are to be configured is known only when
    /// they are read.
    fn processor_s(&self, task: Task<'_>) -> u64 {
        let configuration = self.configuration.time.as_secs().saturating_add(1);
        self.compile_s(task).saturating_add(configuration)
    }

    /// With all waiting: on a busy machine the compiler, which has the last rank, gets a
    /// fraction of a core.
    fn wall(&self, task: Task<'_>) -> Duration {
        Duration::from_secs(self.processor_s(task).saturating_mul(WALL))
    }

    /// Why a compiler ended without a response.
    fn ended(&self, ended: Ended, task: Task<'_>) -> LoadError {
        let ending = match ended {
            Ended::Spawner => return unavailable(NoHelper::Gone),
            Ended::Helper(ending) => ending,
        };
        match ending {
            Ending::Processor => LoadError::Compile(CompileError::Time(self.compile_s(task))),
            Ending::Memory => LoadError::Compile(CompileError::Memory(self.limits.memory_bytes)),
            Ending::Stack => LoadError::Compile(CompileError::Stack),
            // A crash, in the words of the kernel: the next one would crash too.
            Ending::Signal(signal @ (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL)) => {
                LoadError::Compile(CompileError::Crash(signal))
            }
            Ending::Late => unavailable(format_args!(
                "its compiler was stopped after {} s: the machine is busy with other things, or \
                 it takes too long",
                self.wall(task).as_secs()
            )),
            Ending::Signal(signal) => {
                unavailable(format_args!("its compiler was ended by signal {signal}; {RETRY}"))
            }
            Ending::Canceled => LoadError::Canceled,
            Ending::Done | Ending::Failed => unavailable(format_args!(
                "its compiler ended without a response; if this program's libraries were replaced \
                 since its start, restart the server; {RETRY}"
            )),
        }
    }
}

const RETRY: &str = "the guest is tried again when its file changes or on request";

fn unavailable(why: impl fmt::Display) -> LoadError {
    LoadError::Unavailable(text::error_line(why))
}

/// The error, with texts of one line and not too long: it comes from a process that has read
/// the guest.
fn bounded(error: JobError) -> JobError {
    match error {
        JobError::Form(FormError::TypeMismatch(why)) => {
            JobError::Form(FormError::TypeMismatch(text::error_line(why)))
        }
        JobError::Compile(CompileError::Invalid(why)) => {
            JobError::Compile(CompileError::Invalid(text::error_line(why)))
        }
        JobError::Contract(error) => JobError::Contract(error.bounded()),
        JobError::Configuration(error) => JobError::Configuration(error.bounded()),
        JobError::NoCompiler(why) => JobError::NoCompiler(text::error_line(why)),
        JobError::Form(_) | JobError::Compile(_) => error,
    }
}

impl From<JobError> for LoadError {
    fn from(error: JobError) -> LoadError {
        match error {
            JobError::Form(error) => LoadError::Form(error),
            JobError::Contract(error) => LoadError::Contract(error),
            JobError::Compile(error) => LoadError::Compile(error),
            JobError::Configuration(error) => LoadError::Configuration(error),
            JobError::NoCompiler(why) => LoadError::Unavailable(why),
        }
    }
}
