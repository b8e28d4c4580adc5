//! One compilation: its request, its work and its response.
//!
//! It is the same in a helper, at the other end of a socket, and in this process.

use std::fmt;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::component::{FormError, MAX_GUEST_BYTES, component};
use super::function_cache::FunctionCache;
use super::malloc_trim;
use super::settings::{Settings, compiling};
use crate::helper::Bounds;
use crate::helper::protocol::{open_frame, write_frame};
use crate::text;

/// Bytes of machine code that a guest may become, for each byte of the guest. One in Python
/// becomes three.
const CODE_PER_BYTE: u64 = 16;
/// Bytes of machine code that each guest may have beyond that.
const CODE_BYTES: u64 = 8 << 20;

/// Bytes of compiled functions that `innkeeper dev` keeps for the next compilation.
pub(super) const MAX_FUNCTIONS_BYTES: u64 = 512 << 20;

/// Bytes of a guest that takes much memory to compile: some 15 for each of its own.
const LARGE: usize = 512 << 10;

/// The request to a compiler. The guest, and the functions that are known, come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) settings: Settings,
    pub(super) bounds: Bounds,
    /// Whether functions are wanted back, for the next compilation.
    pub(super) keeps_functions: bool,
}

/// The response. The code, and functions if some are new, come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Response {
    Compiled,
    NotCompiled(JobError),
    /// The compiler cannot be put under its bounds here, and reads no guest.
    Unconfined(String),
}

/// Why a guest was not compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum JobError {
    /// It is no component, and describes none.
    Form(FormError),
    /// It does not compile.
    Compile(CompileError),
    /// There is no compiler. The guest is not at fault.
    NoCompiler(String),
}

/// Why a guest does not compile. The same bytes never will, with the same limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CompileError {
    /// It is not valid; the compiler's message.
    Invalid(String),
    /// The compiler panics on it.
    Panic,
    /// The compiler crashes on it, with this signal.
    Crash(i32),
    /// It is nested more deeply than the compiler's stack.
    Stack,
    /// Compiling it takes more seconds of a processor than this limit.
    Time(u64),
    /// Compiling it takes more bytes of memory than this limit.
    Memory(u64),
    /// It would become more machine code than this limit, in bytes.
    CodeSize(u64),
}

impl CompileError {
    /// Whether it is a limit that was met.
    pub fn is_limit(&self) -> bool {
        match self {
            CompileError::Invalid(_) | CompileError::Panic | CompileError::Crash(_) => false,
            CompileError::Stack
            | CompileError::Time(_)
            | CompileError::Memory(_)
            | CompileError::CodeSize(_) => true,
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the guest does not compile: ")?;
        match self {
            CompileError::Invalid(why) => f.write_str(why),
            CompileError::Panic => f.write_str("the compiler panics on it"),
            CompileError::Crash(signal) => {
                write!(f, "the compiler crashes on it (signal {signal})")
            }
            CompileError::Stack => f.write_str("it is nested more deeply than a compiler's stack"),
            CompileError::Time(seconds) => write!(
                f,
                "that takes more than the {seconds} s of a processor that one of its size may \
                 have (--compile-time)"
            ),
            CompileError::Memory(bytes) => write!(
                f,
                "that takes more than the {} of memory that it may (--compile-memory)",
                ByteSize(*bytes).display().iec()
            ),
            CompileError::CodeSize(bytes) => write!(
                f,
                "its machine code is larger than the {} that one of its size may have",
                ByteSize(*bytes).display().iec()
            ),
        }
    }
}

impl std::error::Error for CompileError {}

/// The result of a compilation.
pub(super) struct Compiled {
    pub(super) code: Vec<u8>,
    /// The functions to keep, if there is something new among them.
    pub(super) functions: Option<Vec<u8>>,
}

/// The most bytes of machine code that a guest of this size may become.
pub(super) fn code_limit(guest_bytes: u64) -> u64 {
    CODE_BYTES.saturating_add(CODE_PER_BYTE.saturating_mul(guest_bytes))
}

/// Compiles in this process. `functions` are those that are known, if they are to be kept.
pub(super) fn compile(
    settings: &Settings,
    guest: &[u8],
    functions: Option<&[u8]>,
) -> Result<Compiled, JobError> {
    let component = component(guest).map_err(JobError::Form)?;
    let cache = functions.map(|known| Arc::new(FunctionCache::recalled(known)));
    let engine = compiling(settings, cache.clone())
        .map_err(|error| JobError::NoCompiler(text::error_line(error)))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| JobError::Compile(CompileError::Invalid(text::error_line(error))));
    if guest.len() >= LARGE {
        malloc_trim::give_back();
    }
    Ok(Compiled { code: code?, functions: cache.and_then(|cache| cache.write_down()) })
}

/// Does the job of a compiler, at the other end of this socket.
pub fn work(socket: UnixStream) -> io::Result<()> {
    // The response says what a guest makes the tools panic with.
    std::panic::set_hook(Box::new(|_| {}));
    let mut from = BufReader::new(&socket);
    let limits = [MAX_GUEST_BYTES, MAX_FUNCTIONS_BYTES];
    let opened = open_frame::<Request, 2>(&mut from, limits).map_err(io::Error::other)?;
    if let Err(error) = opened.head.bounds.enter() {
        // The guest is still on its way: the server, which writes it, must not meet a closed
        // socket before it reads this.
        opened.parts(&mut from).map_err(io::Error::other)?;
        let why = error.to_string();
        return write_frame(&mut &socket, &Response::Unconfined(why), &[b"", b""])
            .map_err(io::Error::other);
    }
    let (request, [guest, functions]) = opened.parts(&mut from).map_err(io::Error::other)?;
    let known = request.keeps_functions.then_some(&functions[..]);
    let compiled = catch_unwind(AssertUnwindSafe(|| compile(&request.settings, &guest, known)));
    let limit = code_limit(guest.len() as u64);
    let compiled = match compiled {
        Ok(Ok(Compiled { code, .. })) if code.len() as u64 > limit => {
            Err(JobError::Compile(CompileError::CodeSize(limit)))
        }
        Ok(result) => result,
        Err(_) => Err(JobError::Compile(CompileError::Panic)),
    };
    let written = match compiled {
        Ok(Compiled { code, functions }) => {
            let functions = functions.unwrap_or_default();
            write_frame(&mut &socket, &Response::Compiled, &[&code, &functions])
        }
        Err(error) => write_frame(&mut &socket, &Response::NotCompiled(error), &[b"", b""]),
    };
    written.map_err(io::Error::other)
}
