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
//!
//! - `head`: what of a module has to be known; `numbering`: the new indices; `sections`: what comes of them.

mod head;
mod numbering;
mod sections;

use std::collections::HashMap;

use wasm_encoder::ExportKind;
use wasmparser::ExternalKind;

use self::head::{Counts, Head};
use self::numbering::Numbering;
use self::sections::Sections;
use super::index::at;
use super::ineligible::Ineligible;
use super::layout::{MEMORY, POST_RETURN};
use super::links::{CoreItem, Links};

/// All of a guest in one module. Its memory, and what is called after a decision, are exports.
pub(super) struct Merged {
    pub(super) module: Vec<u8>,
    /// The functions that are called for a decision.
    pub(super) realloc: u32,
    pub(super) decide: u32,
    /// Whether something is called after it.
    pub(super) has_post_return: bool,
    /// Whether something is called in the beginning.
    pub(super) has_start: bool,
}

/// Merges the core instances of a component.
pub(super) fn merge(links: &Links<'_>) -> Result<Merged, Ineligible> {
    let heads = links.instances.iter().map(Head::of).collect::<Result<Vec<_>, _>>()?;
    let is_part = find_parts(links, &heads);
    let parts = || heads.iter().zip(&is_part).filter_map(|(head, is_part)| is_part.then_some(head));
    // A module may be there twice, and no small file may become a large one.
    let distinct: HashMap<_, _> =
        parts().map(|head| (head.module.as_ptr(), head.module.len())).collect();
    let all = parts().map(|head| head.module.len()).sum::<usize>();
    if all > 2 * distinct.values().sum::<usize>() {
        return Err(Ineligible::Composed);
    }
    let first_stub = parts().map(|head| head.has.functions).sum();
    let mut numbering = Numbering { heads: &heads, numbers: Vec::new(), stubs: Vec::new() };
    let mut next = Counts::default();
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
        has_start: !starts.is_empty(),
        module: sections.finish(),
    })
}

/// Which instances may act on what decides: those that it has something of, and those that have
/// something of it.
fn find_parts(links: &Links<'_>, heads: &[Head<'_>]) -> Vec<bool> {
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
