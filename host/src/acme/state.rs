//! What is to be done about a name, and when: from what the folder says of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::{seconds, time};
use super::installed::Certificate;
use super::name::Name;
use super::record::{OfAuthority, Record};
use super::schedule::{Window, next, not_fresh, renewal};

/// How often an order that was interrupted goes on without a pause.
const RESUMED: u32 = 3;

/// No question about a window is later than this.
const LONGEST_WINDOW: Duration = Duration::from_secs(2 * 86_400);

/// A command cuts a pause short no more often than this.
const CUT: Duration = Duration::from_secs(5 * 60);

/// Nor has it a window be asked for more often than this.
const ASKED: Duration = Duration::from_secs(10);

/// Certificates are replaced early no more often than this.
const EARLY: Duration = Duration::from_secs(86_400);

/// What is done about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// The certificate of this authority is linked to again.
    PutBack,
    /// A certificate is ordered.
    Order,
    /// The authority is asked for the window of the renewal.
    AskWindow,
}

/// What the folder says of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) record: Record,
    /// The certificate of this authority.
    pub(super) certificate: Option<Certificate>,
    /// Whether it serves.
    pub(super) is_served: bool,
    /// When the one that serves expires, whoever it is from.
    pub(super) expires: Option<SystemTime>,
}

impl State {
    pub(super) fn read(authority: &OfAuthority, name: &Name) -> State {
        let record = authority.record(name);
        let certificate = authority.certificate(name);
        let is_served = certificate.as_ref().is_some_and(|it| authority.is_served(name, it));
        let expires = authority.folder.served(name).map(|leaf| leaf.not_after);
        State { record, certificate, is_served, expires }
    }

    /// Whether the certificate of this authority is to serve again: none does, or, if it `takes_over`,
    /// that of another one.
    pub(super) fn is_to_put_back(&self, now: SystemTime, takes_over: bool) -> bool {
        let is_valid = self.certificate.as_ref().is_some_and(|it| it.lifetime.not_after > now);
        is_valid && !self.is_served && (takes_over || self.expires.is_none())
    }

    /// When it is ordered next; with `is_cut` a command wants it at once.
    pub(super) fn order_at(&self, now: SystemTime, is_cut: bool) -> SystemTime {
        let Record { order, obtained_at, .. } = &self.record;
        let due = match (&self.certificate, order) {
            (Some(certificate), None) => renewal(certificate.lifetime, self.window()),
            // What was begun is finished.
            _ => UNIX_EPOCH,
        };
        let obtained = time(*obtained_at);
        let not_fresh = match *obtained_at {
            0 => UNIX_EPOCH,
            _ if order.is_some() || self.is_early(now) => UNIX_EPOCH,
            // The clock was set back since.
            _ if obtained > now => UNIX_EPOCH,
            _ => not_fresh(obtained, self.certificate.as_ref().map(|it| it.lifetime)),
        };
        next(due.max(not_fresh), self.pause(is_cut), now)
    }

    fn pause(&self, is_cut: bool) -> u64 {
        let record = &self.record;
        // An order that was interrupted goes on at once, some times: that makes no further one.
        let is_interrupted =
            record.order.is_some() && record.error.is_none() && record.failures <= RESUMED;
        match is_cut && !record.is_retry_after {
            _ if is_interrupted => 0,
            true => record.pause_until.min(record.pause_cut_at.saturating_add(CUT.as_secs())),
            false => record.pause_until,
        }
    }

    /// The window of this certificate.
    fn window(&self) -> Option<&Window> {
        let identifier = self.certificate.as_ref()?.identifier.as_ref()?;
        self.record.window.as_ref().filter(|window| window.certificate == *identifier)
    }

    /// Whether the authority wants the certificate replaced early, as it does before it revokes it.
    /// That is heard once a day.
    pub(super) fn is_early(&self, now: SystemTime) -> bool {
        let last = time(self.record.replaced_early_at);
        let has_passed = self.window().is_some_and(|window| time(window.end) <= now);
        has_passed && (last + EARLY <= now || last > now)
    }

    /// When the authority is asked for the window, if it is; with `is_cut` a command wants it at once.
    pub(super) fn ask_at(&self, now: SystemTime, is_cut: bool) -> Option<SystemTime> {
        self.certificate.as_ref()?.identifier.as_ref()?;
        let at = time(self.record.ask_window_at);
        let asked = time(self.record.window_asked_at);
        let at = if is_cut { at.min(asked + ASKED) } else { at };
        // A clock that was set back has it asked at once.
        Some(if at > now + LONGEST_WINDOW { now } else { at })
    }

    /// Notes that an attempt begins that does not wait for the pause.
    pub(super) fn note_cut(record: &mut Record, now: SystemTime) {
        if record.pause_until > seconds(now) {
            record.pause_cut_at = seconds(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{CertificateParams, KeyPair};

    use super::{OfAuthority, State};
    use crate::acme::clock::{seconds, time};
    use crate::acme::name::Name;
    use crate::acme::protocol::OrderError;
    use crate::acme::schedule::Window;
    use crate::acme::store::Folder;

    const DAY: u64 = 86_400;

    struct Place {
        _folder: tempfile::TempDir,
        authority: OfAuthority,
        name: Name,
        now: SystemTime,
    }

    impl Place {
        fn new() -> Place {
            let folder = tempfile::tempdir().expect("a folder");
            let state = Folder::open(&folder.path().join("state")).expect("a folder");
            let authority = OfAuthority::new(&state, "https://a/");
            let name = "a.example".parse().expect("a name");
            // In whole seconds, as they are kept.
            let now = time(seconds(SystemTime::now()));
            Place { _folder: folder, authority, name, now }
        }

        /// With a certificate for 90 days that was obtained this long ago.
        fn with_certificate(ago: Duration) -> Place {
            let place = Place::new();
            let authority_key = KeyPair::generate().expect("a key");
            let of_issuer = CertificateParams::default();
            let issuer = rcgen::Issuer::new(of_issuer, authority_key);
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(["a.example".to_owned()]).expect("a name");
            params.not_before = (place.now - ago).into();
            params.not_after = (place.now - ago + Duration::from_secs(90 * DAY)).into();
            params.use_authority_key_identifier_extension = true;
            params.serial_number = Some(rcgen::SerialNumber::from(7_u64));
            let chain = params.signed_by(&key, &issuer).expect("a certificate").pem();
            let installed = place.authority.install(&place.name, &chain, &key.serialize_pem());
            installed.expect("installed");
            let mut record = place.authority.record(&place.name);
            record.obtained_at = seconds(place.now - ago);
            place.authority.keep_record(&place.name, &record).expect("kept");
            place
        }

        fn state(&self) -> State {
            State::read(&self.authority, &self.name)
        }

        /// In how many seconds it is ordered.
        fn order_in(&self, state: &State, is_cut: bool) -> u64 {
            let at = state.order_at(self.now, is_cut);
            at.duration_since(self.now).unwrap_or_default().as_secs()
        }
    }

    #[test]
    fn first_certificate_is_ordered_at_once() {
        let place = Place::new();
        let state = place.state();
        assert_eq!(place.order_in(&state, false), 0);
        assert!(!state.is_to_put_back(place.now, true));
        assert_eq!(state.ask_at(place.now, false), None);
    }

    #[test]
    fn certificate_that_does_not_serve_is_not_ordered_again() {
        let place = Place::with_certificate(Duration::from_secs(DAY));
        let state = place.state();
        assert!(state.is_served);
        assert!(place.order_in(&state, true) > 58 * DAY);
        // Another authority's is in its place.
        let other = OfAuthority::new(&place.authority.folder, "https://b/");
        let link = place.authority.folder.path().join("a.example");
        std::fs::remove_file(&link).expect("removed");
        let state = place.state();
        assert!(place.order_in(&state, true) > 58 * DAY);
        assert!(state.is_to_put_back(place.now, false));
        // That one orders its own, once.
        assert_eq!(place.order_in(&State::read(&other, &place.name), false), 0);
    }

    #[test]
    fn window_that_has_passed_for_a_fresh_certificate_is_heard_once_a_day() {
        let place = Place::with_certificate(Duration::from_secs(600));
        let mut state = place.state();
        let certificate = state.certificate.clone().expect("one");
        let identifier = certificate.identifier.expect("an identifier");
        let now = seconds(place.now);
        // It has begun: the certificate is not about to be revoked.
        let begun = Window::choose(now - 200, now - 190, &identifier, None);
        state.record.window = Some(Window { end: now + 100, ..begun });
        assert_eq!(place.order_in(&state, false), DAY - 600);
        let passed = Window::choose(now - 200, now - 100, &identifier, None);
        state.record.window = Some(passed.clone());
        assert_eq!(place.order_in(&state, false), 0);
        state.record.replaced_early_at = now - 700;
        assert_eq!(place.order_in(&state, false), DAY - 600);
        // A window of the certificate before is none of this one.
        state.record.replaced_early_at = 0;
        state.record.window = Some(Window { certificate: "other".to_owned(), ..passed });
        assert!(place.order_in(&state, false) > 58 * DAY);
    }

    #[test]
    fn lost_certificate_is_ordered_after_an_hour() {
        let place = Place::with_certificate(Duration::from_secs(600));
        std::fs::remove_dir_all(place.authority.folder.certificates()).expect("removed");
        assert_eq!(place.order_in(&place.state(), false), 3000);
    }

    #[test]
    fn command_cuts_a_pause_each_five_minutes() {
        let place = Place::new();
        let now = seconds(place.now);
        let mut state = place.state();
        state.record.failures = 5;
        state.record.pause_until = now + 7200;
        assert_eq!(place.order_in(&state, false), 7200);
        assert_eq!(place.order_in(&state, true), 0);
        State::note_cut(&mut state.record, place.now);
        assert_eq!(place.order_in(&state, true), 300);
        state.record.is_retry_after = true;
        assert_eq!(place.order_in(&state, true), 7200);
    }

    #[test]
    fn order_in_progress_goes_on_at_once_three_times() {
        let place = Place::with_certificate(Duration::from_secs(600));
        let mut state = place.state();
        state.record.order = Some("https://a/order/1".to_owned());
        state.record.failures = 1;
        state.record.pause_until = seconds(place.now) + 60;
        assert_eq!(place.order_in(&state, false), 0);
        state.record.failures = 4;
        assert!(place.order_in(&state, false) > 50);
        state.record.failures = 1;
        let error = OrderError { code: "a".into(), detail: "b".into(), advice: "c".into() };
        state.record.error = Some(error);
        assert!(place.order_in(&state, false) > 50);
    }

    #[test]
    fn window_is_asked_for_after_ten_seconds_on_command() {
        let place = Place::with_certificate(Duration::from_secs(600));
        let mut state = place.state();
        let ask_in = |state: &State, is_cut| {
            let at = state.ask_at(place.now, is_cut).expect("a time");
            at.duration_since(place.now).unwrap_or_default().as_secs()
        };
        let now = seconds(place.now);
        assert_eq!(ask_in(&state, false), 0);
        state.record.ask_window_at = now + 6 * 3600;
        state.record.window_asked_at = now;
        assert!(ask_in(&state, false) > 21_000);
        assert_eq!(ask_in(&state, true), 10);
        // The clock was set back.
        state.record.ask_window_at = now + 365 * DAY;
        assert_eq!(ask_in(&state, false), 0);
    }

    #[test]
    fn clock_that_jumps_orders_in_no_loop_and_sleeps_for_no_year() {
        let place = Place::with_certificate(Duration::from_secs(600));
        let state = place.state();
        let at = |now: SystemTime| state.order_at(now, false);
        // Ahead by 70 days: it is due.
        let ahead = place.now + Duration::from_secs(70 * DAY);
        assert!(at(ahead) <= ahead);
        // What was obtained then rests for two days, as it is due when it comes.
        let mut fresh = state.clone();
        fresh.record.obtained_at = seconds(ahead);
        let rests = fresh.order_at(ahead, false);
        assert_eq!(rests.duration_since(ahead).expect("later").as_secs(), 2 * DAY);
        // And once the clock is set back it is renewed as others.
        let again = fresh.order_at(place.now, false);
        assert!(again < place.now + Duration::from_secs(61 * DAY));
        // A pause that was kept by a clock years ahead.
        let mut paused = state.clone();
        paused.certificate = None;
        paused.record.obtained_at = 0;
        paused.record.pause_until = seconds(place.now) + 900 * DAY;
        assert_eq!(place.order_in(&paused, false), 0);
    }
}
