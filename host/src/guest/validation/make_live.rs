//! The live form of a guest is made, and proved, beside what serves.

use std::sync::{Arc, Weak};
use std::thread;

use super::cases::GuestRequest;
use super::live_proof::{PAUSE, proved, undisturbed};
use crate::guest::decision::interests::Interests;
use crate::guest::decision::request::Request;
use crate::guest::decision_cache::Key;
use crate::guest::digest::Digest;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::{LoadedGuest, Made};
use crate::guest::offer::Offer;
use crate::guest::runtime::background::Job;
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::program::Program;
use crate::text;

/// Makes the live form of a guest and proves it, now, and has it decide from then on; or tells why it has
/// none.
pub fn now(guest: &LoadedGuest, offer: &Offer) -> Result<Result<(), Ineligible>, LoadError> {
    let Made { program, interests, .. } = &**guest.made();
    if program.live().is_none() {
        let guest = (&*offer.guest, offer.data_bytes(), guest.digest());
        undisturbed(|| make(program, interests, guest, &[]))?;
    }
    Ok(match program.live() {
        Some(Err(ineligible)) => Err(ineligible.clone()),
        Some(Ok(_)) | None => Ok(()),
    })
}

/// Has the live form of a guest made and proved beside what serves, if that is not done. Until then each
/// decision is made on a fresh instance. It is proved on these requests, too.
pub(super) fn later(guest: &LoadedGuest, offer: &Offer, recent: &[Key<'_>]) {
    let program = &guest.made().program;
    if !program.engine().is_live() || program.live().is_some() {
        return;
    }
    let cases = offer.cases.iter().flat_map(|file| &file.cases);
    let of_cases = cases.map(|case| GuestRequest::from(case).shown_to(guest));
    let requests: Vec<_> = of_cases.chain(recent.iter().map(Key::request)).collect();
    let (made, digest) = (Arc::downgrade(guest.made()), guest.digest());
    let (bytes, data) = (offer.guest.clone(), offer.data_bytes().map(<[u8]>::to_vec));
    // Another site's may be first.
    let is_open =
        |made: &Weak<Made>| made.upgrade().is_some_and(|made| made.program.live().is_none());
    let wanted = Weak::clone(&made);
    program.engine().background().run(Job {
        is_wanted: Box::new(move || is_open(&wanted)),
        work: Box::new(move || {
            while is_open(&made)
                && let Some(made) = made.upgrade()
                && let Made { program, interests, .. } = &*made
                && make(program, interests, (&bytes, data.as_deref(), digest), &requests)
                    == Err(LoadError::Canceled)
            {
                thread::sleep(PAUSE);
            }
        }),
    });
}

/// Makes the live form of a guest, proves it, and has it decide from then on.
fn make(
    program: &Program,
    read: &Interests,
    guest: (&[u8], Option<&[u8]>, Digest),
    requests: &[Request],
) -> Result<(), LoadError> {
    let (engine, digest) = (program.engine(), guest.2);
    let (live, product) = match proved(program, read, guest, requests) {
        Err(LoadError::Canceled) => return Err(LoadError::Canceled),
        Err(error) => {
            tracing::warn!(guest = %digest, %error, "live form not made");
            program.set_live(Err(Ineligible::NotCompiled(text::error_line(&error))));
            return Err(error);
        }
        Ok(proved) => proved,
    };
    match &live {
        Ok(_) => tracing::debug!(guest = %digest, "guest is live"),
        Err(reason) => tracing::info!(guest = %digest, %reason, "guest is not live"),
    }
    match &live {
        Err(Ineligible::Differs(request)) => {
            engine.note_live_difference();
            tracing::error!(guest = %digest, request, "live form decides differently");
        }
        // Found by these requests, on this machine, or with these limits.
        Err(
            Ineligible::Beyond(_)
            | Ineligible::Never
            | Ineligible::Slower { .. }
            | Ineligible::NotCompiled(_),
        ) => {}
        _ => engine.keep_live(digest, &product),
    }
    program.set_live(live);
    Ok(())
}
