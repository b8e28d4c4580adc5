//! Rewrites the module that all of a guest was merged into so that the host can undo all that a call did.
//!
//! Before each store the granule of memory that it begins in is marked: one byte for each granule, in a
//! second memory, which no instruction of the guest can name. A store has 16 bytes at most, so what it
//! may touch besides is the first 15 bytes of the granule after; the host puts those back too. The mark
//! comes first: where the store traps there is a mark too many, and never one too few.
//!
//! Mutable globals are exported to the host. The size of the memory is one of them in a guest that
//! grows: it begins with spare pages, which `memory.grow` hands out and `memory.size` counts when it
//! did. Real growth cannot be undone, and ends the instance.
//!
//! The functions that are added, and what else is in the second memory: see [`added`].

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::Parser;

use super::added::{self, Added, Known};
use super::effects::{Effect, effect};
use super::index;
use super::ineligible::{Ineligible, Unwritten};
use super::layout::{CALL, GLOBAL, Layout, MARKS, SECOND};
use super::merge::Merged;
use super::shape::Shape;
use crate::guest::runtime::limits::PAGE_BYTES;

/// Globals that change: each is set after each decision, in some 20 ns. One of componentize-py has 800.
const MAX_GLOBALS: u32 = 4_096;

/// A module that was rewritten.
pub(super) struct Instrumented {
    /// The module, to be compiled.
    pub(super) module: Vec<u8>,
    /// How many mutable globals it exports.
    pub(super) globals: u32,
    /// Whether the last of them is the size of its memory, in pages.
    pub(super) has_size: bool,
}

/// Rewrites a guest that may have this many bytes of memory.
pub(super) fn instrument(
    merged: &Merged,
    memory_bytes: usize,
    has_spare: bool,
) -> Result<Instrumented, Ineligible> {
    let bytes = u64::try_from(memory_bytes).unwrap_or(u64::MAX);
    let shape = Shape::of(&merged.module, bytes, has_spare)?;
    let &Merged { realloc, decide, .. } = merged;
    let has_size = shape.spare > 0;
    let globals = shape.mutable_globals.len() + usize::from(has_size);
    let globals = u32::try_from(globals).unwrap_or(u32::MAX);
    if globals > MAX_GLOBALS {
        let what = format!("{globals} globals that change, and {MAX_GLOBALS} are the most");
        return Err(Ineligible::part(&what));
    }
    let layout = Layout::of(memory_bytes);
    let mut rewriter = Rewriter { shape, layout, realloc, decide, next: 0 };
    let mut out = Module::new();
    rewriter.parse_core_module(&mut out, Parser::new(0), &merged.module)?;
    Ok(Instrumented { module: out.finish(), globals, has_size })
}

/// Rewrites one module.
struct Rewriter {
    shape: Shape,
    layout: Layout,
    realloc: u32,
    decide: u32,
    /// The function whose body comes next.
    next: usize,
}

impl Rewriter {
    /// What the functions that are added have to know.
    fn known(&self) -> Known {
        Known {
            first: index::after(self.shape.functions.len()),
            size: self.size(),
            realloc: self.realloc,
            decide: self.decide,
            layout: self.layout,
        }
    }

    /// The index of a function that is added.
    fn function(&self, added: Added) -> u32 {
        self.known().function(added)
    }

    /// The global that is the size, if the memory has spare pages.
    fn size(&self) -> Option<u32> {
        (self.shape.spare > 0).then_some(self.shape.globals)
    }

    fn size_global(&self) -> (GlobalType, ConstExpr) {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        // At most 65,536.
        (ty, ConstExpr::i32_const(i32::try_from(self.shape.pages).unwrap_or(i32::MAX)))
    }
}

impl Reencode for Rewriter {
    type Error = Ineligible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        reencode::utils::parse_type_section(self, types, section)?;
        for added in Added::ALL {
            let (parameters, results) = added.signature();
            types.ty().function(parameters.iter().copied(), results.iter().copied());
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        reencode::utils::parse_function_section(self, functions, section)?;
        for added in Added::ALL {
            functions.function(index::after(self.shape.parameters.len()) + added as u32);
        }
        Ok(())
    }

    fn parse_memory_section(
        &mut self,
        memories: &mut MemorySection,
        section: wasmparser::MemorySectionReader<'_>,
    ) -> Result<(), Unwritten> {
        for memory in section {
            let mut memory = self.memory_type(memory?)?;
            memory.minimum += self.shape.spare;
            memories.memory(memory);
        }
        let pages = self.layout.bytes().div_ceil(PAGE_BYTES);
        memories.memory(MemoryType {
            minimum: pages,
            maximum: Some(pages),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        reencode::utils::parse_global_section(self, globals, section)?;
        if self.size().is_some() {
            let (ty, value) = self.size_global();
            globals.global(ty, &value);
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        reencode::utils::parse_export_section(self, exports, section)?;
        exports.export(MARKS, ExportKind::Memory, SECOND);
        exports.export(CALL, ExportKind::Func, self.function(Added::Call));
        let globals = self.shape.mutable_globals.iter().copied().chain(self.size());
        for (number, global) in globals.enumerate() {
            exports.export(&format!("{GLOBAL}{number}"), ExportKind::Global, global);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        reencode::utils::parse_code_section(self, code, section)?;
        for added in Added::ALL {
            code.function(&added.body(&self.known()));
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: wasmparser::FunctionBody<'_>,
    ) -> Result<(), Unwritten> {
        let malformed = || Unwritten::UserError(Ineligible::part("a function without a type"));
        let ty = self.shape.functions.get(self.next).ok_or_else(malformed)?;
        self.next += 1;
        let ty = usize::try_from(*ty).map_err(|_| malformed())?;
        let mut count = *self.shape.parameters.get(ty).ok_or_else(malformed)?;
        let mut locals = Vec::new();
        for pair in body.get_locals_reader()? {
            let (number, ty) = pair?;
            count += number;
            locals.push((number, self.val_type(ty)?));
        }
        let scratch = Scratch { first: count };
        locals.extend(Scratch::types());
        let mut function = Function::new(locals);
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            match effect(&operator).map_err(Unwritten::UserError)? {
                Effect::None => {}
                Effect::Size => {
                    if let Some(size) = self.size() {
                        function.instruction(&Instruction::GlobalGet(size));
                        continue;
                    }
                }
                Effect::Grow => {
                    function.instruction(&Instruction::Call(self.function(Added::Grow)));
                    continue;
                }
                Effect::Store(ty, memarg) => {
                    let value = scratch.of(ty);
                    function
                        .instruction(&Instruction::LocalSet(value))
                        .instruction(&Instruction::LocalTee(scratch.first));
                    if memarg.offset != 0 {
                        // What overflows traps in the store, and leaves a mark too many. The
                        // memory is one of 32 bits, and so is the offset.
                        let offset = u32::try_from(memarg.offset).map_err(|_| malformed())?;
                        function
                            .instruction(&Instruction::I32Const(offset.cast_signed()))
                            .instruction(&Instruction::I32Add);
                    }
                    added::mark(&mut function);
                    function
                        .instruction(&Instruction::LocalGet(scratch.first))
                        .instruction(&Instruction::LocalGet(value));
                }
                Effect::Range => {
                    let (start, middle, length) =
                        (scratch.first, scratch.first + 1, scratch.first + 2);
                    for instruction in [
                        Instruction::LocalSet(length),
                        Instruction::LocalSet(middle),
                        Instruction::LocalTee(start),
                        Instruction::LocalGet(length),
                        Instruction::Call(self.function(Added::Mark)),
                        Instruction::LocalGet(start),
                        Instruction::LocalGet(middle),
                        Instruction::LocalGet(length),
                    ] {
                        function.instruction(&instruction);
                    }
                }
            }
            function.instruction(&self.instruction(operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

/// Locals that are added to each function: three for addresses and lengths, and one for each type
/// of value.
struct Scratch {
    first: u32,
}

impl Scratch {
    fn types() -> [(u32, ValType); 5] {
        let [integer, long, single, double, vector] =
            [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
        [(4, integer), (1, long), (1, single), (1, double), (1, vector)]
    }

    fn of(&self, ty: ValType) -> u32 {
        self.first
            + match ty {
                ValType::I32 => 3,
                ValType::I64 => 4,
                ValType::F32 => 5,
                ValType::F64 => 6,
                ValType::V128 | ValType::Ref(_) => 7,
            }
    }
}
