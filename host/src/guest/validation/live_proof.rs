//! What the live form of a guest must pass before it decides: on each request of a check it decides as
//! a fresh instance does, and is then what it was.

use std::sync::Arc;
use std::time::Duration;

use super::check::{FACTS, MEASURED_LINE};
use super::request_lines::request_lines;
use super::trials::trials;
use super::twice::shown;
use crate::clock::thread_cpu_time;
use crate::guest::decision::interests::Interests;
use crate::guest::digest::Digest;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::offer::Offer;
use crate::guest::runtime::engine::Engine;
use crate::guest::runtime::live::guest::LiveGuest;
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
    let live = live.and_then(|live| prove(program, read, &live).map(|()| live));
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
    let program = &guest.made().program;
    let engine = program.engine();
    let (live, _) = compile(engine, &offer.guest, offer.data_bytes())?;
    Ok(live.and_then(|live| {
        prove(program, guest.read(), &live)?;
        let request = guest.read().request(MEASURED_LINE, [].into_iter(), FACTS.lend());
        let mut trial = live.trial(engine);
        // The first one makes the instance.
        drop(trial.decide(&request));
        let began = thread_cpu_time();
        for _ in 0..SAMPLES {
            drop(trial.decide(&request));
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

/// Compares what the live form and fresh instances decide.
fn prove(program: &Program, read: &Interests, live: &LiveGuest) -> Result<(), Ineligible> {
    let lines = request_lines();
    let of_lines = lines.iter().map(|line| read.request(line, [].into_iter(), FACTS.lend()));
    let limits = program.engine().limits().decision;
    let began = thread_cpu_time();
    let mut trial = live.trial(program.engine());
    let mut is_live = false;
    for request in of_lines.chain(trials(read, &[], [].into_iter())) {
        if thread_cpu_time().saturating_sub(began) > TIME {
            break;
        }
        // What fails is decided on a fresh instance.
        let Some(decision) = trial.decide(&request) else { continue };
        if !trial.is_as_made() || program.run_with_retries(&request, limits) != decision {
            return Err(Ineligible::Differs(shown(&request)));
        }
        is_live = true;
    }
    if is_live { Ok(()) } else { Err(Ineligible::Never) }
}
