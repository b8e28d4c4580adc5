//! `innkeeper new NAME --from-rules FILE`: a guest in Rust that decides as rules do.
//!
//! The table is written as a value of Rust, from what `{:#?}` prints of it: of that only lists and
//! texts have another form as code.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use innkeeper_guest::rules::{Table, lines};

use crate::cli::settings::rules::RulesSettings;
use crate::commands::rules;
use crate::guest::validation::cases::CaseFile;
use crate::named_file;

/// A project that is made of rules.
pub(super) struct FromRules {
    /// Its files with the placeholders of all projects.
    pub(super) templates: Vec<(&'static str, String)>,
    /// Those that are written as they are.
    pub(super) written: Vec<(&'static str, String)>,
    /// Where the library is looked for, and is not.
    pub(super) missing_library: Option<PathBuf>,
}

/// The files of the project.
pub(super) fn files(path: &Path) -> anyhow::Result<FromRules> {
    let text = named_file::read_text(path, lines::FILE_BYTES as u64)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let settings = RulesSettings { files: vec![path.to_owned()], ..RulesSettings::default() };
    let gathered = rules::files(&settings, None).read()?;
    let Some(cases) = cases(&text, &gathered.cases)? else {
        bail!(
            "{} has no cases, and it is them that prove the guest; write some, as in: [[case]] with \
             a line and a decision",
            path.display()
        );
    };
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest");
    let library = library.canonicalize().unwrap_or(library);
    let is_there = library.join("Cargo.toml").is_file();
    let source = match is_there {
        true => format!("path = {:?}", library.display().to_string()),
        false => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
    };
    let manifest = include_str!("rules/Cargo.toml.txt").replace("SOURCE", &source);
    Ok(FromRules {
        templates: vec![
            ("Cargo.toml", manifest),
            ("src/lib.rs", include_str!("rules/lib.rs.txt").to_owned()),
        ],
        written: vec![
            ("src/rules.rs", in_rust(&gathered.table)),
            ("rules.toml", text),
            ("cases.toml", cases),
        ],
        missing_library: (!is_there).then_some(library),
    })
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
