//! The allocator of the module: an arena that frees nothing.
//!
//! An instance lives for one decision, so nothing needs to be freed. The memory has
//! its full size from the start: the standard allocator grows it at once, which costs
//! the host two system calls and a TLB flush on every core for each decision (a request
//! cost 120 µs instead of 64, under load). Only a policy that needs more than the arena
//! pays for growth.

#![expect(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; this is its simplest implementation"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::memory_grow;
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr::{null_mut, with_exposed_provenance_mut};

/// Bytes of the arena: room for the longest request line that the host accepts (8 KiB),
/// made of slashes alone. Untouched pages cost little: the host resets touched pages
/// alone.
const ARENA_BYTES: usize = 384 << 10;

/// Bytes of a page of wasm, the unit in which memory grows.
const PAGE_BYTES: usize = 64 << 10;

/// Pages by which memory grows at least. The call costs, not the pages.
const GROWTH_PAGES: usize = 16;

#[global_allocator]
static ARENA: Arena = Arena {
    memory: UnsafeCell::new([MaybeUninit::uninit(); ARENA_BYTES]),
    used: Cell::new(0),
    grown: Cell::new((0, 0)),
};

struct Arena {
    memory: UnsafeCell<[MaybeUninit<u8>; ARENA_BYTES]>,
    /// Bytes from the start that are allocated, at most `ARENA_BYTES`.
    used: Cell<usize>,
    /// First and last address of the free rest of the pages by which memory grew.
    grown: Cell<(usize, usize)>,
}

/// Bytes that a decision may use without growth after a configuration that left less.
const RESERVED_BYTES: usize = 128 << 10;

/// Makes room for decisions behind what a configuration left: memory that is there before a
/// decision begins costs it nothing.
pub(crate) fn reserve() {
    ARENA.reserve();
}

impl Arena {
    fn reserve(&self) {
        let (next, end) = self.grown.get();
        if self.used.get() + RESERVED_BYTES <= ARENA_BYTES || end - next >= RESERVED_BYTES {
            return;
        }
        let first = memory_grow::<0>(GROWTH_PAGES);
        if first != usize::MAX {
            let start = first * PAGE_BYTES;
            self.grown.set((start, start.saturating_add(GROWTH_PAGES * PAGE_BYTES)));
        }
    }

    /// Allocates memory beyond the arena.
    #[cold]
    #[inline(never)]
    fn grow(&self, layout: Layout) -> *mut u8 {
        let (next, end) = self.grown.get();
        if let Some(start) = next.checked_next_multiple_of(layout.align())
            && let Some(next) = start.checked_add(layout.size()).filter(|&next| next <= end)
        {
            self.grown.set((next, end));
            return with_exposed_provenance_mut(start);
        }
        let pages = layout.size().div_ceil(PAGE_BYTES).max(GROWTH_PAGES);
        // No policy needs an alignment above that of a page.
        let fits = layout.align() <= PAGE_BYTES;
        let first = if fits { memory_grow::<0>(pages) } else { usize::MAX };
        if first == usize::MAX {
            return null_mut();
        }
        let start = first * PAGE_BYTES;
        // At the end of 32 bits the last byte stays unused: the end is an address too.
        let end = start.saturating_add(pages * PAGE_BYTES);
        self.grown.set((start + layout.size(), end));
        with_exposed_provenance_mut(start)
    }
}

// SAFETY: a module without the threads proposal has one thread.
unsafe impl Sync for Arena {}

// SAFETY: `alloc` returns each byte of the arena and of the pages after it once, with the
// alignment of the layout, or null. `realloc` is the trait's own, made of `alloc`, and
// so is `alloc_zeroed`.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get().cast::<u8>();
        let next = base.wrapping_add(self.used.get());
        let padding = next.align_offset(layout.align());
        let Some(end) = padding
            .checked_add(layout.size())
            .and_then(|bytes| bytes.checked_add(self.used.get()))
            .filter(|&end| end <= ARENA_BYTES)
        else {
            return self.grow(layout);
        };
        self.used.set(end);
        next.wrapping_add(padding)
    }

    unsafe fn dealloc(&self, _start: *mut u8, _layout: Layout) {}
}
