//! Gives memory back to the system that a compilation had: the allocator would keep it
//! for the next one, which may be days away. After a guest in Python that is 200 MiB.

/// Gives back the free memory that the allocator holds. Takes some milliseconds after a large
/// guest.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a function of the C library's allocator")]
pub(super) fn give_back() {
    // SAFETY: it has no pointer among its arguments, and any thread may call it at any
    // time (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give it back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}
