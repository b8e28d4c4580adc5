//! What has to be known of a core module before its code is rewritten.

use wasmparser::{Operator, Parser, Payload};

use super::ineligible::Ineligible;
use super::links::unreadable;
use crate::guest::runtime::limits::PAGE_BYTES;

/// The most bytes of memory that a live guest may begin with: as many are copied once for each guest.
/// One in Python begins with 13 MiB, and others with less than 2.
const MAX_BYTES: u64 = 32 << 20;

/// The most bytes of that copy.
pub const SNAPSHOT_BYTES: u64 = MAX_BYTES + SPARE_PAGES * PAGE_BYTES;

/// Pages that a guest that grows may take without its instance being made again.
const SPARE_PAGES: u64 = 16;

/// A core module with one memory and no imports.
pub(super) struct Shape {
    /// For each type the number of its parameters.
    pub(super) parameters: Vec<u32>,
    /// For each function its type.
    pub(super) functions: Vec<u32>,
    /// The indices of the mutable globals.
    pub(super) mutable_globals: Vec<u32>,
    /// How many globals there are.
    pub(super) globals: u32,
    /// Pages of memory that it begins with.
    pub(super) pages: u64,
    /// Pages that it has besides, and hands out where it grows.
    pub(super) spare: u64,
}

impl Shape {
    /// Reads a module whose memory may have `memory_bytes`.
    pub(super) fn of(
        module: &[u8],
        memory_bytes: u64,
        has_spare: bool,
    ) -> Result<Shape, Ineligible> {
        let mut shape = Shape {
            parameters: Vec::new(),
            functions: Vec::new(),
            mutable_globals: Vec::new(),
            globals: 0,
            pages: 0,
            spare: 0,
        };
        let mut memories = Vec::new();
        let mut grows = false;
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(unreadable)? {
                Payload::TypeSection(types) => {
                    for ty in types.into_iter_err_on_gc_types() {
                        let parameters = ty.map_err(unreadable)?.params().len();
                        shape.parameters.push(u32::try_from(parameters).map_err(unreadable)?);
                    }
                }
                Payload::FunctionSection(functions) => {
                    for ty in functions {
                        shape.functions.push(ty.map_err(unreadable)?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        memories.push(memory.map_err(unreadable)?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let ty = global.map_err(unreadable)?.ty;
                        if ty.mutable && ty.content_type.is_reference_type() {
                            return Err(Ineligible::part("a global that is a reference"));
                        }
                        if ty.mutable {
                            shape.mutable_globals.push(shape.globals);
                        }
                        shape.globals += 1;
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let operators = body.get_operators_reader().map_err(unreadable)?;
                    for operator in operators {
                        let operator = operator.map_err(unreadable)?;
                        grows |= matches!(operator, Operator::MemoryGrow { .. });
                    }
                }
                _ => {}
            }
        }
        let [memory] = memories[..] else {
            return Err(Ineligible::part("not one memory"));
        };
        if memory.memory64 || memory.shared || memory.page_size_log2.is_some() {
            return Err(Ineligible::part("a memory of an unusual kind"));
        }
        let bytes = memory.initial.saturating_mul(PAGE_BYTES);
        if bytes > MAX_BYTES {
            return Err(Ineligible::Memory { bytes, limit: MAX_BYTES });
        }
        shape.pages = memory.initial;
        // What it could not have it must not seem to have.
        let most = memory.maximum.unwrap_or(u64::MAX).min(memory_bytes / PAGE_BYTES);
        let room = most.saturating_sub(shape.pages);
        shape.spare = if grows && has_spare { SPARE_PAGES.min(room) } else { 0 };
        Ok(shape)
    }
}
