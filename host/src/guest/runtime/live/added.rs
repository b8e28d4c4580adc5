//! The functions that are added to a live guest.
//!
//! One of them lowers a request into the guest's memory and calls `decide`, as the canonical ABI has it
//! (component model, `CanonicalABI.md`, "lower"). The host writes the request into the second memory,
//! where no step of the guest sees it: lengths of the names and values of fields, then the bytes of the
//! line, and of each name and value. So one call from the host does what took two for each text.
//! Memory is asked for, and written, in the order in which wasmtime does it for a component, so that
//! the guest sees the same.

use wasm_encoder::{BlockType, Function, Instruction, MemArg, ValType};

use super::layout::{ENTRY_BYTES, GRANULE_SHIFT, Layout, SECOND};
use crate::guest::runtime::limits::PAGE_BYTES;

/// The functions, in order.
#[derive(Clone, Copy)]
pub(super) enum Added {
    /// `(start, length)`: marks all granules of a range.
    Mark,
    /// `(pages) -> pages before, or -1`: `memory.grow`.
    Grow,
    /// `(start, length)`: traps if the range is not all in the memory.
    Bound,
    /// `(to, from, length)`: copies from the second memory.
    Put,
    /// `(length of the line, fields) -> decision`.
    Call,
}

/// What they have to know of the module.
pub(super) struct Known {
    /// The index of the first of them.
    pub(super) first: u32,
    /// The global that is the size, if the memory has spare pages.
    pub(super) size: Option<u32>,
    /// The functions that the guest exports for a request.
    pub(super) realloc: u32,
    pub(super) decide: u32,
    pub(super) layout: Layout,
}

impl Known {
    /// The index of a function.
    pub(super) fn function(&self, added: Added) -> u32 {
        self.first + added as u32
    }
}

impl Added {
    pub(super) const ALL: [Added; 5] =
        [Added::Mark, Added::Grow, Added::Bound, Added::Put, Added::Call];

    /// The types of its parameters and results.
    pub(super) fn signature(self) -> (&'static [ValType], &'static [ValType]) {
        const I: ValType = ValType::I32;
        match self {
            Added::Mark | Added::Bound => (&[I, I], &[]),
            Added::Grow => (&[I], &[I]),
            Added::Put => (&[I, I, I], &[]),
            Added::Call => (&[I, I], &[I]),
        }
    }

    pub(super) fn body(self, known: &Known) -> Function {
        match self {
            Added::Mark => mark_range(),
            Added::Grow => grow(known),
            Added::Bound => bound(known),
            Added::Put => put(known),
            Added::Call => call(known),
        }
    }
}

/// A byte of the second memory.
const BYTE: MemArg = MemArg { offset: 0, align: 0, memory_index: SECOND };

/// Marks the granule of the address on the stack.
pub(super) fn mark(function: &mut Function) {
    function
        .instruction(&Instruction::I32Const(GRANULE_SHIFT))
        .instruction(&Instruction::I32ShrU)
        .instruction(&Instruction::I32Const(1))
        .instruction(&Instruction::I32Store8(BYTE));
}

fn mark_range() -> Function {
    use Instruction as I;
    let (start, length, first, last) = (0, 1, 2, 3);
    let mut function = Function::new([(2, ValType::I32)]);
    for instruction in [
        I::LocalGet(length),
        I::I32Eqz,
        I::If(BlockType::Empty),
        I::Return,
        I::End,
        I::LocalGet(start),
        I::I32Const(GRANULE_SHIFT),
        I::I32ShrU,
        I::LocalSet(first),
        // In 64 bits: what is beyond 32 traps here or in the guest's instruction.
        I::LocalGet(start),
        I::I64ExtendI32U,
        I::LocalGet(length),
        I::I64ExtendI32U,
        I::I64Add,
        I::I64Const(1),
        I::I64Sub,
        I::I64Const(GRANULE_SHIFT.into()),
        I::I64ShrU,
        I::I32WrapI64,
        I::LocalTee(last),
        I::LocalGet(first),
        I::I32Sub,
        I::I32Const(2),
        I::I32LtU,
        I::If(BlockType::Empty),
        I::LocalGet(first),
        I::I32Const(1),
        I::I32Store8(BYTE),
        I::LocalGet(last),
        I::I32Const(1),
        I::I32Store8(BYTE),
        I::Else,
        I::LocalGet(first),
        I::I32Const(1),
        I::LocalGet(last),
        I::LocalGet(first),
        I::I32Sub,
        I::I32Const(1),
        I::I32Add,
        I::MemoryFill(SECOND),
        I::End,
        I::End,
    ] {
        function.instruction(&instruction);
    }
    function
}

/// A page's marks, and the shift from a page to the first of them.
const MARKS_OF_PAGE: u64 = PAGE_BYTES >> GRANULE_SHIFT;
const MARKS_SHIFT: i32 = 16 - GRANULE_SHIFT;

fn grow(known: &Known) -> Function {
    use Instruction as I;
    let (wanted, end, page) = (0, 1, 2);
    let mut function = Function::new([(1, ValType::I64), (1, ValType::I32)]);
    let Some(size) = known.size else {
        // Where there is nothing to spare.
        for instruction in [I::LocalGet(wanted), I::MemoryGrow(0), I::End] {
            function.instruction(&instruction);
        }
        return function;
    };
    for instruction in [
        I::GlobalGet(size),
        I::I64ExtendI32U,
        I::LocalGet(wanted),
        I::I64ExtendI32U,
        I::I64Add,
        I::LocalSet(end),
        // What is handed out must not have been written to: a fresh instance would have trapped.
        I::GlobalGet(size),
        I::LocalSet(page),
        I::Block(BlockType::Empty),
        I::Loop(BlockType::Empty),
        I::LocalGet(page),
        I::I64ExtendI32U,
        I::LocalGet(end),
        I::I64GeU,
        I::BrIf(1),
        I::LocalGet(page),
        I::MemorySize(0),
        I::I32GeU,
        I::BrIf(1),
    ] {
        function.instruction(&instruction);
    }
    for word in 0..MARKS_OF_PAGE / 8 {
        for instruction in [
            I::LocalGet(page),
            I::I32Const(MARKS_SHIFT),
            I::I32Shl,
            I::I64Load(MemArg { offset: word * 8, align: 0, memory_index: SECOND }),
            I::I64Const(0),
            I::I64Ne,
            I::If(BlockType::Empty),
            I::Unreachable,
            I::End,
        ] {
            function.instruction(&instruction);
        }
    }
    for instruction in [
        I::LocalGet(page),
        I::I32Const(1),
        I::I32Add,
        I::LocalSet(page),
        I::Br(0),
        I::End,
        I::End,
        I::LocalGet(end),
        I::MemorySize(0),
        I::I64ExtendI32U,
        I::I64GtU,
        I::If(BlockType::Empty),
        // No memory has more pages, and below it nothing overflows. A fresh instance says
        // what comes of it.
        I::LocalGet(end),
        I::I64Const(65_536),
        I::I64GtU,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::LocalGet(end),
        I::I32WrapI64,
        I::MemorySize(0),
        I::I32Sub,
        I::MemoryGrow(0),
        I::I32Const(-1),
        I::I32Eq,
        I::If(BlockType::Empty),
        I::I32Const(-1),
        I::Return,
        I::End,
        I::End,
        I::GlobalGet(size),
        I::LocalGet(end),
        I::I32WrapI64,
        I::GlobalSet(size),
        I::End,
    ] {
        function.instruction(&instruction);
    }
    function
}

/// Bytes of a field in a list: two pointers and two lengths.
const FIELD_BYTES: i32 = 16;

fn word(memory: u32, offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: memory }
}

/// `(start, length)`: traps if the range is not all in the memory.
fn bound(known: &Known) -> Function {
    use Instruction as I;
    let size = known.size.map_or(I::MemorySize(0), I::GlobalGet);
    let mut function = Function::new([]);
    for instruction in [
        I::LocalGet(0),
        I::I64ExtendI32U,
        I::LocalGet(1),
        I::I64ExtendI32U,
        I::I64Add,
        size,
        I::I64ExtendI32U,
        I::I64Const(16),
        I::I64Shl,
        I::I64GtU,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::End,
    ] {
        function.instruction(&instruction);
    }
    function
}

/// `(to, from, length)`: copies from the second memory.
fn put(known: &Known) -> Function {
    use Instruction as I;
    let (to, from, length) = (0, 1, 2);
    let mut function = Function::new([]);
    for instruction in [
        I::LocalGet(to),
        I::LocalGet(length),
        I::Call(known.function(Added::Bound)),
        I::LocalGet(to),
        I::LocalGet(length),
        I::Call(known.function(Added::Mark)),
        I::LocalGet(to),
        I::LocalGet(from),
        I::LocalGet(length),
        I::MemoryCopy { src_mem: SECOND, dst_mem: 0 },
        I::End,
    ] {
        function.instruction(&instruction);
    }
    function
}

/// `(length of the line, fields) -> decision`.
fn call(known: &Known) -> Function {
    use Instruction as I;
    let (line_length, fields) = (0, 1);
    let (line, list, entry, end, data, field, text, length) = (2, 3, 4, 5, 6, 7, 8, 9);
    let request = known.layout.request().cast_signed();
    let entry_bytes = i32::try_from(ENTRY_BYTES).unwrap_or(i32::MAX);
    let put = I::Call(known.function(Added::Put));
    let realloc = I::Call(known.realloc);
    // Asks for so many bytes, and copies there what is next.
    let lower = |length, to| {
        [
            I::I32Const(0),
            I::I32Const(0),
            I::I32Const(1),
            I::LocalGet(length),
            realloc.clone(),
            I::LocalTee(to),
            I::LocalGet(data),
            I::LocalGet(length),
            put.clone(),
            I::LocalGet(data),
            I::LocalGet(length),
            I::I32Add,
            I::LocalSet(data),
        ]
    };
    let mut function = Function::new([(8, ValType::I32)]);
    for instruction in [
        // Where the bytes are: behind the table.
        I::I32Const(request),
        I::LocalTee(entry),
        I::LocalGet(fields),
        I::I32Const(entry_bytes),
        I::I32Mul,
        I::I32Add,
        I::LocalTee(end),
        I::LocalSet(data),
    ]
    .into_iter()
    .chain(lower(line_length, line))
    .chain([
        // The list of fields.
        I::I32Const(0),
        I::I32Const(0),
        I::I32Const(4),
        I::LocalGet(fields),
        I::I32Const(FIELD_BYTES),
        I::I32Mul,
        realloc.clone(),
        I::LocalTee(list),
        I::LocalTee(field),
        I::I32Const(3),
        I::I32And,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::LocalGet(list),
        I::LocalGet(fields),
        I::I32Const(FIELD_BYTES),
        I::I32Mul,
        I::Call(known.function(Added::Bound)),
        I::Block(BlockType::Empty),
        I::Loop(BlockType::Empty),
        I::LocalGet(entry),
        I::LocalGet(end),
        I::I32Eq,
        I::BrIf(1),
    ]) {
        function.instruction(&instruction);
    }
    // Its name, then its value.
    for offset in [0, 4] {
        for instruction in
            [I::LocalGet(entry), I::I32Load(word(SECOND, offset)), I::LocalSet(length)]
                .into_iter()
                .chain(lower(length, text))
        {
            function.instruction(&instruction);
        }
        if offset == 0 {
            // The mark of its first byte is one for all of its 16.
            function.instruction(&I::LocalGet(field));
            mark(&mut function);
        }
        for instruction in [
            I::LocalGet(field),
            I::LocalGet(text),
            I::I32Store(word(0, offset * 2)),
            I::LocalGet(field),
            I::LocalGet(length),
            I::I32Store(word(0, offset * 2 + 4)),
        ] {
            function.instruction(&instruction);
        }
    }
    for instruction in [
        I::LocalGet(field),
        I::I32Const(FIELD_BYTES),
        I::I32Add,
        I::LocalSet(field),
        I::LocalGet(entry),
        I::I32Const(entry_bytes),
        I::I32Add,
        I::LocalSet(entry),
        I::Br(0),
        I::End,
        I::End,
        I::LocalGet(line),
        I::LocalGet(line_length),
        I::LocalGet(list),
        I::LocalGet(fields),
        I::Call(known.decide),
        I::End,
    ] {
        function.instruction(&instruction);
    }
    function
}
