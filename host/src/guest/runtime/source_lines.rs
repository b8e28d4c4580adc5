//! The lines of source that a guest's code comes from, as the debug information in its file says
//! (DWARF, which Clang and rustc write into builds for development).
//!
//! Only for the author of a guest: a server does not keep the file, and does not read what a guest
//! says of itself.

use std::ops::Range;
use std::panic;
use std::path::Path;

use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, Frame};
use rustc_demangle::demangle;
use wasmparser::{Encoding, Parser, Payload};

use super::{component, sections};
use crate::guest::runtime::configurable::is_configuration;
use crate::guest::trapped::Place;

/// A component, and where its modules have their debug information.
pub(super) struct SourceLines {
    component: Vec<u8>,
    modules: Vec<Module>,
}

/// A module of a component: ranges of its bytes.
#[derive(Default)]
struct Module {
    /// What its functions are in. Addresses begin here (WebAssembly's conventions for DWARF).
    code: Range<usize>,
    /// By their names.
    debug: Vec<(String, Range<usize>)>,
}

impl SourceLines {
    /// Those of a guest, in any form. `None` if it has none; or if it is configured, as other code
    /// runs then than that of its file.
    pub(super) fn of(guest: &[u8]) -> Option<SourceLines> {
        let component = component::component(guest).ok()?;
        if sections::exports(&component)?.into_iter().any(is_configuration) {
            return None;
        }
        let mut modules = Vec::new();
        for payload in Parser::new(0).parse_all(&component) {
            match payload.ok()? {
                Payload::Version { encoding: Encoding::Module, .. } => {
                    modules.push(Module::default());
                }
                Payload::CodeSectionStart { range, .. } => modules.last_mut()?.code = range,
                Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                    let begin = section.data_offset();
                    let range = begin..begin + section.data().len();
                    modules.last_mut()?.debug.push((section.name().to_owned(), range));
                }
                _ => {}
            }
        }
        modules.retain(|module| !module.debug.is_empty());
        let component = component.into_owned();
        (!modules.is_empty()).then_some(SourceLines { component, modules })
    }

    /// The functions that are at each of these offsets into the component, and their lines: the
    /// innermost first, as some are inlined into others. `names` are those that the module has.
    pub(super) fn places(&self, frames: &[(Option<usize>, Option<String>)]) -> Vec<Place> {
        // What is no DWARF is an error of its parser, or a panic.
        let found = panic::catch_unwind(|| {
            frames.iter().map(|(offset, _)| self.at((*offset)?)).collect::<Vec<_>>()
        });
        let mut found = found.unwrap_or_default().into_iter();
        let mut places = Vec::new();
        for (_, name) in frames {
            match found.next().flatten() {
                Some(inlined) if !inlined.is_empty() => places.extend(inlined),
                _ => places.extend(name.clone().map(Place::of_function)),
            }
        }
        places
    }

    fn at(&self, offset: usize) -> Option<Vec<Place>> {
        let module = self.modules.iter().find(|module| module.code.contains(&offset))?;
        let section = |id: SectionId| {
            let range = module.debug.iter().find(|(name, _)| name == id.name());
            let bytes = range.map_or(&[][..], |(_, range)| &self.component[range.clone()]);
            Ok::<_, addr2line::gimli::Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let context = Context::from_dwarf(Dwarf::load(section).ok()?).ok()?;
        let address = u64::try_from(offset - module.code.start).ok()?;
        let mut frames = context.find_frames(address).skip_all_loads().ok()?;
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            places.extend(place(&frame));
        }
        Some(places)
    }
}

fn place(frame: &Frame<'_, EndianSlice<'_, LittleEndian>>) -> Option<Place> {
    let function = frame.function.as_ref()?.raw_name().ok()?;
    let line = frame.location.as_ref().and_then(|location| {
        let file = shortened(location.file?);
        Some(location.line.map_or(file.to_owned(), |line| format!("{file}:{line}")))
    });
    Some(Place { function: format!("{:#}", demangle(&function)), line })
}

/// A path as one would type it here.
fn shortened(path: &str) -> &str {
    let here = std::env::current_dir().ok();
    let rest = here.and_then(|here| Path::new(path).strip_prefix(here).ok());
    rest.and_then(Path::to_str).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::SourceLines;
    use crate::guest::DEFAULT_GUEST;
    use crate::guest::trapped::Place;

    fn with_debug(info: &str) -> SourceLines {
        let text = format!(
            r#"(component (core module (func (nop)) (@custom ".debug_info" "{info}")
                (@custom ".debug_line" "{info}") (@custom ".debug_abbrev" "{info}")))"#
        );
        SourceLines::of(&wat::parse_str(text).expect("a component")).expect("debug information")
    }

    #[test]
    fn what_is_no_dwarf_leaves_the_names() {
        let name = |name: &str| Some(name.to_owned());
        for info in [
            "",
            "\\ff",
            "\\ff\\ff\\ff\\ff\\00\\00",
            "\\10\\00\\00\\00\\04\\00\\00\\00\\00\\00\\04\\01",
        ] {
            let source = with_debug(info);
            let code = source.modules[0].code.clone();
            for offset in code.start..code.end + 3 {
                let frames =
                    [(Some(offset), name("inner")), (None, name("outer")), (Some(0), None)];
                let places = source.places(&frames);
                assert_eq!(places, ["inner", "outer"].map(|name| Place::of_function(name.into())));
            }
        }
    }

    #[test]
    fn guest_without_debug_information_has_no_lines() {
        assert!(SourceLines::of(DEFAULT_GUEST).is_none() && SourceLines::of(b"\0asm").is_none());
    }
}
