//! One compilation: its request, its work and its response.
//!
//! It is the same in a helper, at the other end of a socket, and in this process.

use std::borrow::Cow;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::component::{MAX_GUEST_BYTES, component};
use super::configurable::{Configurable, marked_done};
use super::configuration_error::ConfigurationError;
use super::configure::{ConfigureLimits, configure};
use super::contract::check_exports;
use super::function_cache::FunctionCache;
use super::job_error::{CompileError, JobError};
use super::live::code::LiveCode;
use super::live::ineligible::Ineligible;
use super::live::rewrite::{Rewritten, rewrite};
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

/// Bytes of compiled functions that are kept for the next compilation.
pub(super) const MAX_FUNCTIONS_BYTES: u64 = 512 << 20;

/// The most bytes of data for a guest: it is copied into its memory, of which there are 64 MiB.
pub const MAX_DATA_BYTES: u64 = 64 << 20;

/// Bytes of a guest that takes much memory to compile: some 15 for each of its own.
const LARGE: usize = 512 << 10;

/// What is made of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Product {
    /// Machine code.
    Code,
    /// A component that holds its data: not compiled.
    Component,
    /// What has to be known of its live form, and the machine code of that.
    Live {
        /// Whether it has memory to spare.
        has_spare: bool,
    },
}

/// The request to a compiler. The guest, its data and the functions that are known come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) settings: Settings,
    pub(super) bounds: Bounds,
    /// What a configuration may use.
    pub(super) configuration: ConfigureLimits,
    pub(super) product: Product,
    /// Whether there is data: it may be empty.
    pub(super) has_data: bool,
    /// Whether functions are wanted back, for the next compilation. Those of a guest that is
    /// configured always are.
    pub(super) keeps_functions: bool,
}

/// The response. The product, and functions if some are new, come as parts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Response {
    Compiled,
    NotCompiled(JobError),
    /// The compiler cannot be put under its bounds here, and reads no guest.
    Unconfined(String),
}

/// The result of a compilation.
pub(super) struct Compiled {
    /// Machine code, or a component.
    pub(super) product: Vec<u8>,
    /// The functions to keep, if there is something new among them.
    pub(super) functions: Option<Vec<u8>>,
}

/// One guest to compile.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) guest: &'a [u8],
    pub(super) data: Option<&'a [u8]>,
    pub(super) product: Product,
}

/// The most bytes that a guest of this size may become, as machine code or as a component. Its
/// state may be as large as its memory, if it is configured.
pub(super) fn product_limit(guest_bytes: u64, configuration: &ConfigureLimits) -> u64 {
    code_limit(guest_bytes).saturating_add(configuration.memory_bytes as u64)
}

/// The most bytes of machine code that a guest of this size may become, beside its state.
pub(super) fn code_limit(guest_bytes: u64) -> u64 {
    CODE_BYTES.saturating_add(CODE_PER_BYTE.saturating_mul(guest_bytes))
}

/// Compiles in this process. `functions` are those that are known; the ones of a guest that is
/// configured are wanted back whether or not `keeps_functions` says so.
pub(super) fn compile(
    settings: &Settings,
    configuration: &ConfigureLimits,
    task: Task<'_>,
    functions: &[u8],
    keeps_functions: bool,
) -> Result<Compiled, JobError> {
    let Task { guest, data, product } = task;
    let component = component(guest).map_err(JobError::Form)?;
    check_exports(&component).map_err(JobError::Contract)?;
    let configurable = Configurable::of(&component);
    let wants_data = data.is_some() || product == Product::Component;
    match configurable {
        Configurable::No if wants_data => return Err(ConfigurationError::NotTaken.into()),
        Configurable::Done if wants_data => {
            return Err(ConfigurationError::AlreadyConfigured.into());
        }
        Configurable::No | Configurable::Done | Configurable::Yes(_) => {}
    }
    let is_configured = matches!(configurable, Configurable::Yes(_));
    let keeps = is_configured || keeps_functions;
    let cache = keeps.then(|| Arc::new(FunctionCache::recalled(functions)));
    let component = match &cache {
        Some(cache) if is_configured => {
            Cow::Owned(configure(settings, configuration, &component, data, cache)?)
        }
        _ => component,
    };
    if product == Product::Component {
        let product = marked_done(component.into_owned());
        return Ok(Compiled { product, functions: None });
    }
    let image_bytes = is_configured.then_some(configuration.memory_bytes);
    let engine = compiling(settings, cache.clone(), image_bytes)
        .map_err(|error| JobError::NoCompiler(text::error_line(error)))?;
    let code = match product {
        Product::Live { has_spare } => {
            compile_live(&engine, &component, configuration.memory_bytes, has_spare)
        }
        Product::Code | Product::Component => {
            engine.precompile_component(&component).map_err(invalid)
        }
    };
    if component.len() >= LARGE || is_configured || matches!(product, Product::Live { .. }) {
        malloc_trim::give_back();
    }
    let functions = cache.and_then(|cache| cache.write_down());
    Ok(Compiled { product: code?, functions })
}

/// Compiles the live form of a component, if it has one. The same component was compiled before, and so
/// is valid.
fn compile_live(
    engine: &wasmtime::Engine,
    component: &[u8],
    memory_bytes: usize,
    has_spare: bool,
) -> Result<Vec<u8>, JobError> {
    let compiled =
        rewrite(component, memory_bytes, has_spare).and_then(|Rewritten { module, form }| {
            // Marks are more code: what is too much then was not before.
            let code = engine.precompile_module(&module);
            Ok((form, code.map_err(|error| Ineligible::NotCompiled(text::error_line(error)))?))
        });
    let live = match compiled {
        Ok((form, code)) => LiveCode { form: Ok(form), code: code.into() },
        Err(ineligible) => LiveCode::without(ineligible),
    };
    live.write().map_err(|error| JobError::NoCompiler(text::error_line(error)))
}

fn invalid(error: wasmtime::Error) -> JobError {
    JobError::Compile(CompileError::Invalid(text::error_line(error)))
}

/// Does the job of a compiler, at the other end of this socket.
pub fn work(socket: UnixStream) -> io::Result<()> {
    // The response says what a guest makes the tools panic with.
    std::panic::set_hook(Box::new(|_| {}));
    let mut from = BufReader::new(&socket);
    let limits = [MAX_GUEST_BYTES, MAX_DATA_BYTES, MAX_FUNCTIONS_BYTES];
    let opened = open_frame::<Request, 3>(&mut from, limits).map_err(io::Error::other)?;
    if let Err(error) = opened.head.bounds.enter() {
        // The guest is still on its way: the server, which writes it, must not meet a closed
        // socket before it reads this.
        opened.parts(&mut from).map_err(io::Error::other)?;
        let why = error.to_string();
        return write_frame(&mut &socket, &Response::Unconfined(why), &[b"", b""])
            .map_err(io::Error::other);
    }
    let (request, [guest, data, functions]) = opened.parts(&mut from).map_err(io::Error::other)?;
    let Request { settings, configuration, product, has_data, keeps_functions, .. } = request;
    let task = Task { guest: &guest, data: has_data.then_some(&data[..]), product };
    let work = || compile(&settings, &configuration, task, &functions, keeps_functions);
    let limit = product_limit(guest.len() as u64, &configuration);
    let compiled = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(Compiled { product, .. })) if product.len() as u64 > limit => {
            Err(JobError::Compile(CompileError::CodeSize(limit)))
        }
        Ok(result) => result,
        Err(_) => Err(JobError::Compile(CompileError::Panic)),
    };
    let written = match compiled {
        Ok(Compiled { product, functions }) => {
            let functions = functions.unwrap_or_default();
            write_frame(&mut &socket, &Response::Compiled, &[&product, &functions])
        }
        Err(error) => write_frame(&mut &socket, &Response::NotCompiled(error), &[b"", b""]),
    };
    written.map_err(io::Error::other)
}
