//! TOML in the repository: every table in a file, a template, a document or a comment is
//! TOML 1.0, which every language and editor reads.

use std::path::{Path, PathBuf};

use innkeeper_cases::toml_1_0;

/// The folders and files of the repository that hold TOML or documents.
const PLACES: [&str; 12] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "README.md",
    "README.zh-CN.md",
    "SECURITY.md",
    "docs",
    "guest",
    "host",
    "html",
    "wit",
];

/// Folders that others fill.
const NOT_OURS: [&str; 5] = ["target", "node_modules", ".venv", "build", "corpus"];

/// The files at or beneath a path.
fn files(path: PathBuf, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(&path) else {
        found.push(path);
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
            files(entry.path(), found);
        }
    }
}

/// The blocks of TOML in a document or in comments, each with the number of its first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
        let line = comment.map_or(line, |comment| comment.strip_prefix(' ').unwrap_or(comment));
        match &mut block {
            None if line.starts_with("```toml") => block = Some((index + 2, String::new())),
            None => {}
            Some(_) if line.starts_with("```") => blocks.extend(block.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(block.is_none(), "a block has no end");
    blocks
}

/// Why this is no TOML 1.0, or no table of cases.
fn problem(text: &str) -> Option<String> {
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => return Some(error.to_string()),
    };
    if let Err((at, newer)) = toml_1_0::check(text) {
        return Some(format!("line {}: {newer}", text[..at].lines().count().max(1)));
    }
    // A project that `innkeeper new` writes has its table from a template.
    // A file of rules has other keys too, and is held by the tests of the manual.
    let is_of_cases = table.len() == 1 && table.contains_key("case");
    let error = is_of_cases.then(|| innkeeper_cases::parse(text).err()).flatten();
    error.map(|error| error.to_string())
}

#[test]
fn every_table_in_the_repository_is_toml_1_0() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for place in PLACES {
        if root.join(place).exists() {
            files(root.join(place), &mut found);
        }
    }
    let (mut tables, mut of_cases, mut problems) = (0, 0, Vec::new());
    for file in found {
        let name = file.file_name().unwrap().to_str().unwrap().trim_end_matches(".txt");
        let text = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("toml" | "md" | "rs") => std::fs::read_to_string(&file).unwrap(),
            _ => continue,
        };
        // Where a template leaves room for where the crate comes from.
        let text = text.replace("{ SOURCE,", "{ path = 'guest',");
        let inside = if name.ends_with(".toml") { vec![(1, text)] } else { blocks(&text) };
        for (line, table) in inside {
            tables += 1;
            of_cases += usize::from(table.contains("decision"));
            if let Some(problem) = problem(&table) {
                problems.push(format!("{} (from line {line}): {problem}", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(tables >= 30 && of_cases >= 15, "only {tables} tables, {of_cases} of cases");
}

#[test]
fn table_of_toml_1_1_is_found_in_a_document() {
    let document =
        "# a\n\n    text\n```toml\na = { b = 1,\n c = 2 }\n```\n/// ```toml\n/// a = 1\n/// ```\n";
    let found = blocks(document);
    assert_eq!(found[1], (9, "a = 1\n".to_owned()));
    assert_eq!(found[0].0, 5);
    assert!(problem(&found[0].1).unwrap().starts_with("line 1: TOML 1.0"), "{found:?}");
    assert_eq!(problem(&found[1].1), None);
    assert!(problem("case = [{ line = '' }]").unwrap().contains("missing field"));
}
