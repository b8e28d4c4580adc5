//! A component that is made of others: which of them is the guest, and how it is replaced.
//!
//! Some toolchains put the component that they make into one without modules, beside others that
//! give it its imports; that of JavaScript does. The state of a guest is taken of the component that
//! has the modules, on its own, and put back into the others, which stay as they are.

use std::ops::Range;

use super::configurable::Configurable;
use super::sections::leb128_u32;

/// How deep components may be in one another. Toolchains make two levels.
const MAX_DEPTH: usize = 8;

/// The sections of a component that hold a core module, and another component.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// A component that may be in others.
#[derive(Debug)]
pub(super) struct Composition<'a> {
    whole: &'a [u8],
    /// From the outermost to the innermost: where the section of the next one begins, at its
    /// number, and where its content is.
    levels: Vec<(usize, Range<usize>)>,
}

impl<'a> Composition<'a> {
    /// Looks for the component with modules that can be configured. Where that is not clear it is
    /// the whole.
    pub(super) fn of(whole: &'a [u8]) -> Composition<'a> {
        let (mut levels, mut within) = (Vec::new(), 0..whole.len());
        while levels.len() < MAX_DEPTH
            && let Some(next) = configurable_in(whole, within.clone())
        {
            within = next.1.clone();
            levels.push(next);
        }
        Composition { whole, levels }
    }

    /// The component with modules.
    pub(super) fn inner(&self) -> &'a [u8] {
        self.levels.last().map_or(self.whole, |(_, content)| &self.whole[content.clone()])
    }

    /// The whole, with another component in the place of that one.
    pub(super) fn with(&self, inner: Vec<u8>) -> Vec<u8> {
        let outsides = std::iter::once(0..self.whole.len())
            .chain(self.levels.iter().map(|(_, content)| content.clone()));
        let outsides: Vec<_> = outsides.collect();
        self.levels.iter().zip(outsides).rev().fold(inner, |inner, ((at, content), outside)| {
            [
                &self.whole[outside.start..*at],
                &[COMPONENT],
                &leb128(inner.len()),
                &inner,
                &self.whole[content.end..outside.end],
            ]
            .concat()
        })
    }
}

/// The one component that can be configured among those in this one, if this has no module of its
/// own.
fn configurable_in(whole: &[u8], within: Range<usize>) -> Option<(usize, Range<usize>)> {
    let mut found = None;
    let mut at = within.start + 8;
    while at < within.end {
        let id = whole[at];
        let (size, body) = leb128_u32(&whole[at + 1..within.end])?;
        let start = within.end - body.len();
        let end = start.checked_add(size).filter(|end| *end <= within.end)?;
        if id == MODULE {
            return None;
        }
        let is_configurable =
            id == COMPONENT && matches!(Configurable::of(&whole[start..end]), Configurable::Yes(_));
        if is_configurable && found.replace((at, start..end)).is_some() {
            return None;
        }
        at = end;
    }
    found
}

/// A number in LEB128.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::{Composition, leb128};
    use crate::guest::runtime::sections::leb128_u32;

    /// A component with these sections.
    fn component(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let section = |(id, content): &(u8, &[u8])| {
            [vec![*id], leb128(content.len()), content.to_vec()].concat()
        };
        let sections: Vec<_> = sections.iter().map(section).collect();
        [b"\0asm\x0d\0\x01\0".to_vec(), sections.concat()].concat()
    }

    /// One that can be configured, with a module of so many bytes.
    fn configurable(bytes: usize) -> Vec<u8> {
        let name = super::super::configurable::INTERFACE;
        let export = [b"\x01\0", &leb128(name.len())[..], name.as_bytes(), b"\x05\0\0"].concat();
        component(&[(1, &vec![0; bytes]), (11, &export)])
    }

    #[test]
    fn component_with_modules_is_its_own_guest() {
        let whole = configurable(9);
        let composition = Composition::of(&whole);
        assert_eq!(composition.inner(), whole);
        assert_eq!(composition.with(b"other".to_vec()), b"other");
    }

    #[test]
    fn guest_in_others_is_replaced_and_the_others_stay() {
        let other = component(&[(1, b"module")]);
        let make = |guest: &[u8]| {
            let within = component(&[(7, b"types"), (4, &other), (4, guest), (11, b"\0")]);
            let name = super::super::configurable::INTERFACE;
            let export =
                [b"\x01\0", &leb128(name.len())[..], name.as_bytes(), b"\x05\0\0"].concat();
            let within = [within, component(&[(11, &export)])[8..].to_vec()].concat();
            component(&[(4, &within), (11, &export), (0, b"\x04name")])
        };
        let (guest, larger) = (configurable(9), configurable(70_000));
        let whole = make(&guest);
        let composition = Composition::of(&whole);
        assert_eq!(composition.inner(), guest);
        assert_eq!(composition.with(larger.clone()), make(&larger));
        let larger = make(&larger);
        assert_eq!(Composition::of(&larger).with(guest), whole);
    }

    #[test]
    fn two_that_can_be_configured_are_none() {
        let guest = configurable(9);
        let whole = component(&[(4, &guest), (4, &guest)]);
        assert_eq!(Composition::of(&whole).inner(), whole);
    }

    #[test]
    fn truncated_component_is_whole() {
        let whole = component(&[(4, &configurable(300))]);
        for end in 8..whole.len() {
            assert_eq!(Composition::of(&whole[..end]).inner(), &whole[..end]);
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for number in [0, 1, 127, 128, 300, 70_000, u32::MAX as usize] {
            assert_eq!(leb128_u32(&leb128(number)), Some((number, &b""[..])));
        }
    }
}
