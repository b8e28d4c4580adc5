//! Guests in the text format, for tests and benchmarks.
//!
//! Each is a core module that behaves (there is nothing here, it says) unless the
//! path begins with `/x`. It is given the component type of `wit/policy.wit`, as a
//! toolchain would.

use std::path::PathBuf;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What gives room for a request's bytes: parameter 3 is how many.
pub const REALLOC: &str = "(global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3)))
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))";

/// Where a guest's decision lies in its memory. The table of `misbehaves` writes
/// there.
pub const DECISION: u32 = 1024;

/// A core module for the world: `items` are declarations of its own, and
/// `misbehave` is what it does when the path begins with `/x`.
pub fn module(items: &str, misbehave: &str) -> Vec<u8> {
    with_component_type(&wat::parse_str(text("", items, misbehave)).unwrap())
}

/// One that misbehaves when it is to give room for a request.
#[cfg(test)]
pub fn reallocating(realloc: &str) -> Vec<u8> {
    let text = text("", "", "").replace(REALLOC, realloc);
    with_component_type(&wat::parse_str(text).unwrap())
}

/// One that misbehaves when it is asked for its interests.
#[cfg(test)]
pub fn interested(misbehave: &str) -> Vec<u8> {
    let asked = "#interests\") (result i32)";
    let text = text("", "", "").replace(asked, &format!("{asked} {misbehave}"));
    with_component_type(&wat::parse_str(text).unwrap())
}

/// The same in the text format, with imports.
pub fn text(imports: &str, items: &str, misbehave: &str) -> String {
    format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {REALLOC})
            (func (export "innkeeper:policy/policy@0.1.0#interests") (result i32)
                (i32.const 16))
            (func (export "innkeeper:policy/policy@0.1.0#decide")
                (param $line i32) (param $length i32) (param i32 i32) (result i32)
                (if (i32.eq (i32.load8_u offset=5 (local.get $line)) (i32.const 120)) ;; x
                    (then {misbehave}))
                (i32.const 512))
            (data (i32.const 512) "\03") ;; not-found
            {items})"#
    )
}

/// One that replies with the data of its configuration, and misbehaves when the path begins with
/// `/x`. `configure` runs before it takes `$data`, of which there are `$size` bytes.
#[cfg(test)]
pub fn configurable(items: &str, configure: &str, misbehave: &str) -> Vec<u8> {
    let text = configurable_text("", items, configure, misbehave);
    of_world(&text, &std::fs::read_to_string(contract()).unwrap(), "configurable-guest")
}

/// A guest in the text format, for a world of this contract.
#[cfg(test)]
pub fn of_world(text: &str, contract: &str, world: &str) -> Vec<u8> {
    with_type_of(&wat::parse_str(text).unwrap(), contract, world)
}

/// Where `configurable` has the length of its reply, after its address.
#[cfg(test)]
pub const REPLY_SIZE: u32 = 532;

/// The same in the text format, with imports.
#[cfg(test)]
pub fn configurable_text(imports: &str, items: &str, configure: &str, misbehave: &str) -> String {
    let items = format!(
        r#"{}
        (func (export "innkeeper:policy/configuration@0.1.0#configure")
            (param $data i32) (param $size i32) (result i32)
            {configure}
            (i32.store (i32.const 528) (local.get $data))
            (i32.store (i32.const {REPLY_SIZE}) (local.get $size))
            (i32.const 640)) ;; zero: it is configured
        {items}"#,
        reply_items(200, "")
    );
    text(imports, &items, misbehave)
}

/// Adds the section that tells a core module's component type.
pub fn with_component_type(module: &[u8]) -> Vec<u8> {
    with_type_of(module, &std::fs::read_to_string(contract()).unwrap(), "guest")
}

fn contract() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../wit/policy.wit")
}

fn with_type_of(module: &[u8], contract: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", contract).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// A guest that was made for this version of the contract, which says what ours says.
#[cfg(test)]
pub fn of_version(version: &str) -> Vec<u8> {
    let renamed = |text: &str| text.replace("@0.1.0", &format!("@{version}"));
    let module = wat::parse_str(renamed(&text("", "", "unreachable"))).unwrap();
    with_type_of(&module, &renamed(&std::fs::read_to_string(contract()).unwrap()), "guest")
}

/// A guest that answers with this text, and traps when the path begins with `/x`.
pub fn replying(body: &str) -> Vec<u8> {
    replying_with(200, body)
}

/// A development build: it says this, and traps when the path begins with `/x`.
#[cfg(test)]
pub fn saying(said: &str) -> Vec<u8> {
    let import =
        r#"(import "innkeeper:policy/development@0.1.0" "say" (func $say (param i32 i32)))"#;
    let length = said.len();
    let bytes: String = said.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let items = format!(r#"(data (i32.const 4096) "{bytes}")"#);
    let say = format!("(call $say (i32.const 4096) (i32.const {length})) unreachable");
    let module = wat::parse_str(text(import, &items, &say)).unwrap();
    let contract = std::fs::read_to_string(contract()).unwrap();
    with_type_of(&with_type_of(&module, &contract, "guest"), &contract, "speaking")
}

/// The same with this status.
pub fn replying_with(status: u16, body: &str) -> Vec<u8> {
    module(&reply_items(status, body), "unreachable")
}

/// A guest with these interests. For `/xN` it replies with the value of field N of the request.
#[cfg(test)]
pub fn telling(interests: &[&str]) -> Vec<u8> {
    let items = format!("{}{}", reply_items(200, "none"), interest_items(interests));
    let tell = "
        (local.set 2 (i32.add (local.get 2) (i32.mul (i32.const 16)
            (i32.sub (i32.load8_u offset=6 (local.get $line)) (i32.const 48)))))
        (i32.store (i32.const 528) (i32.load offset=8 (local.get 2)))
        (i32.store (i32.const 532) (i32.load offset=12 (local.get 2)))";
    module(&items, tell)
}

/// A guest with these interests. It traps if the request has one of them and this holds, where
/// local 2 is the address of the first and local 3 their number.
#[cfg(test)]
pub fn trapping_if(interests: &[&str], holds: &str) -> Vec<u8> {
    const DECIDES: &str = "(if (i32.eq (i32.load8_u offset=5";
    let trap = format!("(if (local.get 3) (then (if {holds} (then unreachable))))");
    let text =
        text("", &interest_items(interests), "").replace(DECIDES, &[&trap, DECIDES].concat());
    with_component_type(&wat::parse_str(text).unwrap())
}

/// The data of interests.
#[cfg(test)]
fn interest_items(interests: &[&str]) -> String {
    let (mut names, mut list) = (String::new(), String::new());
    for interest in interests {
        let place = 2304 + names.len();
        for number in [place, interest.len()] {
            list.extend(
                u32::try_from(number).unwrap().to_le_bytes().map(|byte| format!("\\{byte:02x}")),
            );
        }
        names.push_str(interest);
    }
    let count = interests.len();
    format!(
        r#"(data (i32.const 16) "\00\08\00\00\{count:02x}\00\00\00")
        (data (i32.const 2048) "{list}")
        (data (i32.const 2304) "{names}")"#
    )
}

/// The data of a decision to reply.
fn reply_items(status: u16, body: &str) -> String {
    let [low, high] = status.to_le_bytes();
    let length = body.len();
    assert!(length < 256, "the length is written as one byte");
    // It replaces the decision that there is nothing here.
    format!(
        r#"(data (i32.const 512) "\05\00\00\00\{low:02x}\{high:02x}\00\00\00\00\00\00\00\00\00\00\00\10\00\00\{length:02x}\00\00\00")
        (data (i32.const 4096) "{body}")"#
    )
}

/// A guest that sends everybody there, with 302.
#[cfg(test)]
pub fn redirecting(location: &str) -> Vec<u8> {
    let length = location.len();
    assert!(length < 256, "the length is written as one byte");
    let location = location.replace('\\', r"\\").replace('"', r#"\""#);
    let items = format!(
        r#"(data (i32.const 512) "\04\00\00\00\2e\01\00\00\00\10\00\00\{length:02x}\00\00\00\00\00\00\00\00\00\00\00")
        (data (i32.const 4096) "{location}")"#
    );
    module(&items, "unreachable")
}

/// A guest that replies with so many bytes, 128 KiB at least. They begin with the request line
/// where the path begins with `/x`.
#[cfg(test)]
pub fn replying_at_length(bytes: u32) -> Vec<u8> {
    let at = 128 << 10;
    let hex = |number: u32| number.to_le_bytes().map(|byte| format!("\\{byte:02x}")).concat();
    // The decision that replaces the one that there is nothing here; status 200, no fields.
    let items = format!(
        r#"(data (i32.const 512) "\05\00\00\00\c8\00\00\00\00\00\00\00\00\00\00\00{}{}")"#,
        hex(at),
        hex(bytes)
    );
    let own = format!("(memory.copy (i32.const {at}) (local.get $line) (local.get $length))");
    let pages = (at + bytes).div_ceil(64 << 10);
    let memory = r#"(memory (export "memory") 2)"#;
    let larger = format!(r#"(memory (export "memory") {pages})"#);
    let text = text("", &items, &own).replace(memory, &larger);
    with_component_type(&wat::parse_str(text).unwrap())
}

/// A guest whose every decision is none.
pub fn decides_nonsense() -> Vec<u8> {
    // The decision that there is nothing becomes one that does not exist.
    module(r#"(data (i32.const 512) "\09")"#, "")
}

/// A component that behaves, and imports a function of this name, which need not be one that
/// a toolchain would give: it may be `url=<anything>`.
#[cfg(test)]
pub fn importing(name: &str) -> Vec<u8> {
    let mut inner = wit_component::ComponentEncoder::default().module(&module("", "")).unwrap();
    let inner = inner.encode().unwrap();
    let interface = "innkeeper:policy/policy@0.1.0";
    // Sections of the component model's binary format, one thing in each.
    let text = |text: &str| [leb128(text.len()), text.as_bytes().to_vec()].concat();
    let section =
        |id: u8, content: &[u8]| [vec![id], leb128(content.len()), content.to_vec()].concat();
    [
        b"\0asm\x0d\0\x01\0".to_vec(),
        // A type: a function of nothing that gives nothing.
        section(7, b"\x01\x40\0\x01\0"),
        // The import, of that type.
        section(10, &[b"\x01\0", &text(name)[..], b"\x01\0"].concat()),
        section(4, &inner),
        // The inner component's instance, and what it exports.
        section(5, b"\x01\0\0\0"),
        section(6, &[b"\x01\x05\0\0", &text(interface)[..]].concat()),
        section(11, &[b"\x01\0", &text(interface)[..], b"\x05\x01\0"].concat()),
    ]
    .concat()
}

/// A number as WebAssembly writes it.
#[cfg(test)]
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A guest whose compilation takes the square of this in time and memory: so many loops, and
/// as many variables that each of them may change.
#[cfg(test)]
pub fn quadratic(count: usize) -> Vec<u8> {
    let locals = " i32".repeat(count);
    let step = |local| {
        format!(
            "(loop (br_if 0 (local.tee {local} (i32.add (local.get {local}) (i32.const 1)))))\n"
        )
    };
    let loops: String = (0..count).map(step).collect();
    module(&format!("(func (local{locals}) {loops})"), "")
}
