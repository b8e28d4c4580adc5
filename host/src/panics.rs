//! Logs and counts panics. Each is a fault of innkeeper.
//!
//! A panic in a connection, a decision or a swap ends that one; [`crate::supervise`] restarts
//! what others depend on.

use std::panic::{PanicHookInfo, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::diagnostics;

/// Panics since the start: one count for the process, as there is one hook.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Logs each panic of this process in one line, and counts it.
pub fn watch() {
    set_hook(Box::new(note));
}

/// The number of panics since the start.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let reason = panic.payload_as_str().unwrap_or("none given");
    // A failed comparison has its two sides on lines of their own.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let location = panic.location().map(tracing::field::display);
    tracing::error!(thread, location, reason, "panic");
    // Out of memory the process ends with it: the line must be written before.
    diagnostics::finish();
}

#[cfg(test)]
mod tests {
    use super::{count, note};
    use crate::diagnostics::{Form, captured};
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::Once;

    /// Notes panics as in the program; tests that fail still show theirs.
    fn watch() {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |panic| {
                note(panic);
                before(panic);
            }));
        });
    }

    #[test]
    fn panic_is_one_line_with_its_location_and_is_counted() {
        watch();
        let before = count();
        let mut location = String::new();
        let told = captured(Form::Text, || {
            let line = line!() + 1;
            assert!(catch_unwind(|| assert_eq!(1, 2, "of two\nlines")).is_err());
            location = format!("location={}:{line}:", file!());
        });
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("ERROR") && told.contains(&location), "{told}");
        assert!(told.contains("of two lines left: 1 right: 2"), "{told}");
        // Other tests panic too.
        assert!(count() > before);
    }
}
