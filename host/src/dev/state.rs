//! The state of the loop, and the pages that listen to it.

use std::sync::Arc;

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::problem::{Kind, Problem};
use crate::guest::Failure;
use crate::release::Active;
use crate::release::history::Outcome;

/// The script that pages listen with.
pub const SCRIPT: &str = include_str!("script.js");

/// The state, as pages receive it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Grows when the page in the browser is outdated.
    pub version: u64,
    /// What is wrong with the last build or guest, until one succeeds.
    pub error: Option<Problem>,
    /// What is done now.
    pub busy: Option<Work>,
    /// What went wrong on a request since the last page.
    pub failed: Option<Problem>,
}

/// What the loop does, while pages wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// The build runs.
    Building,
    /// The guest is compiled and checked.
    Checking,
}

/// The loop's state, and the pages that listen to it.
pub struct Dev {
    state: watch::Sender<State>,
}

impl Dev {
    /// In the beginning there is no error, unless the first build failed.
    pub fn new(error: Option<Problem>) -> Arc<Dev> {
        let state = State { error, ..State::default() };
        Arc::new(Dev { state: watch::Sender::new(state) })
    }

    /// Has pages reload.
    pub fn outdate(&self) {
        self.state.send_modify(|state| state.version += 1);
    }

    /// Tells what is done now.
    pub fn set_busy(&self, busy: Option<Work>) {
        self.change(|state| state.busy = busy);
    }

    /// Tells what is wrong.
    pub fn fail(&self, problem: Problem) {
        self.change(|state| {
            state.error = Some(problem);
            state.busy = None;
        });
    }

    /// Tells what is wrong with the first guest, unless the build that makes it failed.
    pub fn fail_first(&self, problem: Problem) {
        self.change(|state| {
            state.error.get_or_insert(problem);
        });
    }

    /// Tells how a request ended: what it failed on is shown until the guest decides on a page.
    pub fn request_ended(&self, line: &[u8], failure: Option<&Failure>, is_page: bool) {
        match failure {
            // As many as there are requests; it says nothing of the guest.
            Some(Failure::Busy) => {}
            Some(failure) => {
                let problem = Problem::of_request(line, failure);
                self.change(|state| state.failed = Some(problem));
            }
            None if is_page => self.change(|state| state.failed = None),
            None => {}
        }
    }

    /// The build succeeded. Whether its guest is accepted is told later.
    pub fn built(&self) {
        self.change(|state| {
            state.error = state.error.take().filter(|error| error.kind != Kind::Build);
            state.busy = None;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    /// Follows the deployments of guests.
    pub async fn follow(self: Arc<Dev>, active: Arc<Active>) {
        let mut changes = active.history().changes();
        let mut known = *changes.borrow_and_update();
        while changes.changed().await.is_ok() {
            let progress = *changes.borrow_and_update();
            let is_new = progress.events != known.events;
            let is_reverted = progress.reverted != known.reverted;
            known = progress;
            let last = active.history().events().into_iter().next().filter(|_| is_new);
            self.change(|state| {
                state.busy = match progress.is_validating {
                    true => Some(Work::Checking),
                    false => state.busy.filter(|busy| *busy != Work::Checking),
                };
                match last.map(|last| (last.outcome, last)) {
                    Some((Outcome::Deployed | Outcome::RolledBack, _)) => {
                        state.version += 1;
                        state.error = None;
                        state.failed = None;
                    }
                    Some((Outcome::Rejected | Outcome::Unreadable, last)) => {
                        state.error = Some(Problem::of(&last));
                    }
                    // What was wrong with it is undone.
                    None if is_reverted => state.error = None,
                    None => {}
                }
            });
        }
    }

    /// The state now, and each time that it changes, as server-sent events (WHATWG HTML,
    /// section 9.2).
    pub fn events(&self) -> mpsc::Receiver<Bytes> {
        let mut state = self.state.subscribe();
        let (sender, events) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let now = serde_json::to_string(&*state.borrow_and_update());
                let event = format!("data: {}\n\n", now.expect("numbers and texts"));
                if sender.send(event.into()).await.is_err() || state.changed().await.is_err() {
                    return;
                }
            }
        });
        events
    }
}
