//! A thread for what may be done later, beside workers that serve already.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::thread::prepare_background_thread;
use crate::lock::lock;

/// The thread. It ends when this is dropped and it has done what it has begun.
pub(in crate::guest) struct Background(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when there is more to do, or never will be.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    is_over: bool,
}

/// Something to do later.
pub(in crate::guest) struct Job {
    /// Whether it is of use still: a job that is not is forgotten, with all that it holds.
    pub(in crate::guest) is_wanted: Box<dyn Fn() -> bool + Send>,
    pub(in crate::guest) work: Box<dyn FnOnce() + Send>,
}

impl Background {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Background> {
        let queue = Arc::new(Queue::default());
        let background = Background(Arc::clone(&queue));
        thread::Builder::new().name("guest-background".to_owned()).spawn(move || {
            prepare_background_thread();
            while let Some(job) = queue.next() {
                // The panic's hook logs it.
                let _ = catch_unwind(AssertUnwindSafe(job.work));
            }
        })?;
        Ok(background)
    }

    /// Does this when all that was asked for before is done.
    pub(in crate::guest) fn run(&self, job: Job) {
        let mut waiting = lock(&self.0.waiting);
        // What is left is no more than there are guests.
        waiting.jobs.retain(|job| (job.is_wanted)());
        waiting.jobs.push_back(job);
        drop(waiting);
        self.0.changed.notify_one();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        lock(&self.0.waiting).is_over = true;
        self.0.changed.notify_one();
    }
}

impl Queue {
    /// What is to be done next; `None` when nothing is any more.
    fn next(&self) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.is_over {
                return None;
            }
            match waiting.jobs.pop_front() {
                Some(job) if (job.is_wanted)() => return Some(job),
                Some(_) => {}
                None => {
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::{Background, Job};

    #[test]
    fn panic_ends_its_job_alone_and_what_nobody_wants_is_not_done() {
        let background = Background::start().expect("a thread");
        let (sender, receiver) = mpsc::channel();
        let job = |is_wanted: bool, work: Box<dyn FnOnce() + Send>| {
            background.run(Job { is_wanted: Box::new(move || is_wanted), work });
        };
        let tell = |what: &'static str| {
            let sender = sender.clone();
            Box::new(move || sender.send(what).expect("the test listens"))
        };
        job(true, Box::new(|| panic!("on purpose")));
        job(false, tell("unwanted"));
        job(true, tell("wanted"));
        assert_eq!(receiver.recv(), Ok("wanted"));
    }
}
