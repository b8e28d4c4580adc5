//! Makes one core module of those that a guest's core instances are made of, so that all of its state is
//! that of one instance.
//!
//! Each instance's functions, tables, memories and globals come after those of the ones before it, and
//! an import becomes the index of what it is. Segments keep their order, and start functions run after
//! all of them: where one would have run before some, the guest is not eligible. A function from outside
//! becomes one that traps.
//!
//! Only what may act on what decides is there: the instances that it is linked with, in either
//! direction.

use std::collections::HashMap;

use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, Encode, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, Instruction, MemorySection, Module,
    StartSection, TableSection, TypeSection,
};
use wasmparser::{
    DataKind, ElementKind, ExternalKind, GlobalSectionReader, Operator, Parser, Payload, TypeRef,
};

use super::ineligible::Ineligible;
use super::layout::{MEMORY, POST_RETURN};
use super::links::{CoreInstance, CoreItem, Links, unreadable};

/// Bytes of a constant that is written where another one names it. One is six at most, and a sum of
/// two a few more.
const CONSTANT_BYTES: usize = 64;

/// All of a guest in one module. Its memory, and what is called after a decision, are exports.
pub(super) struct Merged {
    pub(super) module: Vec<u8>,
    /// The functions that are called for a decision.
    pub(super) realloc: u32,
    pub(super) decide: u32,
    /// Whether something is called after it.
    pub(super) has_post_return: bool,
}

/// Merges the core instances of a component of this many bytes.
pub(super) fn merge(links: &Links<'_>, component_bytes: usize) -> Result<Merged, Ineligible> {
    let heads = links.instances.iter().map(Head::of).collect::<Result<Vec<_>, _>>()?;
    let is_part = parts(links, &heads);
    let parts = || heads.iter().zip(&is_part).filter_map(|(head, is_part)| is_part.then_some(head));
    // One module may be made many instances of.
    if parts().map(|head| head.module.len()).sum::<usize>() > component_bytes {
        return Err(Ineligible::Composed);
    }
    let first_stub = parts().map(|head| head.functions).sum();
    let mut numbering = Numbering { heads: &heads, numbers: Vec::new(), stubs: Vec::new() };
    let mut next = Next::default();
    for (head, is_part) in heads.iter().zip(&is_part) {
        let numbers = match is_part {
            true => Some(numbering.number(head, &mut next, first_stub)?),
            false => None,
        };
        numbering.numbers.push(numbers);
    }
    let mut sections = Sections::default();
    let mut starts = Vec::new();
    for (head, numbers) in heads.iter().zip(&numbering.numbers) {
        let Some(numbers) = numbers else { continue };
        if !starts.is_empty() && head.has_segments {
            return Err(Ineligible::part("a start function before its memory is complete"));
        }
        sections.append(head.module, numbers)?;
        if let Some(start) = head.start {
            starts.push(*at(&numbers.functions, start)?);
        }
    }
    sections.add_functions(&numbering.stubs, &starts, next.types);
    let decide = &links.decide;
    let function = |item| numbering.resolve(ExternalKind::Func, item);
    sections.exports.export(
        MEMORY,
        ExportKind::Memory,
        numbering.resolve(ExternalKind::Memory, decide.memory)?,
    );
    if let Some(post_return) = decide.post_return {
        sections.exports.export(POST_RETURN, ExportKind::Func, function(post_return)?);
    }
    Ok(Merged {
        realloc: function(decide.realloc)?,
        decide: function(decide.function)?,
        has_post_return: decide.post_return.is_some(),
        module: sections.finish(),
    })
}

/// Which instances may act on what decides: those that it has something of, and those that have
/// something of it.
fn parts(links: &Links<'_>, heads: &[Head<'_>]) -> Vec<bool> {
    let decide = &links.decide;
    let mut is_part = vec![false; heads.len()];
    for item in
        [decide.function, decide.memory, decide.realloc].into_iter().chain(decide.post_return)
    {
        if let CoreItem::Export(instance, _) = item {
            is_part[instance] = true;
        }
    }
    loop {
        let before = is_part.clone();
        for (number, head) in heads.iter().enumerate() {
            for import in &head.imports {
                let CoreItem::Export(instance, _) = import.item else { continue };
                let either = is_part[number] || is_part[instance];
                (is_part[number], is_part[instance]) = (either, either);
            }
        }
        if is_part == before {
            return is_part;
        }
    }
}

/// An import, and what it is.
struct Import<'a> {
    item: CoreItem<'a>,
    ty: TypeRef,
}

/// What the sections of a module say of it: what it imports and exports, and how many of each it has
/// besides.
struct Head<'a> {
    module: &'a [u8],
    imports: Vec<Import<'a>>,
    exports: HashMap<&'a str, (ExternalKind, u32)>,
    types: u32,
    functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    elements: u32,
    data: u32,
    /// Whether something is written to a memory or a table when an instance is made.
    has_segments: bool,
    start: Option<u32>,
}

impl<'a> Head<'a> {
    fn of(instance: &CoreInstance<'a>) -> Result<Head<'a>, Ineligible> {
        let mut head = Head {
            module: instance.module,
            imports: Vec::new(),
            exports: HashMap::new(),
            types: 0,
            functions: 0,
            tables: 0,
            memories: 0,
            globals: 0,
            elements: 0,
            data: 0,
            has_segments: false,
            start: None,
        };
        for payload in Parser::new(0).parse_all(instance.module) {
            match payload.map_err(unreadable)? {
                Payload::TypeSection(section) => {
                    for group in section {
                        let types = group.map_err(unreadable)?.types().len();
                        head.types += u32::try_from(types).map_err(unreadable)?;
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(unreadable)?;
                        let item = instance.import(import.module, import.name);
                        let item = item.ok_or(Ineligible::Composed)?;
                        head.imports.push(Import { item, ty: import.ty });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(unreadable)?;
                        head.exports.insert(export.name, (export.kind, export.index));
                    }
                }
                Payload::FunctionSection(section) => head.functions = section.count(),
                Payload::TableSection(section) => head.tables = section.count(),
                Payload::MemorySection(section) => head.memories = section.count(),
                Payload::GlobalSection(section) => head.globals = section.count(),
                Payload::ElementSection(section) => {
                    head.elements = section.count();
                    for element in section {
                        let kind = element.map_err(unreadable)?.kind;
                        head.has_segments |= matches!(kind, ElementKind::Active { .. });
                    }
                }
                Payload::DataSection(section) => {
                    head.data = section.count();
                    for data in section {
                        let kind = data.map_err(unreadable)?.kind;
                        head.has_segments |= matches!(kind, DataKind::Active { .. });
                    }
                }
                Payload::StartSection { func, .. } => head.start = Some(func),
                _ => {}
            }
        }
        Ok(head)
    }
}

/// The indices of an instance's items in the module of all.
#[derive(Default)]
struct Numbers {
    /// What is added to those of types and segments.
    types: u32,
    elements: u32,
    data: u32,
    functions: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
}

/// The next index of each kind.
#[derive(Default)]
struct Next {
    types: u32,
    functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    elements: u32,
    data: u32,
}

impl Next {
    /// Takes so many indices.
    fn take(next: &mut u32, count: u32) -> std::ops::Range<u32> {
        let first = *next;
        *next = first.saturating_add(count);
        first..*next
    }
}

/// Gives indices.
struct Numbering<'h, 'a> {
    heads: &'h [Head<'a>],
    /// Of the instances so far; `None` of those that are left out.
    numbers: Vec<Option<Numbers>>,
    /// The types of the functions that trap.
    stubs: Vec<u32>,
}

impl Numbering<'_, '_> {
    /// Numbers one instance. Functions that trap come after all others, from `first_stub` on.
    fn number(
        &mut self,
        head: &Head<'_>,
        next: &mut Next,
        first_stub: u32,
    ) -> Result<Numbers, Ineligible> {
        let mut numbers = Numbers {
            types: Next::take(&mut next.types, head.types).start,
            elements: Next::take(&mut next.elements, head.elements).start,
            data: Next::take(&mut next.data, head.data).start,
            ..Numbers::default()
        };
        for import in &head.imports {
            match import.ty {
                TypeRef::Func(ty) if import.item == CoreItem::Outside => {
                    numbers.functions.push(first_stub + index(self.stubs.len()));
                    self.stubs.push(numbers.types + ty);
                }
                TypeRef::Func(_) => {
                    numbers.functions.push(self.resolve(ExternalKind::Func, import.item)?);
                }
                TypeRef::Table(_) => {
                    numbers.tables.push(self.resolve(ExternalKind::Table, import.item)?);
                }
                TypeRef::Memory(_) => {
                    numbers.memories.push(self.resolve(ExternalKind::Memory, import.item)?);
                }
                TypeRef::Global(_) => {
                    numbers.globals.push(self.resolve(ExternalKind::Global, import.item)?);
                }
                TypeRef::Tag(_) | TypeRef::FuncExact(_) => {
                    return Err(Ineligible::part("an import of an unusual kind"));
                }
            }
        }
        numbers.functions.extend(Next::take(&mut next.functions, head.functions));
        numbers.tables.extend(Next::take(&mut next.tables, head.tables));
        numbers.memories.extend(Next::take(&mut next.memories, head.memories));
        numbers.globals.extend(Next::take(&mut next.globals, head.globals));
        Ok(numbers)
    }

    /// The index of what an instance exports.
    fn resolve(&self, kind: ExternalKind, item: CoreItem<'_>) -> Result<u32, Ineligible> {
        let CoreItem::Export(instance, name) = item else { return Err(Ineligible::Composed) };
        let (exported, index) =
            self.heads[instance].exports.get(name).ok_or(Ineligible::Composed)?;
        let numbers = self.numbers.get(instance).and_then(Option::as_ref);
        let numbers = numbers.filter(|_| *exported == kind).ok_or(Ineligible::Composed)?;
        let of_kind = match kind {
            ExternalKind::Func => &numbers.functions,
            ExternalKind::Table => &numbers.tables,
            ExternalKind::Memory => &numbers.memories,
            ExternalKind::Global => &numbers.globals,
            ExternalKind::Tag | ExternalKind::FuncExact => return Err(Ineligible::Composed),
        };
        at(of_kind, *index).copied()
    }
}

/// The sections of the module of all.
#[derive(Default)]
struct Sections {
    types: TypeSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<u32>,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
    /// What each global is, if that never changes.
    constants: Vec<Option<Vec<u8>>>,
}

impl Sections {
    /// Appends what a module has.
    fn append(&mut self, module: &[u8], numbers: &Numbers) -> Result<(), Ineligible> {
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
            appended.map_err(ineligible)?;
        }
        self.constants = renumber.constants;
        Ok(())
    }

    /// Adds functions that trap, of these types, and one that calls what is called in the beginning.
    /// There are so many types.
    fn add_functions(&mut self, stubs: &[u32], starts: &[u32], types: u32) {
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

    fn finish(self) -> Vec<u8> {
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
    numbers: &'n Numbers,
    constants: Vec<Option<Vec<u8>>>,
}

type Failure = reencode::Error<Ineligible>;

impl Reencode for Renumber<'_> {
    type Error = Ineligible;

    fn type_index(&mut self, ty: u32) -> Result<u32, Failure> {
        Ok(self.numbers.types + ty)
    }

    fn element_index(&mut self, element: u32) -> Result<u32, Failure> {
        Ok(self.numbers.elements + element)
    }

    fn data_index(&mut self, data: u32) -> Result<u32, Failure> {
        Ok(self.numbers.data + data)
    }

    fn function_index(&mut self, function: u32) -> Result<u32, Failure> {
        at(&self.numbers.functions, function).copied().map_err(Failure::UserError)
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Failure> {
        at(&self.numbers.tables, table).copied().map_err(Failure::UserError)
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Failure> {
        at(&self.numbers.memories, memory).copied().map_err(Failure::UserError)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, Failure> {
        at(&self.numbers.globals, global).copied().map_err(Failure::UserError)
    }

    /// Keeps what each global is that never changes.
    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Failure> {
        for global in section {
            let global = global?;
            let constant = self.constant(&global.init_expr)?;
            globals.global(self.global_type(global.ty)?, &ConstExpr::raw(constant.clone()));
            let is_kept = !global.ty.mutable && constant.len() <= CONSTANT_BYTES;
            self.constants.push(is_kept.then_some(constant));
        }
        Ok(())
    }

    fn const_expr(&mut self, constant: wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Failure> {
        Ok(ConstExpr::raw(self.constant(&constant)?))
    }
}

impl Renumber<'_> {
    /// A constant without its end. It may name a global that is imported, and not one of its own
    /// module: what that is takes its place.
    fn constant(&mut self, constant: &wasmparser::ConstExpr<'_>) -> Result<Vec<u8>, Failure> {
        let mut operators = constant.get_operators_reader();
        let mut bytes = Vec::new();
        while !operators.is_end_then_eof() {
            match operators.read()? {
                Operator::GlobalGet { global_index } => {
                    let global = self.global_index(global_index)?;
                    let known = at(&self.constants, global).ok().and_then(Option::as_ref);
                    let unknown = || Ineligible::part("a constant that is not known");
                    bytes.extend(known.ok_or_else(unknown).map_err(Failure::UserError)?);
                }
                operator => self.instruction(operator)?.encode(&mut bytes),
            }
        }
        Ok(bytes)
    }
}

fn ineligible(failure: Failure) -> Ineligible {
    match failure {
        Failure::UserError(why) => why,
        other => Ineligible::Rewriting(other.to_string()),
    }
}

/// The item with this index.
fn at<T>(items: &[T], index: u32) -> Result<&T, Ineligible> {
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    item.ok_or(Ineligible::Composed)
}

/// An index of the binary format, which are 32 bits.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
