//! Whether a component can be configured, by what it exports: read before anything is compiled.

use std::ops::Range;

use wasmparser::{BinaryReader, ComponentExportSectionReader};

use super::component::leb128_u32;

/// What a guest exports that can be configured.
pub const INTERFACE: &str = "innkeeper:policy/configuration@0.1.0";

/// The name of the same export once the guest holds its data, of the same length. It is a part of
/// the component's type, which tools keep that strip custom sections.
const DONE: &str = "innkeeper:policy/is-configured@0.1.0";

/// The section of a component that holds its exports.
const EXPORTS: u8 = 11;

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
    let mut rest = component.get(8..)?;
    while let [id, after_id @ ..] = rest {
        let (size, body) = leb128_u32(after_id)?;
        let (section, next) = body.split_at_checked(size)?;
        rest = next;
        if *id != EXPORTS {
            continue;
        }
        let at = component.len() - body.len();
        let reader = BinaryReader::new(section, 0);
        for export in ComponentExportSectionReader::new(reader).ok()? {
            let name = export.ok()?.name.name;
            if is(DONE, name) {
                return Some(Configurable::Done);
            }
            if is(INTERFACE, name) {
                let within = name.as_ptr().addr() - section.as_ptr().addr();
                return Some(Configurable::Yes(at + within..at + within + name.len()));
            }
        }
    }
    None
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
