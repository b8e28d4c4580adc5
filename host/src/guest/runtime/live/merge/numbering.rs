//! The indices that all items get in the module of all.

use wasmparser::{ExternalKind, TypeRef};

use super::head::Head;
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::live::links::CoreItem;

/// The indices of an instance's items in the module of all.
#[derive(Default)]
pub(super) struct Numbers {
    /// What is added to those of types and segments.
    pub(super) types: u32,
    pub(super) elements: u32,
    pub(super) data: u32,
    pub(super) functions: Vec<u32>,
    pub(super) tables: Vec<u32>,
    pub(super) memories: Vec<u32>,
    pub(super) globals: Vec<u32>,
}

/// The next index of each kind.
#[derive(Default)]
pub(super) struct Next {
    pub(super) types: u32,
    pub(super) functions: u32,
    pub(super) tables: u32,
    pub(super) memories: u32,
    pub(super) globals: u32,
    pub(super) elements: u32,
    pub(super) data: u32,
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
pub(super) struct Numbering<'h, 'a> {
    pub(super) heads: &'h [Head<'a>],
    /// Of the instances so far; `None` of those that are left out.
    pub(super) numbers: Vec<Option<Numbers>>,
    /// The types of the functions that trap.
    pub(super) stubs: Vec<u32>,
}

impl Numbering<'_, '_> {
    /// Numbers one instance. Functions that trap come after all others, from `first_stub` on.
    pub(super) fn number(
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
    pub(super) fn resolve(
        &self,
        kind: ExternalKind,
        item: CoreItem<'_>,
    ) -> Result<u32, Ineligible> {
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

/// The item with this index.
pub(super) fn at<T>(items: &[T], index: u32) -> Result<&T, Ineligible> {
    let item = usize::try_from(index).ok().and_then(|index| items.get(index));
    item.ok_or(Ineligible::Composed)
}

/// An index of the binary format, which are 32 bits.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
