//! What happened to a file, and when it has settled.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use notify::EventKind;
use notify::event::{AccessKind, AccessMode, ModifyKind};

/// How long a file that was closed, renamed or linked must stay as it is before it
/// is read. Deployments make several changes at once.
pub const SETTLED: Duration = Duration::from_millis(20);

/// How long a file that was not closed must be left unwritten before it is read.
const UNCLOSED: Duration = Duration::from_millis(500);

/// Of a file that keeps changing for longer it is looked whether it rests for a moment.
pub const UNSETTLED: Duration = Duration::from_secs(5);

/// What may have happened to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is being written.
    Begun,
    /// It was closed after writing, or is another one.
    Done,
}

impl Change {
    /// How long to wait for more of it.
    pub fn settles_in(self) -> Duration {
        match self {
            Change::Done => SETTLED,
            Change::Begun => UNCLOSED,
        }
    }

    /// Waits until files that change have settled, or have changed for long. Commands that come
    /// meanwhile are further changes, as `as_change` tells, or end the wait and are given back.
    pub fn settle<C>(
        self,
        commands: &mpsc::Receiver<C>,
        as_change: impl Fn(&C) -> Option<Change>,
    ) -> Option<C> {
        let began = Instant::now();
        let mut change = self;
        while began.elapsed() < UNSETTLED {
            let command = commands.recv_timeout(change.settles_in()).ok()?;
            match as_change(&command) {
                Some(further) => change = further,
                None => return Some(command),
            }
        }
        None
    }
}

/// What an event means for the file that it is about; `None` if it only was read.
pub(super) fn meaning(event: &notify::Event) -> Option<Change> {
    let is_link = || event.paths.iter().any(|path| path.is_symlink());
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Done),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Data(_)) => Some(Change::Begun),
        EventKind::Create(_) if !is_link() => Some(Change::Begun),
        _ => Some(Change::Done),
    }
}
