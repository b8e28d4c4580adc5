//! Live guests: whatever a guest does, each decision is that of a fresh instance, and leaves nothing.
//!
//! The first byte of the input tells what the rest is.

use std::fmt::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use innkeeper::guest::validation::live_proof::{Compared, Proof};
use innkeeper::guest::{DecisionLimits, Engine, GuestLimits, LoadedGuest};
use wasmparser::{ExternalKind, Parser, Payload, ValType};

use super::modules;
use super::pieces::Numbers;

/// Runs the target.
pub fn run(input: &[u8]) {
    match input.split_first() {
        Some((kind, rest)) if kind % 3 == 0 => {
            any_module(rest);
        }
        Some((kind, rest)) if kind % 3 == 1 => lift(rest),
        Some((_, rest)) => lower(rest),
        None => {}
    }
}

/// A valid module with any code: each of its functions, called by one that decides by all of its memory and
/// what they return. The number of decisions that were compared.
pub fn any_module(input: &[u8]) -> usize {
    let Some(module) = modules::module(input) else { return 0 };
    let has_spare = input.first().is_some_and(|byte| byte.is_multiple_of(2));
    let Some(driver) = Driver::of(&module, &mut Numbers::of(input)) else { return 0 };
    let guest = with_first_module(&component(&driver.modules()), &module);
    // One that does not start, or for which there is no room, is no guest.
    let Ok(loaded) = LoadedGuest::load(engine(), &guest) else { return 0 };
    let Ok(mut proof) = Proof::of(&loaded, &guest, has_spare).expect("it compiles") else {
        return 0;
    };
    let mut compared = 0;
    // Twice, so that each is called after each other one.
    for called in (0..driver.functions.len()).chain(0..driver.functions.len()) {
        let line = vec![b'x'; called];
        let outcome = proof.compare(&line, [].into_iter());
        assert_ne!(outcome, Compared::Differs, "function {called}");
        compared += usize::from(outcome == Compared::Same);
    }
    compared
}

/// A decision of these bytes, which are at 4,100; the first four are where it is said to be.
fn lift(input: &[u8]) {
    const BODY: &str = r#"
        (func (export "decide") (param i32 i32 i32 i32) (result i32) (i32.load (i32.const 4096)))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))"#;
    static PROOF: OnceLock<Mutex<Proof<'static>>> = OnceLock::new();
    let mut proof = by_hand(&PROOF, BODY).lock().unwrap_or_else(PoisonError::into_inner);
    assert_ne!(proof.compare(input, [].into_iter()), Compared::Differs);
}

/// Fields of these bytes, for a guest that replies with all that it was shown, and where that is.
fn lower(input: &[u8]) {
    const BODY: &str = r#"
        (global $free (mut i32) (i32.const 4096))
        (func (export "decide") (param i32 i32 i32 i32) (result i32)
            (i32.store8 (i32.const 1024) (i32.const 5))
            (i32.store16 (i32.const 1028) (i32.const 200))
            (i32.store (i32.const 1040) (i32.const 4096))
            (i32.store (i32.const 1044) (i32.sub (global.get $free) (i32.const 4096)))
            (i32.const 1024))
        (func (export "realloc") (param $old i32) (param i32 i32) (param $size i32) (result i32)
            (local $start i32)
            (local.set $start (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.set $free (i32.add (local.get $start) (local.get $size)))
            (if (i32.gt_u (global.get $free) (i32.const 131072)) (then (unreachable)))
            (local.get $start))"#;
    static PROOF: OnceLock<Mutex<Proof<'static>>> = OnceLock::new();
    let mut numbers = Numbers::of(input);
    let mut parts = input.split(|byte| *byte == 0);
    let line = parts.next().unwrap_or_default();
    let fields = parts.map(|value| (["host", "cookie", "x"][numbers.below(3)], value));
    let mut proof = by_hand(&PROOF, BODY).lock().unwrap_or_else(PoisonError::into_inner);
    assert_ne!(proof.compare(line, fields), Compared::Differs);
}

/// The guest of this body, which is loaded once.
fn by_hand(
    once: &'static OnceLock<Mutex<Proof<'static>>>,
    body: &str,
) -> &'static Mutex<Proof<'static>> {
    once.get_or_init(|| {
        let text = format!(
            r#"(core module $main
                (memory (export "memory") 2)
                (func (export "interests") (result i32) (i32.const 16))
                (data (i32.const 16) "\20\00\00\00\03\00\00\00")
                (data (i32.const 32)
                    "\40\00\00\00\04\00\00\00\44\00\00\00\06\00\00\00\4a\00\00\00\01\00\00\00")
                (data (i32.const 64) "hostcookiex")
                {body})
            (core instance $last (instantiate $main))
            (alias core export $last "memory" (core memory $memory))"#
        );
        let guest = component(&text);
        let loaded = LoadedGuest::load(engine(), &guest).expect("it is a guest");
        let proof = Proof::of(Box::leak(Box::new(loaded)), &guest, false).expect("it compiles");
        Mutex::new(proof.expect("it is eligible"))
    })
}

/// This component with another first module, which is all that comes before its other sections.
fn with_first_module(component: &[u8], module: &[u8]) -> Vec<u8> {
    let (preamble, rest) = component.split_at(8);
    let (&[id, short @ 0..128], rest) = rest.split_first_chunk().expect("a section") else {
        panic!("its first section is not short");
    };
    let mut size = Vec::new();
    let mut left = module.len();
    while left >= 128 {
        size.push((left % 128 + 128).to_le_bytes()[0]);
        left /= 128;
    }
    size.push(left.to_le_bytes()[0]);
    [preamble, &[id], &size, module, &rest[usize::from(short)..]].concat()
}

/// A component that exports the contract, of these modules.
fn component(modules: &str) -> Vec<u8> {
    let text = include_str!("policy.wat").replace("MODULES", modules);
    wat::parse_str(text).expect("a component")
}

fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let deadline = Duration::from_millis(20);
        let decision = DecisionLimits { deadline, memory_bytes: 4 << 20 };
        let limits = GuestLimits { decision, ..GuestLimits::default() };
        Arc::new(Engine::new(limits, 1).expect("an engine"))
    })
}

/// A module that calls the functions of another one.
struct Driver {
    /// The name of its memory.
    memory: String,
    functions: Vec<Called>,
}

/// A function that is called.
struct Called {
    name: String,
    /// Its type, in text.
    ty: String,
    /// Values for its parameters, in text.
    arguments: String,
    /// What is done with its results, the last one first.
    results: String,
}

impl Driver {
    fn of(module: &[u8], numbers: &mut Numbers) -> Option<Driver> {
        let (mut types, mut functions, mut exported) = (Vec::new(), Vec::new(), Vec::new());
        let mut memory = None;
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("it is valid") {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty.ok()?);
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.extend(section.into_iter().map_while(Result::ok));
                }
                Payload::ExportSection(section) => {
                    for export in section.into_iter().map_while(Result::ok) {
                        match export.kind {
                            ExternalKind::Memory => memory = Some(quoted(export.name)),
                            ExternalKind::Func => exported.push((export.name, export.index)),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let called = |(name, index): (&str, u32)| {
            let ty = &types[usize::try_from(functions[usize::try_from(index).ok()?]).ok()?];
            let arguments = ty.params().iter().map(|ty| argument(*ty, numbers));
            let arguments = arguments.collect::<Option<Vec<_>>>()?.join(" ");
            let results = ty.results().iter().rev().map(|ty| result(*ty));
            let results = results.collect::<Option<Vec<_>>>()?.join("\n");
            let words = |types: &[ValType]| {
                types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            let ty = format!("(param {}) (result {})", words(ty.params()), words(ty.results()));
            Some(Called { name: quoted(name), ty, arguments, results })
        };
        let functions: Vec<_> = exported.into_iter().filter_map(called).collect();
        (!functions.is_empty()).then_some(Driver { memory: memory?, functions })
    }

    /// The text of both modules, of which the first is empty, and their instances: a decision calls the function
    /// with the number that the request line has bytes, and is a hash of all.
    fn modules(&self) -> String {
        let (mut imports, mut calls) = (String::new(), String::new());
        for (number, Called { name, ty, arguments, results }) in self.functions.iter().enumerate() {
            writeln!(imports, "(import \"any\" {name} (func $f{number} {ty}))").expect("a text");
            write!(
                calls,
                "(if (i32.eq (local.get $length) (i32.const {number})) (then
                    {arguments} (call $f{number})
                    {results}))"
            )
            .expect("a text");
        }
        let memory = &self.memory;
        format!(
            r#"(core module $any)
            (core instance $any (instantiate $any))
            (alias core export $any {memory} (core memory $memory))
            (core module $driver
                (import "any" {memory} (memory 0))
                {imports}
                (global $hash (mut i64) (i64.const 7))
                (func $mix (param i64)
                    (global.set $hash (i64.mul (i64.const 0x100000001b3)
                        (i64.xor (local.get 0) (i64.rotl (global.get $hash) (i64.const 11))))))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "interests") (result i32)
                    (i64.store (i32.const 16) (i64.const 0))
                    (i32.const 16))
                (func (export "decide")
                    (param $line i32) (param $length i32) (param i32 i32) (result i32)
                    (local $at i32) (local $end i32) (local $v v128)
                    {calls}
                    (local.set $end (i32.mul (memory.size) (i32.const 65536)))
                    (loop $each
                        (call $mix (i64.load (local.get $at)))
                        (local.set $at (i32.add (local.get $at) (i32.const 8)))
                        (br_if $each (i32.lt_u (local.get $at) (local.get $end))))
                    ;; A file of that name, in letters.
                    (i32.store (i32.const 0) (i32.const 1))
                    (i32.store (i32.const 4) (i32.const 64))
                    (i32.store (i32.const 8) (i32.const 16))
                    (local.set $at (i32.const 0))
                    (loop $each
                        (i32.store8 offset=64 (local.get $at) (i32.add (i32.const 97)
                            (i32.and (i32.const 15) (i32.wrap_i64 (i64.shr_u (global.get $hash)
                                (i64.extend_i32_u (i32.mul (local.get $at) (i32.const 4))))))))
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br_if $each (i32.lt_u (local.get $at) (i32.const 16))))
                    (i32.const 0)))
            (core instance $last (instantiate $driver (with "any" (instance $any))))"#
        )
    }
}

/// A value for a parameter, in text.
fn argument(ty: ValType, numbers: &mut Numbers) -> Option<String> {
    const PLACES: [i64; 12] =
        [0, 1, -1, 7, 8, 1_020, 1_023, 1_024, 65_520, 65_535, 65_536, 131_068];
    let number = PLACES[numbers.below(PLACES.len())];
    Some(match ty {
        ValType::I32 => format!("(i32.const {number})"),
        ValType::I64 => format!("(i64.const {number})"),
        ValType::F32 => format!("(f32.const {number})"),
        ValType::F64 => format!("(f64.const {number})"),
        ValType::V128 => format!("(v128.const i64x2 {number} 5)"),
        ValType::Ref(ty) if ty.is_nullable() && ty.is_func_ref() => "(ref.null func)".to_owned(),
        ValType::Ref(ty) if ty.is_nullable() && ty.is_extern_ref() => {
            "(ref.null extern)".to_owned()
        }
        ValType::Ref(_) => return None,
    })
}

/// What is done with a result that is on the stack.
fn result(ty: ValType) -> Option<&'static str> {
    Some(match ty {
        ValType::I32 => "i64.extend_i32_u call $mix",
        ValType::I64 => "call $mix",
        ValType::F32 => "i32.reinterpret_f32 i64.extend_i32_u call $mix",
        ValType::F64 => "i64.reinterpret_f64 call $mix",
        ValType::V128 => {
            "local.tee $v i64x2.extract_lane 0 call $mix local.get $v i64x2.extract_lane 1 call $mix"
        }
        ValType::Ref(_) => "ref.is_null i64.extend_i32_u call $mix",
    })
}

/// A name in text.
fn quoted(name: &str) -> String {
    let bytes: String = name.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!("\"{bytes}\"")
}
