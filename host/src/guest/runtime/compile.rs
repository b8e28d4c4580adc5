//! Compiles guests: in a helper, a process with limits and without files or connections, or in
//! this process if there is no helper.
//!
//! Compiling takes memory and time that are no function of a guest's size: with loops and
//! locals both are quadratic in it. And what is compiled is not trusted yet. So a server does
//! not even parse a guest that somebody gave it: the *compiler* does (`helper/`), and gives
//! back machine code. It is wasmtime's in both processes, with one [`Settings`] for both.

use std::fmt;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::function_cache::FunctionCache;
use super::settings::{Settings, compiling};
use super::{component, malloc_trim};
use crate::guest::default_guest::DEFAULT_GUEST;
use crate::guest::runtime::component::MAX_GUEST_BYTES;
use crate::helper::job::NoHelper;
use crate::helper::protocol::{Ending, ProtocolError, open_frame, write_frame};
use crate::helper::{Bounds, Ended, GiveUp, Helpers, Role};
use crate::text;

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
        most_code_bytes(guest_bytes).min(self.memory_bytes)
    }

    /// Seconds of a processor for a guest of this size.
    fn processor_s(&self, bytes: usize) -> u64 {
        self.time.as_secs().max(1).saturating_mul(bytes.div_ceil(1 << 20).max(1) as u64)
    }

    /// With all waiting: on a busy machine the compiler, which has the last rank, gets a
    /// fraction of a core.
    fn wall(&self, bytes: usize) -> Duration {
        Duration::from_secs(self.processor_s(bytes).saturating_mul(WALL))
    }
}

/// How often the processor's time fits into the time that it may take by the clock.
const WALL: u64 = 20;

/// Bytes of machine code that a guest may become, for each byte of the guest. One in Python
/// becomes three.
const CODE_PER_BYTE: u64 = 16;
/// Bytes of machine code that each guest may have beyond that.
const CODE_BYTES: u64 = 8 << 20;

/// Bytes of machine code that a guest of this size may become.
fn most_code_bytes(guest_bytes: u64) -> u64 {
    CODE_BYTES.saturating_add(CODE_PER_BYTE.saturating_mul(guest_bytes))
}

/// Bytes of compiled functions that `innkeeper dev` keeps for the next compilation.
const MAX_FUNCTIONS_BYTES: u64 = 512 << 20;

/// How a compilation is ranked beside workers, with 0, for its first second; after that it is
/// the last (`helper/spawner.rs`). It gets about a tenth of a core that they want too, and all
/// of one that is idle (sched(7)).
const NICENESS: i32 = 10;

/// What is asked of a compiler. The guest, and the functions that are known, come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    settings: Settings,
    bounds: Bounds,
    /// Whether functions are wanted back, for the next compilation.
    keeps_functions: bool,
}

/// What it answers. The code, and functions if some are new, come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Response {
    Compiled,
    /// The guest is at fault.
    Refused(String),
    /// It is not: the compiler cannot be put under its bounds here, and reads no guest.
    Unconfined(String),
}

/// How urgently a guest is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing is served before.
    First,
    /// Another one serves meanwhile, and must not notice.
    Beside,
}

/// Why a guest was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// It cannot be: the same bytes never will. A sentence.
    Unfit(String),
    /// It could not be now, whatever it is. A sentence.
    Hindered(String),
    /// Nobody waits for it any more.
    GivenUp,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unfit(why) | LoadError::Hindered(why) => f.write_str(why),
            LoadError::GivenUp => f.write_str("it was given up: nobody waits for it any more"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Compiles guests, one at a time.
pub(super) struct Compiler {
    settings: Settings,
    limits: CompileLimits,
    /// If `None`, guests are compiled in this process, and have to be trusted.
    helpers: Option<Helpers>,
    /// Locked during a compilation: two at a time would take twice the memory. Holds the
    /// functions that were compiled before, if they are kept.
    at_work: Mutex<Option<Vec<u8>>>,
    keeps_functions: bool,
}

impl Compiler {
    pub(super) fn new(settings: Settings, keeps_functions: bool) -> Compiler {
        Compiler {
            settings,
            limits: CompileLimits::default(),
            helpers: None,
            at_work: Mutex::default(),
            keeps_functions,
        }
    }

    /// The same, that compiles in helpers.
    pub(super) fn in_helpers(self, helpers: Helpers, limits: CompileLimits) -> Compiler {
        Compiler { helpers: Some(helpers), limits, ..self }
    }

    /// Whether functions are kept from one compilation to the next.
    pub(super) fn keeps_functions(&self) -> bool {
        self.keeps_functions
    }

    /// Gives the machine code of a guest. `recall` gives the functions that were written down,
    /// and `write_down` takes them, where they are kept.
    pub(super) fn code(
        &self,
        guest: &[u8],
        urgency: Urgency,
        give_up: &GiveUp,
        recall: impl FnOnce() -> Option<Vec<u8>>,
        write_down: impl FnOnce(&[u8]),
    ) -> Result<Vec<u8>, LoadError> {
        // Each change of it is one step, whoever panicked.
        let mut known = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if give_up.is_wanted() {
            return Err(LoadError::GivenUp);
        }
        if self.keeps_functions && known.is_none() {
            *known = recall();
        }
        let functions = self.keeps_functions.then(|| known.as_deref().unwrap_or_default());
        let made = match &self.helpers {
            Some(helpers) if guest != DEFAULT_GUEST => {
                self.in_helper(helpers, guest, urgency, give_up, functions.unwrap_or_default())
            }
            _ => here(&self.settings, guest, functions),
        }?;
        if let Some(functions) = made.functions {
            write_down(&functions);
            *known = Some(functions);
        }
        Ok(made.code)
    }

    fn in_helper(
        &self,
        helpers: &Helpers,
        guest: &[u8],
        urgency: Urgency,
        give_up: &GiveUp,
        functions: &[u8],
    ) -> Result<Made, LoadError> {
        let cannot = |why: &dyn fmt::Display| {
            LoadError::Hindered(format!("it cannot be compiled now: {}", text::error_line(why)))
        };
        let wall = self.limits.wall(guest.len());
        let mut job =
            helpers.begin(Role::Compiler, wall, give_up).map_err(|problem| match problem {
                NoHelper::GivenUp => LoadError::GivenUp,
                NoHelper::Gone | NoHelper::NotStarted(_) => cannot(&problem),
            })?;
        let request = Request {
            settings: self.settings,
            bounds: Bounds {
                // FunctionCache stand there twice: as they came, and as they are used.
                memory_bytes: self.limits.memory_bytes + 3 * functions.len() as u64,
                processor_s: self.limits.processor_s(guest.len()),
                niceness: if urgency == Urgency::First { 0 } else { NICENESS },
            },
            keeps_functions: self.keeps_functions,
        };
        let asked = write_frame(&mut &job.socket, &request, &[guest, functions]);
        let answered = asked.and_then(|()| {
            let most = most_code_bytes(guest.len() as u64);
            let mut from = BufReader::new(&job.socket);
            open_frame(&mut from, [most, MAX_FUNCTIONS_BYTES])?.parts(&mut from)
        });
        let [code, functions] = match answered {
            Ok((Response::Compiled, parts)) => parts,
            // It speaks of what a stranger wrote.
            Ok((Response::Refused(why), _)) => return Err(LoadError::Unfit(text::error_line(why))),
            Ok((Response::Unconfined(why), _)) => {
                return Err(cannot(&format_args!("its compiler cannot be confined: {why}")));
            }
            Err(_) if give_up.is_wanted() => return Err(LoadError::GivenUp),
            Err(ProtocolError::Closed) => return Err(self.told(job.ended(), guest.len())),
            Err(ProtocolError::Bounds) => {
                return Err(LoadError::Unfit(
                    "it does not compile: its machine code is much larger than a guest's of its \
                     size may be"
                        .to_owned(),
                ));
            }
            Err(problem) => return Err(cannot(&problem)),
        };
        let is_new = !functions.is_empty();
        Ok(Made { code, functions: is_new.then_some(functions) })
    }

    /// Says what a compiler died of.
    fn told(&self, ended: Ended, bytes: usize) -> LoadError {
        let unfit = |why: String| LoadError::Unfit(format!("it does not compile: {why}"));
        let ending = match ended {
            Ended::Spawner => {
                let why = NoHelper::Gone;
                return LoadError::Hindered(format!("it cannot be compiled now: {why}"));
            }
            Ended::Helper(ending) => ending,
        };
        match ending {
            Ending::Processor => unfit(format!(
                "that takes more than the {} s of a processor that one of its size may have \
                 (--compile-time)",
                self.limits.processor_s(bytes)
            )),
            Ending::Memory => unfit(format!(
                "that takes more than the {} of memory that it may (--compile-memory)",
                ByteSize(self.limits.memory_bytes).display().iec()
            )),
            Ending::Stack => unfit("it is nested more deeply than a compiler's stack".to_owned()),
            // A crash, in the words of the kernel: the next one would crash too.
            Ending::Signal(signal @ (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL)) => {
                unfit(format!("the compiler crashes on it (signal {signal})"))
            }
            Ending::Late => LoadError::Hindered(format!(
                "compiling it was given up after {} s: the machine is busy with other things, or it \
                 takes too long",
                self.limits.wall(bytes).as_secs()
            )),
            Ending::Signal(signal) => LoadError::Hindered(format!(
                "its compiler was ended by signal {signal}; it is tried again when its file changes \
                 or somebody asks for it"
            )),
            Ending::GivenUp => LoadError::GivenUp,
            Ending::Done | Ending::Failed => LoadError::Hindered(
                "its compiler ended without a word; if this program's libraries were replaced since \
                 its start, restart the server; the guest is tried again when its file changes or \
                 somebody asks for it"
                    .to_owned(),
            ),
        }
    }
}

/// What came of a compilation.
struct Made {
    code: Vec<u8>,
    /// The functions to keep, if there is something new among them.
    functions: Option<Vec<u8>>,
}

/// Compiles in this process. `functions` are those that are known, if they are to be kept.
fn here(settings: &Settings, guest: &[u8], functions: Option<&[u8]>) -> Result<Made, LoadError> {
    let component = component::component(guest).map_err(LoadError::Unfit)?;
    let kept = functions.map(|known| Arc::new(FunctionCache::recalled(known)));
    let engine = compiling(settings, kept.clone()).map_err(|error| {
        LoadError::Hindered(format!("no compiler can be made: {}", text::error_line(error)))
    })?;
    let code = engine.precompile_component(&component).map_err(|error| {
        LoadError::Unfit(format!("it does not compile: {}", text::error_line(error)))
    });
    if guest.len() >= LARGE {
        malloc_trim::give_back();
    }
    Ok(Made { code: code?, functions: kept.and_then(|kept| kept.write_down()) })
}

/// Bytes of a guest that takes much memory to compile: some 15 for each of its own.
const LARGE: usize = 512 << 10;

/// Does the job of a compiler, at the other end of this socket.
pub fn work(socket: UnixStream) -> io::Result<()> {
    // What a guest makes the tools panic with is said by the answer.
    std::panic::set_hook(Box::new(|_| {}));
    let mut from = BufReader::new(&socket);
    let limits = [MAX_GUEST_BYTES, MAX_FUNCTIONS_BYTES];
    let opened = open_frame::<Request, 2>(&mut from, limits).map_err(io::Error::other)?;
    if let Err(error) = opened.head.bounds.enter() {
        // The guest is still on its way: whoever writes it must not meet a closed socket before
        // it reads this.
        opened.parts(&mut from).map_err(io::Error::other)?;
        let why = error.to_string();
        return write_frame(&mut &socket, &Response::Unconfined(why), &[b"", b""])
            .map_err(io::Error::other);
    }
    let (request, [guest, functions]) = opened.parts(&mut from).map_err(io::Error::other)?;
    let known = request.keeps_functions.then_some(&functions[..]);
    let made = catch_unwind(AssertUnwindSafe(|| here(&request.settings, &guest, known)));
    let made = made.unwrap_or_else(|_| Err(LoadError::Unfit("compiling it panics".to_owned())));
    let most = most_code_bytes(guest.len() as u64);
    let answered = match made {
        Ok(Made { code, .. }) if code.len() as u64 > most => {
            let mebibytes = code.len() >> 20;
            let why = format!("it does not compile: it would be {mebibytes} MiB of machine code");
            write_frame(&mut &socket, &Response::Refused(why), &[b"", b""])
        }
        Ok(Made { code, functions }) => {
            let functions = functions.unwrap_or_default();
            write_frame(&mut &socket, &Response::Compiled, &[&code, &functions])
        }
        Err(problem) => {
            write_frame(&mut &socket, &Response::Refused(problem.to_string()), &[b"", b""])
        }
    };
    answered.map_err(io::Error::other)
}
