//! What a running guest prints: to the standard output and error of WASI, and by
//! `innkeeper:policy/development`.
//!
//! A guest has no capability, and what it prints goes to people alone: nothing comes back, so a
//! decision stays a function of its request. Toolchains print there what an exception or a panic
//! says, before they trap.

use wasmtime::component::{
    Component, ComponentType, Linker, LinkerInstance, Lower, Resource, WasmList, WasmStr,
    types::ComponentItem,
};
use wasmtime::{StoreContextMut, bail};

use super::printed::MAX_BYTES;
use super::usage::Usage;

/// Bytes that a stream takes at once, as it says.
const PERMITTED: u64 = 64 << 10;

/// The interface of development builds.
pub(in crate::guest) const DEVELOPMENT: &str = "innkeeper:policy/development@0.1.0";

/// `stream-error` of `wasi:io/streams`. No stream of ours has one.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "the type has it")]
    LastOperationFailed(Resource<()>),
    #[component(name = "closed")]
    #[expect(dead_code, reason = "the type has it")]
    Closed,
}

type Written = (Result<(), StreamError>,);

/// Links a component: what prints is taken, and each other import traps when it is called.
pub(super) fn link(component: &Component) -> wasmtime::Result<Linker<Usage>> {
    let mut linker = stubbed(component)?;
    if define(&mut linker, component).is_ok() && linker.instantiate_pre(component).is_ok() {
        return Ok(linker);
    }
    // It has imports of these names and other types.
    stubbed(component)
}

fn stubbed(component: &Component) -> wasmtime::Result<Linker<Usage>> {
    let mut linker = Linker::new(component.engine());
    linker.define_unknown_imports_as_traps(component)?;
    Ok(linker)
}

/// Replaces the traps of what prints.
fn define(linker: &mut Linker<Usage>, component: &Component) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let component_type = component.component_type();
    for (name, item) in component_type.imports(component.engine()) {
        if !matches!(item.ty, ComponentItem::ComponentInstance(_)) {
            continue;
        }
        let mut instance = linker.instance(name)?;
        match name.split_once("@0.2.").map_or(name, |(interface, _)| interface) {
            "wasi:cli/stdout" => instance.func_wrap("get-stdout", open)?,
            "wasi:cli/stderr" => instance.func_wrap("get-stderr", open)?,
            "wasi:io/streams" => {
                let method = |name| format!("[method]output-stream.{name}");
                instance.func_wrap(&method("check-write"), permit)?;
                instance.func_wrap(&method("write"), write)?;
                instance.func_wrap(&method("blocking-write-and-flush"), write)?;
                instance.func_wrap(&method("flush"), flush)?;
                instance.func_wrap(&method("blocking-flush"), flush)?;
            }
            "wasi:cli/environment" => {
                instance.func_wrap("get-environment", none::<Vec<(String, String)>>)?;
                instance.func_wrap("get-arguments", none::<Vec<String>>)?;
                instance.func_wrap("initial-cwd", none::<Option<String>>)?;
            }
            "wasi:cli/terminal-stdin" => terminal(&mut instance, "stdin")?,
            "wasi:cli/terminal-stdout" => terminal(&mut instance, "stdout")?,
            "wasi:cli/terminal-stderr" => terminal(&mut instance, "stderr")?,
            "wasi:filesystem/preopens" => {
                instance.func_wrap("get-directories", none::<Vec<(Resource<()>, String)>>)?;
            }
            "wasi:random/random" => {
                instance.func_wrap("get-random-bytes", no_random_bytes)?;
                instance.func_wrap("get-random-u64", no_random_number)?;
            }
            "wasi:cli/exit" => instance.func_wrap("exit", exit)?,
            DEVELOPMENT => instance.func_wrap("say", say)?,
            _ => {}
        }
    }
    Ok(())
}

/// What libraries ask for before they print: there is no environment, no folder, no terminal.
fn none<T: Default>(_: StoreContextMut<'_, Usage>, (): ()) -> wasmtime::Result<(T,)> {
    Ok((T::default(),))
}

fn terminal(instance: &mut LinkerInstance<'_, Usage>, name: &str) -> wasmtime::Result<()> {
    instance.func_wrap(&format!("get-terminal-{name}"), none::<Option<Resource<()>>>)
}

/// Bytes of randomness that libraries seed their tables with, for the author of a guest.
const SEED_BYTES: usize = 4 << 10;

/// The runtime of Python asks for a seed. Zeros are one where nobody is served; a guest that serves
/// must not take them for randomness.
fn no_random_bytes(
    store: StoreContextMut<'_, Usage>,
    (count,): (u64,),
) -> wasmtime::Result<(Vec<u8>,)> {
    match usize::try_from(count) {
        Ok(bytes) if store.data().has_seed && bytes <= SEED_BYTES => Ok((vec![0; bytes],)),
        _ => bail!("{NO_RANDOMNESS}"),
    }
}

fn no_random_number(store: StoreContextMut<'_, Usage>, (): ()) -> wasmtime::Result<(u64,)> {
    if store.data().has_seed { Ok((0,)) } else { bail!("{NO_RANDOMNESS}") }
}

const NO_RANDOMNESS: &str = "it is built for development: it calls wasi:random, and a guest that serves has \
     no randomness; build it for release, or run `innkeeper dev`";

fn exit(_: StoreContextMut<'_, Usage>, _: (Result<(), ()>,)) -> wasmtime::Result<()> {
    bail!("it exits")
}

/// Stubs know one type of resources, so ours are of that type.
fn open(mut store: StoreContextMut<'_, Usage>, (): ()) -> wasmtime::Result<(Resource<()>,)> {
    if !store.data_mut().output.may_open() {
        bail!("it opens its standard output too often");
    }
    Ok((Resource::new_own(0),))
}

fn permit(
    _: StoreContextMut<'_, Usage>,
    _: (Resource<()>,),
) -> wasmtime::Result<(Result<u64, StreamError>,)> {
    Ok((Ok(PERMITTED),))
}

fn write(
    mut store: StoreContextMut<'_, Usage>,
    (_, bytes): (Resource<()>, WasmList<u8>),
) -> wasmtime::Result<Written> {
    let last = last(bytes.as_le_slice(&store));
    store.data_mut().output.write(&last);
    Ok((Ok(()),))
}

fn flush(_: StoreContextMut<'_, Usage>, _: (Resource<()>,)) -> wasmtime::Result<Written> {
    Ok((Ok(()),))
}

fn say(mut store: StoreContextMut<'_, Usage>, (text,): (WasmStr,)) -> wasmtime::Result<()> {
    let last = last(text.to_str(&store)?.as_bytes());
    let output = &mut store.data_mut().output;
    output.write(&last);
    output.write(b"\n");
    Ok(())
}

/// The bytes that may be kept of these.
fn last(bytes: &[u8]) -> Vec<u8> {
    bytes[bytes.len().saturating_sub(MAX_BYTES)..].to_vec()
}
