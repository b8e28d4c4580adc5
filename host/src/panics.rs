//! What becomes of a panic: a line in the log, a count, and the rest goes on.
//!
//! A panic is a fault of innkeeper. In a connection, a decision or a swap it ends that one;
//! what others depend on begins anew, after a rest.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::diagnostics;

/// How long what panicked rests before it begins anew: what panics each time says so once a
/// second.
const REST: Duration = Duration::from_secs(1);

/// Panics since the start. There is one count for a process, as there is one hook.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Has each panic of this process logged, in one line, and counted.
pub fn watch() {
    set_hook(Box::new(note));
}

/// How many there were.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(panic: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let reason = panic.payload_as_str().unwrap_or("no reason is given");
    // A failed comparison has its two sides on lines of their own.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let thread = thread::current();
    let thread = thread.name().unwrap_or("a thread without a name");
    match panic.location() {
        Some(place) => tracing::error!("a panic in {thread} at {place}: {reason}"),
        None => tracing::error!("a panic in {thread}: {reason}"),
    }
    // Without memory it ends the process, which has to have said so.
    diagnostics::finish();
}

/// Does the work of a thread until it is done. After an error or a panic it is begun anew.
pub fn go_on(who: &str, mut work: impl FnMut() -> io::Result<()>) {
    loop {
        match catch_unwind(AssertUnwindSafe(&mut work)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!("{who} begins anew in a second: {error}"),
            Err(_) => tracing::error!("{who} begins anew in a second, after a panic"),
        }
        thread::sleep(REST);
    }
}

/// Does the work of a task until it is done. After a panic it is begun anew.
pub async fn keep_up<W>(who: &str, mut work: impl FnMut() -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    while tokio::spawn(work()).await.is_err_and(|error| error.is_panic()) {
        tracing::error!("{who} begins anew in a second, after a panic");
        tokio::time::sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{count, go_on, keep_up, note};
    use std::io;
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, Once};

    /// Has panics noted as in the program; tests that fail still show theirs.
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

    /// What is logged, kept.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_with_its_place_and_is_counted() {
        watch();
        let (kept, before) = (Kept::default(), count());
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        let place = tracing::subscriber::with_default(subscriber, || {
            let line = line!() + 1;
            assert!(catch_unwind(|| assert_eq!(1, 2, "of two\nlines")).is_err());
            format!("{}:{line}:", file!())
        });
        let told = String::from_utf8(kept.0.lock().expect("no writer panics").clone());
        let told = told.expect("text");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("ERROR") && told.contains(&place), "{told}");
        assert!(told.contains("of two lines left: 1 right: 2"), "{told}");
        // Other tests panic too.
        assert!(count() > before);
    }

    #[test]
    fn a_thread_that_panics_or_fails_begins_anew() {
        let mut turns = 0;
        go_on("a test", || {
            turns += 1;
            match turns {
                1 => panic!("once"),
                2 => Err(io::Error::other("and once again")),
                _ => Ok(()),
            }
        });
        assert_eq!(turns, 3);
    }

    #[test]
    fn a_task_that_panics_begins_anew_after_a_rest() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let turns = Arc::new(AtomicUsize::new(0));
        let began = std::time::Instant::now();
        runtime.block_on(keep_up("a test", || {
            let turns = Arc::clone(&turns);
            async move { assert!(turns.fetch_add(1, Ordering::Relaxed) > 0, "the first one") }
        }));
        assert_eq!(turns.load(Ordering::Relaxed), 2);
        assert!(began.elapsed() >= super::REST, "what always panics must not keep a core busy");
    }
}
