//! Whether a component can be configured, by what it exports: read before anything is compiled.

use std::ops::Range;

use super::sections::exports;

/// What a guest exports that can be configured.
pub const INTERFACE: &str = "innkeeper:policy/configuration@0.1.0";

/// The name of the same export once the guest holds its data, of the same length. It is a part of
/// the component's type, which tools keep that strip custom sections.
const DONE: &str = "innkeeper:policy/is-configured@0.1.0";

/// Whether a component can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Configurable {
    /// It takes no data.
    No,
    /// It takes data. The name of its export is here.
    Yes(Range<usize>),
    /// It was configured before, and holds its data.
    Done,
}

impl Configurable {
    /// Reads the component's exports. What is not valid is left to the compiler to tell.
    pub(super) fn of(component: &[u8]) -> Configurable {
        exported(component).unwrap_or(Configurable::No)
    }
}

/// Whether an export of this name is that of a guest that can be configured.
pub(super) fn is_configuration(export: &str) -> bool {
    is(INTERFACE, export)
}

/// The component as one that holds its data.
pub(super) fn marked_done(mut component: Vec<u8>) -> Vec<u8> {
    if let Configurable::Yes(name) = Configurable::of(&component) {
        let length = INTERFACE.len() - "0".len();
        component[name.start..][..length].copy_from_slice(&DONE.as_bytes()[..length]);
    }
    component
}

/// A name stands for that of every later version 0.1.x.
fn is(interface: &str, export: &str) -> bool {
    let minor = interface.trim_end_matches('0');
    export.strip_prefix(minor).is_some_and(|patch| !patch.is_empty())
}

fn exported(component: &[u8]) -> Option<Configurable> {
    exports(component)?.into_iter().find_map(|name| {
        if is(DONE, name) {
            return Some(Configurable::Done);
        }
        let at = name.as_ptr().addr() - component.as_ptr().addr();
        is(INTERFACE, name).then(|| Configurable::Yes(at..at + name.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::{Configurable, DONE, INTERFACE, is_configuration, marked_done};
    use crate::guest::DEFAULT_GUEST;

    #[test]
    fn names_have_one_length_and_stand_for_later_patches() {
        assert_eq!(INTERFACE.len(), DONE.len());
        assert!(is_configuration(INTERFACE));
        assert!(is_configuration("innkeeper:policy/configuration@0.1.12"));
        assert!(!is_configuration("innkeeper:policy/configuration@0.2.0"));
        assert!(!is_configuration("innkeeper:policy/configuration"));
    }

    #[test]
    fn guest_without_the_export_takes_no_data() {
        assert_eq!(Configurable::of(DEFAULT_GUEST), Configurable::No);
        assert_eq!(marked_done(DEFAULT_GUEST.to_vec()), DEFAULT_GUEST);
    }

    #[test]
    fn truncated_component_takes_no_data() {
        for end in 0..DEFAULT_GUEST.len().min(4096) {
            assert_eq!(Configurable::of(&DEFAULT_GUEST[..end]), Configurable::No);
        }
    }
}
