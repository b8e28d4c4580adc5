//! What the live form of a guest must pass before it decides: on each request of a check it decides as
//! a fresh instance does, and is then what it was.

use std::time::Duration;

use super::check::{FACTS, MEASURED_LINE};
use super::request_lines::request_lines;
use super::trials::trials;
use super::twice::shown;
use crate::clock::thread_cpu_time;
use crate::guest::decision::interests::Interests;
use crate::guest::decision::request::Request;
use crate::guest::failure::Failure;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::offer::Offer;
use crate::guest::runtime::live::guest::{LiveGuest, LiveTrial};
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::live::source::Source;
use crate::guest::runtime::program::Program;

/// Of a core's time, what the proof may take: what is not tried then is left out.
const TIME: Duration = Duration::from_secs(2);

/// How many decisions are measured.
const SAMPLES: u32 = 1_000;

/// Makes the live form of a guest and proves it, for a report: how long a decision takes, or why it
/// has none.
pub fn measure(
    guest: &LoadedGuest,
    offer: &Offer,
) -> Result<Result<Duration, Ineligible>, LoadError> {
    let program = &guest.made().program;
    let (live, _) = proved(program, guest.read(), &offer.source(guest), &[], &|| true)?;
    Ok(live.and_then(|live| {
        let (engine, mut trial) = (program.engine(), LiveTrial::default());
        let request = guest.read().request(MEASURED_LINE, [].into_iter(), FACTS.lend());
        // The first one makes the instance.
        drop(trial.decide(&live, engine, &request));
        let began = thread_cpu_time();
        for _ in 0..SAMPLES {
            if trial.decide(&live, engine, &request).is_none() {
                return Err(Ineligible::Never);
            }
        }
        Ok(thread_cpu_time().saturating_sub(began) / SAMPLES)
    }))
}

/// A live form that may serve, or why there is none; and what is kept of it.
type Proved = (Result<LiveGuest, Ineligible>, Vec<u8>);

/// Makes the live form of a guest, as long as that is wanted, and proves it on all requests of a
/// check and on these. It has memory to spare if it grows.
pub(super) fn proved(
    program: &Program,
    read: &Interests,
    source: &Source<'_>,
    requests: &[Request],
    is_wanted: &dyn Fn() -> bool,
) -> Result<Proved, LoadError> {
    let attempt = |has_spare| -> Result<(Proved, bool), LoadError> {
        let (live, product) = LiveGuest::compile(program.engine(), source, has_spare, is_wanted)?;
        let mut proof = match live {
            Ok(live) => Proof::new(program, read, live),
            Err(ineligible) => return Ok(((Err(ineligible), product), false)),
        };
        let outcome = proof.run(requests);
        Ok(((outcome.map(|()| proof.live), product), proof.trial.has_grown))
    };
    let (strict, has_grown) = attempt(false)?;
    if !has_grown {
        return Ok(strict);
    }
    Ok(match attempt(true)?.0 {
        // Where there is none to spare it traps as a fresh instance does.
        (Err(Ineligible::Beyond(_)), _) => strict,
        with_spare => with_spare,
    })
}

/// The live form of a guest, which is compared with fresh instances.
pub struct Proof<'g> {
    program: &'g Program,
    read: &'g Interests,
    live: LiveGuest,
    trial: LiveTrial,
    /// What decisions took that both made: live, and on a fresh instance.
    took: [Duration; 2],
}

/// What came of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// A fresh instance has to decide.
    Fresh,
    /// Both decide the same, and the live one is what it was.
    Same,
    /// A fresh instance trapped as it accessed what is beyond its memory. The live one has spare memory
    /// there, and decides: the one thing that a guest that grows may tell.
    Beyond,
    /// They decide differently, or the live one is not what it was.
    Differs,
}

impl<'g> Proof<'g> {
    /// Makes the live form of a guest that was loaded of these bytes, and no data, with memory to
    /// spare or without.
    pub fn of(
        guest: &'g LoadedGuest,
        bytes: &[u8],
        has_spare: bool,
    ) -> Result<Result<Proof<'g>, Ineligible>, LoadError> {
        let program = &guest.made().program;
        let source = Source { guest: bytes, data: None, digest: guest.digest() };
        let (live, _) = LiveGuest::compile(program.engine(), &source, has_spare, &|| true)?;
        Ok(live.map(|live| Proof::new(program, guest.read(), live)))
    }

    fn new(program: &'g Program, read: &'g Interests, live: LiveGuest) -> Proof<'g> {
        Proof { program, read, live, trial: LiveTrial::default(), took: Default::default() }
    }

    /// Decides live alone, to be measured; whether that was done.
    pub fn decide<'a>(
        &mut self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> bool {
        let request = self.read.request(line, fields, FACTS.lend());
        self.trial.decide(&self.live, self.program.engine(), &request).is_some()
    }

    /// Compares decisions on one request.
    pub fn compare<'a>(
        &mut self,
        line: &[u8],
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Compared {
        self.compare_on(&self.read.request(line, fields, FACTS.lend()))
    }

    fn compare_on(&mut self, request: &Request) -> Compared {
        let engine = self.program.engine();
        let began = thread_cpu_time();
        let Some(live) = self.trial.decide(&self.live, engine, request) else {
            return Compared::Fresh;
        };
        let decided = thread_cpu_time();
        let fresh = self.program.run_with_retries(request, engine.limits().decision);
        self.took[0] += decided.saturating_sub(began);
        self.took[1] += thread_cpu_time().saturating_sub(decided);
        match &fresh {
            // Others had the core, or the instances.
            Err(Failure::Busy | Failure::Deadline) => Compared::Fresh,
            _ if !self.trial.is_as_made() => Compared::Differs,
            _ if live == fresh => Compared::Same,
            Err(failure) if self.live.has_spare_memory() && failure.is_beyond_memory() => {
                Compared::Beyond
            }
            _ => Compared::Differs,
        }
    }

    /// Compares decisions on all requests of a check, as far as there is time, and on these.
    fn run(&mut self, requests: &[Request]) -> Result<(), Ineligible> {
        let (lines, read) = (request_lines(), self.read);
        let of_lines = lines.iter().map(|line| read.request(line, [].into_iter(), FACTS.lend()));
        let began = thread_cpu_time();
        let mut is_live = false;
        let of_interests = trials(read, &[], requests.iter().map(|request| &*request.line));
        for request in of_lines.chain(requests.iter().cloned()).chain(of_interests) {
            if thread_cpu_time().saturating_sub(began) > TIME {
                break;
            }
            match self.compare_on(&request) {
                Compared::Fresh => {}
                Compared::Same => is_live = true,
                Compared::Beyond => return Err(Ineligible::Beyond(shown(&request))),
                Compared::Differs => return Err(Ineligible::Differs(shown(&request))),
            }
        }
        let [live, fresh] = self.took;
        match is_live {
            true if live < fresh => Ok(()),
            true => Err(Ineligible::Slower { live: live.as_micros(), fresh: fresh.as_micros() }),
            false => Err(Ineligible::Never),
        }
    }
}
