//! Restarts threads and tasks that fail: each panic or error costs one turn of their work.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The pause before a restart: what fails each time is logged once a second and keeps no core
/// busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Does the work of a thread until it is done, and restarts it after an error or a panic.
pub fn thread(name: &str, mut work: impl FnMut() -> io::Result<()>) {
    loop {
        match catch_unwind(AssertUnwindSafe(&mut work)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(thread = name, %error, "thread failed, restarting"),
            Err(_) => tracing::error!(thread = name, "thread panicked, restarting"),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Does the work of a task until it is done, and restarts it after a panic.
pub async fn task<W>(name: &str, mut work: impl FnMut() -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    while tokio::spawn(work()).await.is_err_and(|error| error.is_panic()) {
        tracing::error!(task = name, "task panicked, restarting");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{task, thread};
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn thread_restarts_after_a_panic_and_after_an_error() {
        let mut turns = 0;
        thread("test", || {
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
    fn task_restarts_after_a_panic_and_a_pause() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let turns = Arc::new(AtomicUsize::new(0));
        let began = std::time::Instant::now();
        runtime.block_on(task("test", || {
            let turns = Arc::clone(&turns);
            async move { assert!(turns.fetch_add(1, Ordering::Relaxed) > 0, "the first one") }
        }));
        assert_eq!(turns.load(Ordering::Relaxed), 2);
        assert!(began.elapsed() >= super::PAUSE, "what always panics must not keep a core busy");
    }
}
