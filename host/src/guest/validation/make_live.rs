//! The live form of a guest is made, and proved, beside what serves.

use std::sync::{Arc, Weak};

use super::cases::GuestRequest;
use super::live_proof::proved;
use crate::guest::decision::request::Request;
use crate::guest::decision_cache::Key;
use crate::guest::load_error::LoadError;
use crate::guest::loaded_guest::{LoadedGuest, Made};
use crate::guest::offer::Offer;
use crate::guest::runtime::background::Job;
use crate::guest::runtime::live::ineligible::Ineligible;
use crate::guest::runtime::live::source::Source;
use crate::text;

/// Makes the live form of a guest and proves it, now, and has it decide from then on; or tells why it
/// has none.
pub fn now(guest: &LoadedGuest, offer: &Offer) -> Result<Result<(), Ineligible>, LoadError> {
    let made = guest.made();
    if made.program.live().is_none() {
        make(made, &offer.source(guest), &[], &|| true)?;
    }
    Ok(match made.program.live() {
        Some(Err(ineligible)) => Err(ineligible.clone()),
        Some(Ok(_)) | None => Ok(()),
    })
}

/// Has the live form of a guest made and proved beside what serves, if that is not done. Until then
/// each decision is made on a fresh instance. It is proved on these requests, too.
pub(super) fn later(guest: &LoadedGuest, offer: &Offer, recent: &[Key<'_>]) {
    let program = &guest.made().program;
    if !program.engine().is_live() || program.live().is_some() {
        return;
    }
    let cases = offer.cases.iter().flat_map(|file| &file.cases);
    let of_cases = cases.map(|case| GuestRequest::from(case).shown_to(guest));
    let requests: Vec<_> = of_cases.chain(recent.iter().map(Key::request)).collect();
    let (bytes, data) = (offer.guest.clone(), offer.data_bytes().map(<[u8]>::to_vec));
    let (made, digest) = (Arc::downgrade(guest.made()), guest.digest());
    // It may be gone by then, or another site's may have been first.
    let wanted = Weak::clone(&made);
    let is_wanted = move || wanted.upgrade().is_some_and(|made| made.program.live().is_none());
    program.engine().background().run(Job {
        is_wanted: Box::new(is_wanted),
        work: Box::new(move || {
            let Some(made) = made.upgrade() else { return };
            let source = Source { guest: &bytes, data: data.as_deref(), digest };
            // An error is logged, and the guest's own.
            let _ = make(&made, &source, &requests, &|| Arc::strong_count(&made) > 1);
        }),
    });
}

/// Makes the live form of a guest, as long as that is wanted, proves it, and has it decide from then
/// on.
fn make(
    made: &Made,
    source: &Source<'_>,
    requests: &[Request],
    is_wanted: &dyn Fn() -> bool,
) -> Result<(), LoadError> {
    let Made { program, interests, .. } = made;
    let (engine, digest) = (program.engine(), source.digest);
    let (live, product) = match proved(program, interests, source, requests, is_wanted) {
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
