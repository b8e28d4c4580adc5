//! The names that the fetcher orders certificates for: what is known of each, and what is to be done
//! first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::clock::seconds;
use super::installed::Stamps;
use super::name::Name;
use super::protocol::Status;
use super::record::OfAuthority;
use super::state::{State, Task};
use super::state_failure::StateFailure;

/// A command that wants something done at once is forgotten after this time.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What is known of a name.
struct Known {
    state: State,
    /// What the folder was like when it was read.
    stamps: Stamps,
    /// What was told last.
    told: Option<Status>,
    /// When a command wanted its failures, and its window, not to be waited for.
    cut_at: [Option<Instant>; 2],
    /// Whether the certificate is to take the place of another authority's.
    takes_over: bool,
}

impl Known {
    fn read(authority: &OfAuthority, name: &Name) -> Known {
        // Before the rest: what changes meanwhile is read again.
        let stamps = authority.stamps(name);
        let state = State::read(authority, name);
        Known { state, stamps, told: None, cut_at: [None; 2], takes_over: false }
    }

    /// Reads the folder again; what commands wanted stays.
    fn renew(&mut self, authority: &OfAuthority, name: &Name) {
        let Known { state, stamps, .. } = Known::read(authority, name);
        (self.state, self.stamps) = (state, stamps);
    }

    /// Whether a command wanted this.
    fn is_cut(&self, task: Task) -> bool {
        // It may be waiting for what was tried just before.
        let at = self.cut_at[usize::from(task == Task::AskWindow)];
        at.is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    fn at(&self, task: Task, now: SystemTime) -> Option<SystemTime> {
        match task {
            Task::PutBack => self.state.is_to_put_back(now, self.takes_over).then_some(now),
            Task::Order => Some(self.state.order_at(now, self.is_cut(task))),
            Task::AskWindow => self.state.ask_at(now, self.is_cut(task)),
        }
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<Name, Known>,
    /// Of a list that is not whole yet.
    coming: Vec<Name>,
    /// When a command was for all that are known: it may come before they are.
    cut_at: Option<Instant>,
}

impl Names {
    /// Forgets what is known, which is of another authority, and the list that was coming.
    pub(super) fn begin(&mut self) {
        self.known.clear();
        self.coming.clear();
    }

    /// Takes some of a list of names. With the last of them it takes the place of those before.
    /// One that was not among those has its certificate serve, if `takes_over`.
    pub(super) fn take(
        &mut self,
        authority: &OfAuthority,
        (names, is_last): (Vec<Name>, bool),
        takes_over: bool,
    ) {
        self.coming.extend(names);
        if is_last {
            let mut before = std::mem::take(&mut self.known);
            let cut_at = [self.cut_at.filter(|_| before.is_empty()); 2];
            let names = std::mem::take(&mut self.coming).into_iter();
            let known = names.map(|name| {
                let known = before.remove(&name);
                let known = known.unwrap_or_else(|| {
                    let known = Known::read(authority, &name);
                    let is_other = known.state.is_to_put_back(SystemTime::now(), takes_over);
                    Known { takes_over: is_other, cut_at, ..known }
                });
                (name, known)
            });
            self.known = known.collect();
        }
    }

    /// The names themselves.
    pub(super) fn list(&self) -> Vec<Name> {
        self.known.keys().cloned().collect()
    }

    /// What is known of one of them.
    pub(super) fn state(&self, name: &Name) -> Option<&State> {
        Some(&self.known.get(name)?.state)
    }

    /// Has failures and windows not be waited for, as far as that is allowed.
    pub(super) fn cut_pauses(&mut self) {
        self.cut_at = Some(Instant::now());
        for known in self.known.values_mut() {
            known.cut_at = [self.cut_at; 2];
        }
    }

    /// Whether a command wanted this.
    pub(super) fn is_cut(&self, name: &Name, task: Task) -> bool {
        self.known.get(name).is_some_and(|known| known.is_cut(task))
    }

    /// Notes that it is being done.
    pub(super) fn note_begun(&mut self, name: &Name, task: Task) {
        if let Some(known) = self.known.get_mut(name) {
            match task {
                Task::PutBack => known.takes_over = false,
                Task::Order => known.cut_at[0] = None,
                Task::AskWindow => known.cut_at[1] = None,
            }
        }
    }

    /// What is to be done first, and when.
    pub(super) fn first(&self, now: SystemTime) -> Option<(SystemTime, Task, Name)> {
        let mut first: Option<((bool, Task, SystemTime), Task, &Name)> = None;
        for (name, known) in &self.known {
            for task in [Task::PutBack, Task::Order, Task::AskWindow] {
                let Some(time) = known.at(task, now) else { continue };
                // Of those that are due, what is to serve goes before an order, and that before a question.
                let rank = match time > now {
                    true => (true, Task::PutBack, time),
                    false => (false, task, time),
                };
                if first.is_none_or(|(before, ..)| rank < before) {
                    first = Some((rank, task, name));
                }
            }
        }
        first.map(|((_, _, time), task, name)| (time, task, name.clone()))
    }

    /// When this is to be done about a name.
    pub(super) fn at(&self, name: &Name, task: Task, now: SystemTime) -> Option<SystemTime> {
        self.known.get(name)?.at(task, now)
    }

    /// Reads what the folder says of a name.
    pub(super) fn read(&mut self, authority: &OfAuthority, name: &Name) {
        if let Some(known) = self.known.get_mut(name) {
            known.renew(authority, name);
        }
    }

    /// Reads what the folder says of all names about which something has changed.
    pub(super) fn read_changed(&mut self, authority: &OfAuthority) {
        for (name, known) in &mut self.known {
            if authority.stamps(name) != known.stamps {
                known.renew(authority, name);
            }
        }
    }

    /// The state of a name to tell, if it is another than was told before.
    /// Nothing is ordered with this failure of the state.
    pub(super) fn untold(
        &mut self,
        name: &Name,
        is_ordering: bool,
        failure: Option<&StateFailure>,
    ) -> Option<Status> {
        let now = SystemTime::now();
        let next = self.at(name, Task::Order, now).map(seconds).unwrap_or_default();
        let known = self.known.get_mut(name)?;
        let State { record, expires, .. } = &known.state;
        // What is due is so since some time, which was told.
        let told = known.told.as_ref().map(|told| told.next_attempt);
        let due = told.filter(|told| *told <= seconds(now)).unwrap_or(seconds(now));
        let next = if next <= seconds(now) { due } else { next };
        let status = Status {
            name: name.clone(),
            is_ordering,
            expires: expires.map(seconds),
            next_attempt: next.max(failure.map_or(0, |it| it.next_attempt)),
            failures: record.failures.saturating_add(failure.map_or(0, |it| it.failures)),
            error: failure.map(|it| it.error.clone()).or_else(|| record.error.clone()),
        };
        if known.told.as_ref() == Some(&status) {
            return None;
        }
        known.told = Some(status.clone());
        Some(status)
    }
}
