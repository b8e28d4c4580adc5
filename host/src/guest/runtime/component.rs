//! Bytes of a guest, in one of the forms that toolchains produce, become a
//! component.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use wit_component::ComponentEncoder;

use super::sections::{leb128_u32, sections};
use crate::text;

/// The largest file that is taken for a guest. One in JavaScript or Python has up
/// to 20 MiB.
pub const MAX_GUEST_BYTES: u64 = 256 << 20;

/// What the first eight bytes of a file say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A core module: layer 0 of the binary format.
    Module,
    /// A component: layer 1.
    Component,
}

impl Form {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Form::Module => "module",
            Form::Component => "component",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Module => "a core module with its component type",
            Form::Component => "a component",
        })
    }
}

/// Why bytes are no component, and describe none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FormError {
    /// There are none.
    Empty,
    /// They are not WebAssembly.
    NotWasm,
    /// They are WebAssembly with this version and layer.
    UnknownVersion([u8; 4]),
    /// A core module, not made for the contract.
    NoComponentType,
    /// A core module and its component type contradict each other; the encoder's message.
    TypeMismatch(String),
    /// A core module whose component type cannot be read.
    InvalidType,
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormError::Empty => f.write_str("the file is empty"),
            FormError::NotWasm => {
                f.write_str("not WebAssembly: the file does not begin with the bytes 00 61 73 6d")
            }
            FormError::UnknownVersion(version) => {
                write!(f, "WebAssembly of an unknown version ({version:02x?})")
            }
            FormError::NoComponentType => {
                write!(f, "a core WebAssembly module without a component type; {BUILD}")
            }
            FormError::TypeMismatch(why) => {
                write!(f, "the core module does not fit its component type: {why}")
            }
            FormError::InvalidType => write!(f, "the component type makes no sense; {BUILD}"),
        }
    }
}

impl std::error::Error for FormError {}

const BUILD: &str = "build it with wit-bindgen for the world `guest` of wit/policy.wit";

/// Gives the component that the bytes are, or that the core module in them
/// describes: `wit-bindgen` leaves a section in each module with its
/// component type.
pub(super) fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FormError> {
    match form(bytes)? {
        Form::Component => Ok(Cow::Borrowed(bytes)),
        Form::Module if !carries_type(bytes) => Err(FormError::NoComponentType),
        Form::Module => Ok(Cow::Owned(encode(bytes)?)),
    }
}

/// Makes a component of a core module with its component type.
fn encode(module: &[u8]) -> Result<Vec<u8>, FormError> {
    let encode = || ComponentEncoder::default().module(module)?.validate(false).encode();
    // The tools take it that a toolchain wrote the type, and panic on some that none would
    // write. Nothing of theirs outlives that.
    match std::panic::catch_unwind(encode) {
        Ok(encoded) => encoded.map_err(|error| FormError::TypeMismatch(text::error_line(error))),
        Err(_) => Err(FormError::InvalidType),
    }
}

/// Recognises the form by the preamble: magic number, version, layer.
pub(super) fn form(bytes: &[u8]) -> Result<Form, FormError> {
    match bytes {
        [b'\0', b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00, ..] => Ok(Form::Module),
        [b'\0', b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00, ..] => Ok(Form::Component),
        &[b'\0', b'a', b's', b'm', a, b, c, d, ..] => Err(FormError::UnknownVersion([a, b, c, d])),
        [] => Err(FormError::Empty),
        _ => Err(FormError::NotWasm),
    }
}

/// Whether a core module has a custom section with its component type. What is damaged beyond
/// section heads is found, and said, when the module is encoded.
fn carries_type(module: &[u8]) -> bool {
    sections(module).map_while(Result::ok).any(|(id, content)| {
        let name = (id == 0).then(|| leb128_u32(content)).flatten();
        name.and_then(|(length, name)| name.get(..length))
            .is_some_and(|name| name.starts_with(b"component-type"))
    })
}

#[cfg(test)]
mod tests {
    use super::{FormError, carries_type, component};
    use wit_component::{StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    #[test]
    fn bytes_that_are_no_component_have_an_error_each() {
        for (bytes, error) in [
            (&b""[..], FormError::Empty),
            (b"<!doctype html>", FormError::NotWasm),
            (b"\0as", FormError::NotWasm),
            (b"\0asm\x09\0\0\0", FormError::UnknownVersion([9, 0, 0, 0])),
            (b"\0asm\x01\0\0\0", FormError::NoComponentType),
            (b"\0asm\x01\0\0\0\x00\x05\x04name", FormError::NoComponentType),
        ] {
            assert_eq!(component(bytes), Err(error), "{bytes:?}");
        }
    }

    /// wit-parser panics on some of these, and took the thread with it.
    #[test]
    fn damaged_component_type_is_an_error() {
        let mut resolve = Resolve::default();
        let wit = include_str!("../../../../wit/policy.wit");
        let package = resolve.push_str("policy.wit", wit).expect("the contract");
        let world = resolve.select_world(&[package], Some("guest")).expect("the world");
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("a section");
        // Some of them are none the worse for it.
        let refused = (8..module.len()).filter_map(|at| {
            let mut damaged = module.clone();
            damaged[at] = 3;
            component(&damaged).err()
        });
        let invalid = refused.filter(|error| *error == FormError::InvalidType).count();
        assert!(invalid > 0, "the parser panics on none");
    }

    #[test]
    fn truncated_section_has_no_type() {
        let module = b"\0asm\x01\0\0\0\x00\x10\x0fcomponent-type:";
        assert!(carries_type(&[&module[..], b"x"].concat()));
        for length in 8..module.len() {
            assert!(!carries_type(&module[..length]));
        }
        assert!(!carries_type(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff\xff"));
    }
}
