//! The loop of who writes a guest: its sources change, it is built, checked and put in
//! service, and the page in the browser is loaded anew. What fails is shown on the page, and
//! the old guest goes on serving.
//!
//! - [`sources`]: notices changes, and runs the build.

pub mod sources;

use std::sync::Arc;

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::guest::ActiveGuest;
use crate::guest::release::history::Outcome;

/// How it stands, as pages are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Grows when what the browser shows is outdated.
    pub version: u64,
    /// What went wrong, until it is mended.
    pub problem: Option<String>,
}

/// The loop's state, and who is told of it.
pub struct Dev {
    state: watch::Sender<State>,
}

impl Dev {
    /// In the beginning all is well.
    pub fn new() -> Arc<Dev> {
        Arc::new(Dev { state: watch::Sender::new(State::default()) })
    }

    /// What the browser shows is outdated.
    pub fn outdate(&self) {
        self.state.send_modify(|state| state.version += 1);
    }

    /// Something went wrong, or no longer does.
    pub fn tell(&self, problem: Option<String>) {
        self.state.send_if_modified(|state| {
            let is_new = state.problem != problem;
            state.problem = problem;
            is_new
        });
    }

    /// Tells of guests that were put in service, and of those that were not.
    pub async fn follow(self: Arc<Dev>, serving: Arc<ActiveGuest>) {
        let mut changes = serving.history().changes();
        while changes.changed().await.is_ok() {
            let Some(last) = serving.history().events().into_iter().next() else { continue };
            match last.outcome {
                Outcome::Served | Outcome::RolledBack => self.state.send_modify(|state| {
                    state.version += 1;
                    state.problem = None;
                }),
                Outcome::Refused | Outcome::Unreadable => self.tell(Some(last.told)),
            }
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
                let event = format!("data: {}\n\n", now.expect("a number and a text"));
                if sender.send(event.into()).await.is_err() || state.changed().await.is_err() {
                    return;
                }
            }
        });
        events
    }
}
