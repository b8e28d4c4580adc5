//! The sections of the module of all, in which items have their new indices.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Encode, ExportSection,
    Function, FunctionSection, GlobalSection, Instruction, MemorySection, Module, StartSection,
    TableSection, TypeSection,
};
use wasmparser::{GlobalSectionReader, Operator, Parser, Payload};

use super::numbering::Numbers;
use crate::guest::runtime::live::index::at;
use crate::guest::runtime::live::ineligible::{Ineligible, Unwritten};
use crate::guest::runtime::live::links::unreadable;

/// Bytes of a constant that is written where another one names it. One is six at most, and a sum of
/// two a few more.
const CONSTANT_BYTES: usize = 64;

/// The sections of the module of all.
#[derive(Default)]
pub(super) struct Sections {
    pub(super) types: TypeSection,
    pub(super) functions: FunctionSection,
    pub(super) tables: TableSection,
    pub(super) memories: MemorySection,
    pub(super) globals: GlobalSection,
    pub(super) exports: ExportSection,
    pub(super) start: Option<u32>,
    pub(super) elements: ElementSection,
    pub(super) code: CodeSection,
    pub(super) data: DataSection,
    /// What each global is, if that never changes.
    pub(super) constants: Vec<Option<Vec<u8>>>,
}

impl Sections {
    /// Appends what a module has.
    pub(super) fn append(&mut self, module: &[u8], numbers: &Numbers) -> Result<(), Ineligible> {
        let constants = std::mem::take(&mut self.constants);
        let mut renumber = Renumber { numbers, constants };
        for payload in Parser::new(0).parse_all(module) {
            let appended = match payload.map_err(unreadable)? {
                Payload::TypeSection(section) => {
                    renumber.parse_type_section(&mut self.types, section)
                }
                Payload::FunctionSection(section) => {
                    renumber.parse_function_section(&mut self.functions, section)
                }
                Payload::TableSection(section) => {
                    renumber.parse_table_section(&mut self.tables, section)
                }
                Payload::MemorySection(section) => {
                    renumber.parse_memory_section(&mut self.memories, section)
                }
                Payload::GlobalSection(section) => {
                    renumber.parse_global_section(&mut self.globals, section)
                }
                Payload::ElementSection(section) => {
                    renumber.parse_element_section(&mut self.elements, section)
                }
                Payload::DataSection(section) => {
                    renumber.parse_data_section(&mut self.data, section)
                }
                Payload::CodeSectionEntry(body) => {
                    renumber.parse_function_body(&mut self.code, body)
                }
                Payload::Version { .. }
                | Payload::ImportSection(_)
                | Payload::ExportSection(_)
                | Payload::StartSection { .. }
                | Payload::DataCountSection { .. }
                | Payload::CodeSectionStart { .. }
                // None is kept: they name functions for people, and sections for tools.
                | Payload::CustomSection(_)
                | Payload::End(_) => Ok(()),
                _ => return Err(Ineligible::part("a section of an unusual kind")),
            };
            appended?;
        }
        self.constants = renumber.constants;
        Ok(())
    }

    /// Adds functions that trap, of these types, and one that calls what is called in the beginning.
    /// There are so many types.
    pub(super) fn add_functions(&mut self, stubs: &[u32], starts: &[u32], types: u32) {
        for ty in stubs {
            self.functions.function(*ty);
            let mut function = Function::new([]);
            function.instruction(&Instruction::Unreachable).instruction(&Instruction::End);
            self.code.function(&function);
        }
        if starts.is_empty() {
            return;
        }
        self.types.ty().function([], []);
        self.start = Some(self.functions.len());
        self.functions.function(types);
        let mut function = Function::new([]);
        for start in starts {
            function.instruction(&Instruction::Call(*start));
        }
        function.instruction(&Instruction::End);
        self.code.function(&function);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.functions)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(&self.exports);
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        module
            .section(&self.elements)
            .section(&DataCountSection { count: self.data.len() })
            .section(&self.code)
            .section(&self.data);
        module.finish()
    }
}

/// Gives the items of one module their new indices.
struct Renumber<'n> {
    pub(super) numbers: &'n Numbers,
    pub(super) constants: Vec<Option<Vec<u8>>>,
}

impl Reencode for Renumber<'_> {
    type Error = Ineligible;

    fn type_index(&mut self, ty: u32) -> Result<u32, Unwritten> {
        Ok(self.numbers.types + ty)
    }

    fn element_index(&mut self, element: u32) -> Result<u32, Unwritten> {
        Ok(self.numbers.elements + element)
    }

    fn data_index(&mut self, data: u32) -> Result<u32, Unwritten> {
        Ok(self.numbers.data + data)
    }

    fn function_index(&mut self, function: u32) -> Result<u32, Unwritten> {
        at(&self.numbers.functions, function).copied().map_err(Unwritten::UserError)
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Unwritten> {
        at(&self.numbers.tables, table).copied().map_err(Unwritten::UserError)
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Unwritten> {
        at(&self.numbers.memories, memory).copied().map_err(Unwritten::UserError)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, Unwritten> {
        at(&self.numbers.globals, global).copied().map_err(Unwritten::UserError)
    }

    /// Keeps what each global is that never changes.
    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Unwritten> {
        for global in section {
            let global = global?;
            let constant = self.constant(&global.init_expr)?;
            globals.global(self.global_type(global.ty)?, &ConstExpr::raw(constant.clone()));
            let is_kept = !global.ty.mutable && constant.len() <= CONSTANT_BYTES;
            self.constants.push(is_kept.then_some(constant));
        }
        Ok(())
    }

    fn const_expr(&mut self, constant: wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Unwritten> {
        Ok(ConstExpr::raw(self.constant(&constant)?))
    }
}

impl Renumber<'_> {
    /// A constant without its end. It may name a global that is imported, and not one of its own
    /// module: what that is takes its place.
    fn constant(&mut self, constant: &wasmparser::ConstExpr<'_>) -> Result<Vec<u8>, Unwritten> {
        let mut operators = constant.get_operators_reader();
        let mut bytes = Vec::new();
        while !operators.is_end_then_eof() {
            match operators.read()? {
                Operator::GlobalGet { global_index } => {
                    let global = self.global_index(global_index)?;
                    let known = at(&self.constants, global).ok().and_then(Option::as_ref);
                    let unknown = || Ineligible::part("a constant that is not known");
                    bytes.extend(known.ok_or_else(unknown).map_err(Unwritten::UserError)?);
                }
                operator => self.instruction(operator)?.encode(&mut bytes),
            }
        }
        Ok(bytes)
    }
}
