//! Names of hosts in letters beyond ASCII.

use std::borrow::Cow;

use idna::AsciiDenyList;

/// The name with its labels as clients send them (A-labels); `None` if it can be no host's. A name in
/// ASCII stays as it is.
pub(super) fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    match name.is_ascii() {
        true => Some(Cow::Borrowed(name)),
        false => idna::domain_to_ascii_cow(name.as_bytes(), AsciiDenyList::URL).ok(),
    }
}
