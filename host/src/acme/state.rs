//! What is to be done about a name, and when: from what the folder says of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::time;
use super::name::Name;
use super::options::Options;
use super::schedule::{Lifetime, next, renewal};
use super::store::{Folder, Record};

/// How often an order that was interrupted goes on without a pause.
const RESUMED: u32 = 3;

/// No question about a window is later than this.
const LONGEST_WINDOW: Duration = Duration::from_secs(2 * 86_400);

/// What the folder says of a name.
#[derive(Clone)]
pub(super) struct State {
    pub(super) name: Name,
    pub(super) record: Record,
    pub(super) lifetime: Option<Lifetime>,
    /// When it is ordered next.
    pub(super) next: SystemTime,
    /// When the authority is asked for the window of its renewal.
    pub(super) ask_at: Option<SystemTime>,
}

impl State {
    pub(super) fn read(folder: &Folder, name: &Name, options: &Options) -> State {
        let mut record = folder.record(name);
        if record.directory != options.directory {
            // Another authority begins from the start.
            let issued_by = std::mem::take(&mut record.issued_by);
            let directory = options.directory.clone();
            record = Record { directory, issued_by, ..Record::default() };
        }
        let now = SystemTime::now();
        let pair = folder.certificate(name).ok();
        let is_of_it = record.issued_by == options.directory;
        let lifetime = pair.map(|pair| Lifetime {
            not_before: pair.leaf.not_before,
            not_after: pair.leaf.not_after,
        });
        let due = match lifetime {
            Some(lifetime) if is_of_it => renewal(lifetime, record.window.as_ref()),
            _ => UNIX_EPOCH,
        };
        // An order that was interrupted goes on at once, some times: that makes no further one.
        let is_interrupted =
            record.order.is_some() && record.error.is_none() && record.failures <= RESUMED;
        let pause_until = if is_interrupted { 0 } else { record.pause_until };
        let next = next(due, pause_until, now);
        let ask_at = lifetime.filter(|_| is_of_it).map(|_| time(record.ask_window_at));
        // A clock that was set back has it asked at once.
        let ask_at = ask_at.map(|at| if at > now + LONGEST_WINDOW { now } else { at });
        State { name: name.clone(), record, lifetime, next, ask_at }
    }
}
