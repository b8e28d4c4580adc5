//! `innkeeper new NAME --from-rules FILE`: a guest in Rust that decides as rules do.
//!
//! The table is written as a value of Rust, from what `{:#?}` prints of it: of that only lists and
//! texts have another form as code.

use std::path::Path;

use anyhow::{Context, bail};
use innkeeper_guest::rules::Table;

use crate::cli::settings::rules::RulesSettings;
use crate::commands::rules;
use crate::guest::validation::cases::CaseFile;

/// The files of the project: paths and texts, with the placeholders of all projects.
pub(super) fn files(path: &Path, text: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let settings = RulesSettings { files: vec![path.to_owned()], ..RulesSettings::default() };
    let gathered = rules::files(&settings, None).read()?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = sources.canonicalize().unwrap_or(sources);
    let manifest = include_str!("rules/Cargo.toml.txt");
    let manifest = manifest.replace("SOURCES", &sources.display().to_string());
    let mut files = vec![
        ("Cargo.toml", manifest),
        ("src/lib.rs", include_str!("rules/lib.rs.txt").to_owned()),
        ("src/rules.rs", in_rust(&gathered.table)),
        ("rules.toml", text.to_owned()),
    ];
    match cases(text, &gathered.cases)? {
        Some(cases) => files.push(("cases.toml", cases)),
        None => bail!(
            "{} has no cases, and it is them that prove the guest; write some, as in: [[case]] with \
             a line and a decision",
            path.display()
        ),
    }
    Ok(files)
}

/// The cases of a file of rules, as a file of their own.
fn cases(text: &str, read: &[CaseFile]) -> anyhow::Result<Option<String>> {
    if read.is_empty() {
        return Ok(None);
    }
    let mut all: toml::Table = text.parse().context("it was read before")?;
    all.retain(|key, _| key == "case");
    Ok(Some(toml::to_string(&all).context("cannot write the cases")?))
}

/// The table as a module of Rust.
fn in_rust(table: &Table) -> String {
    let printed = format!("{table:#?}");
    let mut code = String::from(
        "//! The rules, as they were written into a table. `place` says where each stood.\n\n\
         #![allow(unused_imports)]\n\n\
         use innkeeper_guest::rules::table::{\n    AccessBy::*, Condition::*, FieldChange::*, \
         QueryValue::*, Responses::*, TrailingSlash::*, *,\n};\n\n\
         /// All rules.\npub(crate) fn table() -> Table {\n    ",
    );
    let (mut is_text, mut is_escaped) = (false, false);
    for character in printed.chars() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' if is_text => {
                is_text = false;
                code.push_str("\".to_owned()");
                continue;
            }
            '"' => is_text = true,
            '[' if !is_text => code.push_str("vec!"),
            '\n' => {
                code.push_str("\n    ");
                continue;
            }
            _ => {}
        }
        code.push(character);
    }
    code.push_str("\n}\n");
    code
}
