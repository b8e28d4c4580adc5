//! The indices that all items get in the module of all.

use std::ops::Range;

use wasmparser::{ExternalKind, TypeRef};

use super::head::{Counts, Head};
use crate::guest::runtime::live::index::{self, at};
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

/// Takes so many indices, of which this is the next.
fn take(next: &mut u32, count: u32) -> Range<u32> {
    let first = *next;
    *next = first.saturating_add(count);
    first..*next
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
    /// Numbers one instance: `next` is what those before it have. Functions that trap come after all
    /// others, from `first_stub` on.
    pub(super) fn number(
        &mut self,
        head: &Head<'_>,
        next: &mut Counts,
        first_stub: u32,
    ) -> Result<Numbers, Ineligible> {
        let mut numbers = Numbers {
            types: take(&mut next.types, head.has.types).start,
            elements: take(&mut next.elements, head.has.elements).start,
            data: take(&mut next.data, head.has.data).start,
            ..Numbers::default()
        };
        for import in &head.imports {
            match import.ty {
                TypeRef::Func(ty) if import.item == CoreItem::Outside => {
                    numbers.functions.push(first_stub + index::after(self.stubs.len()));
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
        numbers.functions.extend(take(&mut next.functions, head.has.functions));
        numbers.tables.extend(take(&mut next.tables, head.has.tables));
        numbers.memories.extend(take(&mut next.memories, head.has.memories));
        numbers.globals.extend(take(&mut next.globals, head.has.globals));
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
