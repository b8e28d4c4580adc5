//! The contract between host and guest: guests that were built for a published version still
//! serve. They are kept in `contract/`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use innkeeper::guest::validation::validate::validate;
use innkeeper::guest::{DecisionLimits, LoadError, LoadedGuest};
use innkeeper::release::guest_files::GuestFiles;
use innkeeper::release::source::Source;

use crate::fixture::{Setup, engine};
use crate::wat_guest;

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract")
}

#[test]
fn guest_of_a_published_version_still_serves() {
    let mut served = 0;
    for version in std::fs::read_dir(kept()).unwrap() {
        for file in std::fs::read_dir(version.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "wasm") {
                continue;
            }
            let cases = vec![file.with_extension("toml")];
            let files = GuestFiles { guest: Some(file.clone()), cases, ..GuestFiles::default() };
            let offer = files.read().unwrap();
            assert!(!offer.cases[0].cases.is_empty(), "{} has no cases", file.display());
            let validated = validate(engine(), &offer, DecisionLimits::default())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let guest = Arc::new(validated.guest);
            let server = Setup { guest, ..Setup::default() }.start();
            assert_eq!(server.get("/").status(), 200, "{}", file.display());
            served += 1;
        }
    }
    assert!(served >= 3, "only {served} guests are kept");
}

/// A guest that was made for this version of the contract.
fn made_for(version: &str) -> Result<LoadedGuest, LoadError> {
    LoadedGuest::load(engine(), &wat_guest::of_version(version))
}

#[test]
fn guest_of_a_later_patch_version_serves() {
    for version in ["0.1.0", "0.1.7"] {
        assert_eq!(made_for(version).err(), None, "{version}");
    }
}

#[test]
fn guest_of_an_unknown_version_is_refused_with_the_known_ones() {
    for version in ["0.2.0", "1.0.0"] {
        let error = made_for(version).err().unwrap();
        assert_eq!(error.code(), "contract-mismatch");
        let message = error.to_string();
        let part = format!("made for version {version} of the contract");
        assert!(message.contains(&part) && message.contains("supports 0.1.x"), "{message}");
    }
}
