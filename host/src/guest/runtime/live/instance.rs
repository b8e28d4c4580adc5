//! An instance that stays, and is put back to what it was after each decision.

use std::sync::{Arc, OnceLock};

use wasmtime::{Global, InstancePre, Memory, Store, TypedFunc, Val};

use super::layout::{
    CALL, ENTRY_BYTES, GLOBAL, GRANULE_SHIFT, Layout, MARKS, MEMORY, POST_RETURN, REQUEST_BYTES,
};
use super::lift;
use super::shape::SNAPSHOT_BYTES;
use crate::guest::decision::request::Request;
use crate::guest::decision::unchecked::Unchecked;
use crate::guest::runtime::epoch::Ticks;
use crate::guest::runtime::limits::{DecisionLimits, PAGE_BYTES};
use crate::guest::runtime::usage::Usage;

/// Marks that are looked at together: those of a page of memory.
const TOGETHER: usize = (PAGE_BYTES >> GRANULE_SHIFT) as usize;

/// What all instances of a guest begin with, without the zeros at its end.
pub(super) type Snapshot = Arc<[u8]>;

/// An instance in which nothing has happened, or what happened is known by its marks.
pub(super) struct LiveInstance {
    store: Store<Usage>,
    memory: Memory,
    marks: Memory,
    call: TypedFunc<(u32, u32), u32>,
    post_return: Option<TypedFunc<u32, ()>>,
    /// The mutable globals, and what they are in the beginning.
    globals: Vec<(Global, Val)>,
    /// The size of the memory in pages, as the guest sees it, where it has spare ones.
    size: Option<Global>,
    memory_bytes: usize,
    snapshot: Snapshot,
    pub(super) layout: Layout,
    /// Runs of granules that are put back: kept for its room.
    runs: Vec<(usize, usize)>,
}

/// Whether an instance is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// It is.
    Done,
    /// Its memory grew, and cannot shrink.
    Grown,
    /// It is, but wrote to spare pages that it had not asked for: a fresh one would have trapped.
    Strayed,
    /// It is not: a global could not be set.
    Failed,
}

/// Why there is no decision: one is made on a fresh instance.
pub(super) struct NotDecided;

/// What a guest's instances are made of.
pub(super) struct Parts<'a> {
    pub(super) pre: &'a InstancePre<Usage>,
    pub(super) has_post_return: bool,
    pub(super) has_start: bool,
    pub(super) globals: u32,
    pub(super) has_size: bool,
    pub(super) layout: Layout,
    /// What the first one began with.
    pub(super) snapshot: &'a OnceLock<Snapshot>,
}

impl LiveInstance {
    /// Makes an instance. All of one guest have the same snapshot: instantiation is deterministic.
    pub(super) fn new(
        mut store: Store<Usage>,
        parts: &Parts<'_>,
    ) -> wasmtime::Result<LiveInstance> {
        let instance = parts.pre.instantiate(&mut store)?;
        let missing = || wasmtime::format_err!("an export of a live guest is missing");
        let memory = instance.get_memory(&mut store, MEMORY).ok_or_else(missing)?;
        let marks = instance.get_memory(&mut store, MARKS).ok_or_else(missing)?;
        let call = instance.get_typed_func(&mut store, CALL)?;
        let post_return = match parts.has_post_return {
            true => Some(instance.get_typed_func(&mut store, POST_RETURN)?),
            false => None,
        };
        let mut globals = Vec::new();
        for number in 0..parts.globals {
            let global = instance
                .get_global(&mut store, &format!("{GLOBAL}{number}"))
                .ok_or_else(missing)?;
            globals.push((global, global.get(&mut store)));
        }
        let size = parts.has_size.then(|| globals.last().map(|(global, _)| *global)).flatten();
        if parts.has_start {
            // It left marks, and is a part of the beginning.
            marks.data_mut(&mut store).fill(0);
        }
        let bytes = memory.data(&store);
        // A start function may have grown it.
        if bytes.len() as u64 > SNAPSHOT_BYTES {
            return Err(wasmtime::format_err!("it begins with {} bytes of memory", bytes.len()));
        }
        let snapshot = Arc::clone(parts.snapshot.get_or_init(|| without_zeros(bytes).into()));
        let memory_bytes = bytes.len();
        Ok(LiveInstance {
            store,
            memory,
            marks,
            call,
            post_return,
            globals,
            size,
            memory_bytes,
            snapshot,
            layout: parts.layout,
            runs: Vec::new(),
        })
    }

    /// Bytes of memory that it begins with.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Decides, and leaves what happened in the instance. After an error it is of no more use.
    pub(super) fn decide(
        &mut self,
        request: &Request,
        limits: DecisionLimits,
        budget: usize,
    ) -> Result<Unchecked, NotDecided> {
        let (line, fields) = self.write(request).ok_or(NotDecided)?;
        self.store.set_epoch_deadline(Ticks::at_least(limits.deadline).0);
        let called = self.call.call(&mut self.store, (line, fields));
        let at = called.map_err(|_| NotDecided)?;
        let visible = self.visible();
        if visible > limits.memory_bytes {
            return Err(NotDecided);
        }
        let memory = self.memory.data(&self.store).get(..visible).ok_or(NotDecided)?;
        let decision = lift::decision(memory, at, budget).map_err(|_| NotDecided)?;
        if let Some(post_return) = &self.post_return {
            post_return.call(&mut self.store, at).map_err(|_| NotDecided)?;
        }
        Ok(decision)
    }

    /// Writes a request to where the guest's caller reads it, and gives the length of its line
    /// and the number of its fields; `None` if it is too long.
    fn write(&mut self, request: &Request) -> Option<(u32, u32)> {
        let start = usize::try_from(self.layout.request()).ok()?;
        let room =
            self.marks.data_mut(&mut self.store).get_mut(start..)?.get_mut(..REQUEST_BYTES)?;
        let count = request.fields.len();
        let (table, mut bytes) = room.split_at_mut_checked(count.checked_mul(ENTRY_BYTES)?)?;
        put(&mut bytes, &request.line)?;
        for (entry, field) in table.chunks_exact_mut(ENTRY_BYTES).zip(&request.fields) {
            let (name, value) = entry.split_at_mut(ENTRY_BYTES / 2);
            name.copy_from_slice(&u32::try_from(field.name.len()).ok()?.to_le_bytes());
            value.copy_from_slice(&u32::try_from(field.value.len()).ok()?.to_le_bytes());
            put(&mut bytes, field.name.as_bytes())?;
            put(&mut bytes, &field.value)?;
        }
        Some((u32::try_from(request.line.len()).ok()?, u32::try_from(count).ok()?))
    }

    /// Bytes of memory that it has as far as it knows.
    fn visible(&mut self) -> usize {
        match self.size.map(|size| size.get(&mut self.store)) {
            Some(Val::I32(pages)) => {
                let bytes = u64::from(pages.cast_unsigned()) * PAGE_BYTES;
                usize::try_from(bytes).unwrap_or(usize::MAX)
            }
            _ => self.memory.data_size(&self.store),
        }
    }

    /// Puts it back to what it was.
    pub(super) fn reset(&mut self) -> Reset {
        if self.memory.data_size(&self.store) != self.memory_bytes {
            return Reset::Grown;
        }
        let visible = self.visible();
        let LiveInstance { store, memory, marks, snapshot, runs, globals, layout, .. } = self;
        runs.clear();
        let granules = self.memory_bytes >> GRANULE_SHIFT;
        let marks = &mut marks.data_mut(&mut *store)[..granules];
        // Of a memory none is left over.
        for (number, together) in marks.as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate() {
            if together.iter().fold(0, |all, mark| all | mark) == 0 {
                continue;
            }
            for (place, mark) in together.iter().enumerate() {
                let granule = number * TOGETHER + place;
                match runs.last_mut() {
                    _ if *mark == 0 => {}
                    Some((_, end)) if *end == granule => *end += 1,
                    _ => runs.push((granule, granule + 1)),
                }
            }
            *together = [0; TOGETHER];
        }
        let bytes = memory.data_mut(&mut *store);
        // Across the end that it knows a fresh one would have trapped, too.
        let beyond = bytes.get(visible..(visible + layout.overhang).min(bytes.len()));
        let is_across = beyond.is_some_and(|beyond| beyond.iter().any(|byte| *byte != 0));
        for &(first, end) in runs.iter() {
            let start = first << GRANULE_SHIFT;
            let end = ((end << GRANULE_SHIFT) + layout.overhang).min(bytes.len());
            // Behind the snapshot are zeros.
            let begun = snapshot.get(start..end.min(snapshot.len())).unwrap_or_default();
            let (copied, zeros) = bytes[start..end].split_at_mut(begun.len());
            copied.copy_from_slice(begun);
            zeros.fill(0);
        }
        for (global, value) in globals.iter() {
            // It is mutable, and this is a value that it had.
            if global.set(&mut *store, *value).is_err() {
                return Reset::Failed;
            }
        }
        let strayed = self.runs.last().is_some_and(|&(_, end)| end << GRANULE_SHIFT > visible);
        if strayed || is_across { Reset::Strayed } else { Reset::Done }
    }

    /// Writes a byte as no guest can: without a mark.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, at: usize) {
        self.memory.data_mut(&mut self.store)[at] ^= 1;
    }

    /// Whether it is what it was in the beginning: all of it is compared.
    pub(super) fn is_as_made(&mut self) -> bool {
        let LiveInstance { store, memory, marks, snapshot, globals, layout, .. } = self;
        let end = usize::try_from(layout.request()).unwrap_or(usize::MAX);
        let Some((begin, rest)) = memory.data(&*store).split_at_checked(snapshot.len()) else {
            return false;
        };
        begin == &snapshot[..]
            && rest.iter().all(|byte| *byte == 0)
            && marks.data(&*store)[..end].iter().all(|mark| *mark == 0)
            && globals.iter().all(|(global, value)| is_same(&global.get(&mut *store), value))
    }
}

/// These bytes without the zeros at their end.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..length]
}

/// Appends bytes to what is written so far; `None` if there is no room.
fn put(room: &mut &mut [u8], bytes: &[u8]) -> Option<()> {
    let (to, rest) = std::mem::take(room).split_at_mut_checked(bytes.len())?;
    to.copy_from_slice(bytes);
    *room = rest;
    Some(())
}

/// Whether two values are the same, bit for bit.
fn is_same(one: &Val, other: &Val) -> bool {
    match (one, other) {
        (Val::I32(one), Val::I32(other)) => one == other,
        (Val::I64(one), Val::I64(other)) => one == other,
        (Val::F32(one), Val::F32(other)) => one == other,
        (Val::F64(one), Val::F64(other)) => one == other,
        (Val::V128(one), Val::V128(other)) => one == other,
        _ => false,
    }
}
