//! The state of the loop, and the pages that listen to it.

use std::sync::Arc;

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::guest::ActiveGuest;
use crate::guest::release::history::Outcome;

/// The script that pages listen with.
pub const SCRIPT: &str = include_str!("script.js");

/// The state, as pages receive it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Grows when the page in the browser is outdated.
    pub version: u64,
    /// The error of the last build or deployment, until one succeeds.
    pub error: Option<String>,
}

/// The loop's state, and the pages that listen to it.
pub struct Dev {
    state: watch::Sender<State>,
}

impl Dev {
    /// In the beginning there is no error.
    pub fn new() -> Arc<Dev> {
        Arc::new(Dev { state: watch::Sender::new(State::default()) })
    }

    /// Has pages reload.
    pub fn outdate(&self) {
        self.state.send_modify(|state| state.version += 1);
    }

    /// Sets or clears the error.
    pub fn set_error(&self, error: Option<String>) {
        self.state.send_if_modified(|state| {
            let is_new = state.error != error;
            state.error = error;
            is_new
        });
    }

    /// Follows the deployments of guests.
    pub async fn follow(self: Arc<Dev>, active: Arc<ActiveGuest>) {
        let mut changes = active.history().changes();
        while changes.changed().await.is_ok() {
            let Some(last) = active.history().events().into_iter().next() else { continue };
            match last.outcome {
                Outcome::Deployed | Outcome::RolledBack => self.state.send_modify(|state| {
                    state.version += 1;
                    state.error = None;
                }),
                Outcome::Rejected | Outcome::Unreadable => self.set_error(Some(last.message)),
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
