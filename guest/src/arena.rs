//! Where the module's memory comes from: a fixed arena that is never given back.
//!
//! An instance lives for one decision, so there is nothing to free. And the
//! memory has its full size from the start: growing it, as the standard
//! allocator does at once, costs the host two system calls and a TLB flush on
//! every core for each decision (a request cost 120 µs instead of 64, under load).

#![expect(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; this is its simplest implementation"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

/// Bytes of the arena. The longest request line that the host accepts (8 KiB),
/// made of slashes alone, has room. Pages that are not touched cost little: the
/// host looks which were when it cleans up.
const ARENA_BYTES: usize = 384 << 10;

#[global_allocator]
static ARENA: Arena =
    Arena { memory: UnsafeCell::new([MaybeUninit::uninit(); ARENA_BYTES]), used: Cell::new(0) };

struct Arena {
    memory: UnsafeCell<[MaybeUninit<u8>; ARENA_BYTES]>,
    /// Bytes from the start that were handed out. Never more than there are.
    used: Cell<usize>,
}

// SAFETY: a module without the threads proposal has one thread.
unsafe impl Sync for Arena {}

// SAFETY: `alloc` hands out each byte of the arena once, aligned as asked for,
// or null. `realloc` and `alloc_zeroed` are the trait's own, made of `alloc`.
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
            return std::ptr::null_mut();
        };
        self.used.set(end);
        next.wrapping_add(padding)
    }

    unsafe fn dealloc(&self, _start: *mut u8, _layout: Layout) {}
}
