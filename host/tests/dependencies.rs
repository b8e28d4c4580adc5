//! What the program is made of: every crate is one that was published, under a licence
//! that `.deny.toml` allows. `cargo deny check` tells more, where it is installed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn packages() -> Vec<Value> {
    // What other systems need was not fetched.
    let system = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &system])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

fn rules() -> toml::Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deny.toml");
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

#[test]
fn every_dependency_was_published() {
    let strangers: Vec<_> = packages()
        .into_iter()
        .filter(|package| match package["source"].as_str() {
            None => false,
            Some(source) => !source.starts_with("registry+"),
        })
        .map(|package| name(&package).to_owned())
        .collect();
    assert!(strangers.is_empty(), "from elsewhere than the registry: {strangers:?}");
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let allowed: BTreeSet<_> = rules["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    // One of several is enough; all that are joined by AND are needed.
    let is_allowed = |licence: &str| {
        let licence = licence.replace(['(', ')'], "").replace('/', " OR ");
        licence
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| allowed.contains(one.trim())))
    };
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_allowed(licence), "{} has the licence {licence}", name(&package));
    }
}

#[test]
fn what_is_denied_is_not_there() {
    let rules = rules();
    let denied: Vec<_> = rules["bans"]["deny"].as_array().unwrap().clone();
    assert!(!denied.is_empty());
    for package in packages() {
        let is_denied = denied.iter().any(|one| one["name"].as_str() == Some(name(&package)));
        assert!(!is_denied, "{} is not to be there", name(&package));
    }
}
