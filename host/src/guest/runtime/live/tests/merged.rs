//! Guests that are made of several core modules, as toolchains make them.

use std::fmt::Write;

use wit_component::ComponentEncoder;

use super::{ALLOCATOR, Both, engine, ineligible, request, with_type, with_world};
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::live::layout::MEMORY;
use crate::guest::runtime::live::links::Links;
use crate::guest::runtime::live::merge::merge;

/// What an adapter imports from the host.
const CLOCK: &str = "package test:clock; interface clock { now: func() -> u64; } \
                     world adapted { import clock; }";

/// A component of a guest and an adapter, which wit-component links with a table between them: the guest
/// calls `keep` of the adapter, which has a state of its own and writes to the guest's memory, and
/// `now`, which asks the host.
pub(super) fn adapted(body: &str, start: &str) -> Vec<u8> {
    let main = format!(
        r#"(module
            (import "adapter" "keep" (func $keep (param i32) (result i32)))
            (import "adapter" "now" (func $now (result i64)))
            {ALLOCATOR}
            (table $calls 3 funcref)
            (elem (table $calls) (i32.const 1) func $keep $twice)
            (type $one (func (param i32) (result i32)))
            (func $twice (param i32) (result i32)
                (i32.mul (call_indirect (type $one) (local.get 0) (i32.const 1)) (i32.const 2)))
            (func (export "innkeeper:policy/policy@0.1.0#interests") (result i32) (i32.const 16))
            (func (export "innkeeper:policy/policy@0.1.0#decide")
                (param $line i32) (param $length i32) (param $list i32) (param $count i32)
                (result i32)
                {body}
                (i32.const 512))
            {start}
            (data (i32.const 512) "\03"))"#
    );
    let adapter = r#"(module
        (import "env" "memory" (memory 0))
        (import "test:clock/clock" "now" (func $clock (result i64)))
        (global $kept (mut i32) (i32.const 7))
        (func (export "keep") (param i32) (result i32)
            (local $before i32)
            (local.set $before (global.get $kept))
            (global.set $kept (i32.add (local.get 0) (i32.const 1)))
            (i32.store (i32.const 4000) (i32.add (i32.load (i32.const 4000)) (local.get $before)))
            (i32.add (local.get $before) (i32.load (i32.const 4000))))
        (func (export "now") (result i64) (call $clock)))"#;
    let mut main = wat::parse_str(main).expect("a module");
    with_type(&mut main);
    let mut adapter = wat::parse_str(adapter).expect("a module");
    with_world(&mut adapter, CLOCK, "adapted");
    let encoder = ComponentEncoder::default().validate(true).module(&main).expect("it is a guest");
    let mut encoder = encoder.adapter("adapter", &adapter).expect("it is an adapter");
    encoder.encode().expect("a component")
}

/// Decides `file` by the digits of `$value`.
const FILE_OF_VALUE: &str = r"
    (local $value i32) (local $i i32)
    (local.set $value (VALUE))
    (i32.store8 (i32.const 512) (i32.const 1))
    (i32.store (i32.const 516) (i32.const 600))
    (i32.store (i32.const 520) (i32.const 8))
    (loop $l
        (i32.store8 offset=600 (local.get $i)
            (i32.add (i32.const 97) (i32.and (local.get $value) (i32.const 15))))
        (local.set $value (i32.shr_u (local.get $value) (i32.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 8))))";

#[test]
fn several_modules_are_put_back_and_decide_as_fresh_ones() {
    let engine = engine();
    let values = [
        "call $keep (local.get $length)",
        "call_indirect (type $one) (local.get $length) (i32.const 1)",
        "call_indirect (type $one) (local.get $length) (i32.const 2)",
        "i32.add (call $keep (local.get $count)) (call $twice (local.get $length))",
    ];
    for value in values {
        let guest = adapted(&FILE_OF_VALUE.replace("VALUE", value), "");
        let both = Both::of(&engine, &guest, None);
        for line in ["", "GET / HTTP/1.1", "GET /abc HTTP/1.1"] {
            assert!(both.compare(&request(line, &[("host", "a")]), value), "{value}");
        }
    }
}

#[test]
fn guest_that_calls_the_host_is_decided_fresh() {
    let both = Both::of(&engine(), &adapted("(drop (call $now))", ""), None);
    assert!(!both.compare(&request("GET / HTTP/1.1", &[]), "a call of the host"));
    let rarely = "(if (i32.eqz (local.get $length)) (then (drop (call $now))))";
    let both = Both::of(&engine(), &adapted(rarely, ""), None);
    assert!(!both.compare(&request("", &[]), "a call of the host"));
    assert!(both.compare(&request("x", &[]), "no call of the host"));
}

#[test]
fn start_function_before_other_segments_makes_a_guest_ineligible() {
    let engine = engine();
    // The table by which the guest calls its adapter is filled after it has started.
    let start = "(func $begin (i32.store (i32.const 700) (i32.const 1))) (start $begin)";
    let guest = adapted("", start);
    let why = Ineligible::part("a start function before its memory is complete");
    assert_eq!(ineligible(&engine, &guest), why);
}

#[test]
fn start_function_of_a_toolchain_runs_before_decisions() {
    let body = FILE_OF_VALUE.replace("VALUE", "i32.load (i32.const 4000)");
    let start = r#"(func (export "_initialize") (drop (call $keep (i32.const 77))))"#;
    let both = Both::of(&engine(), &adapted(&body, start), None);
    assert!(both.compare(&request("GET / HTTP/1.1", &[]), "a start function"));
}

/// Each of three modules multiplies what is at 4,000 when it starts, and adds to it. Where that is it has
/// of a global of another module.
#[test]
fn start_functions_of_several_modules_run_in_their_order() {
    let mut modules = String::new();
    for (number, factor) in [(1, 3), (2, 5), (3, 7)] {
        write!(
            modules,
            r#"(core module $m{number}
                (import "main" "memory" (memory 0))
                (import "main" "base" (global i32))
                (global $own i32 (global.get 0))
                (func $begin
                    (i32.store (global.get $own)
                        (i32.add (i32.mul (i32.load (global.get $own)) (i32.const {factor}))
                            (i32.const {number}))))
                (start $begin))
            (core instance (instantiate $m{number} (with "main" (instance $main))))"#
        )
        .expect("a text");
    }
    let text = format!(
        r#"(component
            (core module $has_memory
                (memory (export "memory") 1)
                (global (export "base") i32 (i32.const 4000))
                (data (i32.const 4000) "\02")
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 66000))
                (func (export "decide") (param i32 i32)))
            (core instance $main (instantiate $has_memory))
            {modules}
            (alias core export $main "memory" (core memory $memory))
            (func $decide (param "line" string)
                (canon lift (core func $main "decide") (memory $memory)
                    (realloc (core func $main "realloc"))))
            (instance $policy (export "decide" (func $decide)))
            (export "innkeeper:policy/policy@0.1.0" (instance $policy)))"#
    );
    let component = wat::parse_str(text).expect("a component");
    let links = Links::of(&component).expect("it is read");
    let merged = merge(&links).expect("it can be merged");
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, &merged.module).expect("a module");
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
    let memory = instance.get_memory(&mut store, MEMORY).expect("a memory");
    let at = &memory.data(&store)[4_000..4_004];
    assert_eq!(at, ((((2 * 3 + 1) * 5 + 2) * 7 + 3) as u32).to_le_bytes());
}
