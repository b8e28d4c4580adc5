//! What the live form of a guest must pass before it decides: on each request of a check it decides as
//! a fresh instance does, and is then what it was.

use std::sync::Arc;
use std::time::Duration;

use super::check::{FACTS, MEASURED_LINE};
use super::request_lines::request_lines;
use super::trials::trials;
use super::twice::shown;
use crate::clock::thread_cpu_time;
use crate::guest::decision::Decision;
use crate::guest::decision::interests::Interests;
use crate::guest::decision::request::Request;
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::offer::Offer;
use crate::guest::runtime::engine::Engine;
use crate::guest::runtime::live::guest::{LiveGuest, LiveTrial};
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::program::Program;
use crate::helper::CancelToken;

/// Of a core's time, what the proof may take: what is not tried then is left out.
const TIME: Duration = Duration::from_secs(2);

/// How many decisions are measured.
const SAMPLES: u32 = 1_000;

/// Has the live form of a guest made and proved beside what serves, if that is not done. Until then each
/// decision is made on a fresh instance.
pub(super) fn later(guest: &LoadedGuest, offer: &Offer) {
    let program = &guest.made().program;
    if !program.engine().is_live() || program.live().is_some() {
        return;
    }
    let (made, digest) = (Arc::downgrade(guest.made()), guest.digest());
    let (bytes, data) = (offer.guest.clone(), offer.data_bytes().map(<[u8]>::to_vec));
    program.engine().later(move || {
        // It may be gone by then, or another site's may have been first.
        if let Some(made) = made.upgrade().filter(|made| made.program.live().is_none()) {
            make(&made.program, &made.interests, &bytes, data.as_deref(), digest);
        }
    });
}

/// Makes the live form of a guest, proves it, and has it decide from then on.
fn make(program: &Program, read: &Interests, guest: &[u8], data: Option<&[u8]>, digest: Digest) {
    let engine = program.engine();
    let (live, product) = match compile(engine, guest, data) {
        Ok(made) => made,
        Err(error) => {
            tracing::warn!(guest = %digest, %error, "live form not made");
            return;
        }
    };
    let live = live.and_then(|live| Proof::new(program, read, live).run());
    if let Err(Ineligible::Differs(request)) = &live {
        engine.note_live_difference();
        tracing::error!(guest = %digest, request, "live form decides differently");
    }
    if !matches!(live, Err(Ineligible::Differs(_) | Ineligible::Never)) {
        engine.keep_live(digest, &product);
    }
    program.set_live(live);
}

/// Makes the live form of a guest and proves it, for a report: how long a decision takes, or why it has none.
pub fn measure(
    guest: &LoadedGuest,
    offer: &Offer,
) -> Result<Result<Duration, Ineligible>, LoadError> {
    let made = Proof::of(guest, &offer.guest, offer.data_bytes())?;
    Ok(made.and_then(|proof| {
        let engine = proof.program.engine();
        let live = proof.run()?;
        let request = guest.read().request(MEASURED_LINE, [].into_iter(), FACTS.lend());
        let mut trial = LiveTrial::default();
        // The first one makes the instance.
        drop(trial.decide(&live, engine, &request));
        let began = thread_cpu_time();
        for _ in 0..SAMPLES {
            drop(trial.decide(&live, engine, &request));
        }
        Ok(thread_cpu_time().saturating_sub(began) / SAMPLES)
    }))
}

/// Compiles a live form. It comes with what is kept of it.
fn compile(
    engine: &Engine,
    guest: &[u8],
    data: Option<&[u8]>,
) -> Result<(Result<LiveGuest, Ineligible>, Vec<u8>), LoadError> {
    let product = engine.compile_live(guest, data, &CancelToken::default())?;
    let unusable = || LoadError::Unavailable("its compiler gave no live form".to_owned());
    let live = LiveGuest::load(engine, &product).ok_or_else(unusable)?;
    Ok((live, product))
}

/// The live form of a guest, which is compared with fresh instances.
pub struct Proof<'g> {
    program: &'g Program,
    read: &'g Interests,
    live: LiveGuest,
    trial: LiveTrial,
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
    /// Makes the live form of a guest that was loaded of these bytes.
    pub fn of(
        guest: &'g LoadedGuest,
        bytes: &[u8],
        data: Option<&[u8]>,
    ) -> Result<Result<Proof<'g>, Ineligible>, LoadError> {
        let program = &guest.made().program;
        let (live, _) = compile(program.engine(), bytes, data)?;
        Ok(live.map(|live| Proof::new(program, guest.read(), live)))
    }

    fn new(program: &'g Program, read: &'g Interests, live: LiveGuest) -> Proof<'g> {
        Proof { program, read, live, trial: LiveTrial::default() }
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
        let Some(live) = self.trial.decide(&self.live, engine, request) else {
            return Compared::Fresh;
        };
        let fresh = self.program.run_with_retries(request, engine.limits().decision);
        match () {
            () if !self.trial.is_as_made() => Compared::Differs,
            () if live == fresh => Compared::Same,
            () if self.live.has_spare_memory() && is_beyond(&fresh) => Compared::Beyond,
            () => Compared::Differs,
        }
    }

    /// Compares decisions on all requests of a check, and gives the live form if it may serve.
    fn run(mut self) -> Result<LiveGuest, Ineligible> {
        let (lines, read) = (request_lines(), self.read);
        let of_lines = lines.iter().map(|line| read.request(line, [].into_iter(), FACTS.lend()));
        let began = thread_cpu_time();
        let mut is_live = false;
        for request in of_lines.chain(trials(read, &[], [].into_iter())) {
            if thread_cpu_time().saturating_sub(began) > TIME {
                break;
            }
            match self.compare_on(&request) {
                Compared::Fresh => {}
                Compared::Same => is_live = true,
                Compared::Beyond | Compared::Differs => {
                    return Err(Ineligible::Differs(shown(&request)));
                }
            }
        }
        if is_live { Ok(self.live) } else { Err(Ineligible::Never) }
    }
}

/// Whether an instance accessed what is beyond its memory.
fn is_beyond(decision: &Result<Decision, Failure>) -> bool {
    matches!(decision, Err(Failure::Trap(trapped)) if trapped.cause.contains("out of bounds memory"))
}
