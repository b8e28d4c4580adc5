//! Documents: links lead somewhere, files that are named exist, and the README is short and
//! says the same in both languages. `names`: flags, variables, settings, metrics, tests and
//! fields that are named exist, and those of the program are in the manual.

mod names;

use std::fs;
use std::path::{Path, PathBuf};

use crate::running::workspace;

/// Lines that a README has at most: it is read in one go.
const README_LINES: usize = 150;

/// Bytes of a picture: the README is often read over a slow line.
const PICTURE_BYTES: u64 = 60 << 10;

/// Folders that hold no document: what is built, fetched or found by fuzzers.
const NO_DOCUMENTS: [&str; 7] =
    ["target", "node_modules", ".git", ".venv", "corpus", "artifacts", "__pycache__"];

/// The documents for people, each with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = Vec::new();
    gather(&workspace(), "md", &mut pages);
    assert!(pages.len() > 20, "{}", pages.len());
    pages
}

/// Files beneath this folder with this extension, each with its text.
fn gather(folder: &Path, extension: &str, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if !NO_DOCUMENTS.iter().any(|other| name == *other) {
                gather(&path, extension, found);
            }
        } else if path.extension().is_some_and(|of_file| of_file == extension) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap()
}

/// The targets of links: what stands in parentheses behind brackets.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The anchor that a heading gets: lower case, blanks as dashes, no punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn headings(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code && line.starts_with('#')
    });
    lines.collect()
}

/// Spans of code: what stands between two backticks of a line, outside of fences.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    let mut in_fence = false;
    let lines = text.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        in_fence ^= is_fence;
        !is_fence && !in_fence
    });
    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn links_lead_somewhere() {
    for (page, text) in pages() {
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (path, part) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{} in {}", link, page.display());
            if !part.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let anchors: Vec<_> = headings(&text)
                    .iter()
                    .map(|heading| anchor(heading.trim_start_matches('#')))
                    .collect();
                assert!(anchors.iter().any(|a| a == part), "{link} in {}", page.display());
            }
        }
    }
}

/// Whether this is a file or folder of ours, seen from the top, the host, its sources, the
/// guest or the page.
fn exists(path: &str, page: &Path) -> bool {
    let above = ["", "host", "host/src", "guest", "guest/src"].map(|top| workspace().join(top));
    let beside = page.parent().unwrap();
    above
        .iter()
        .chain([&beside.to_owned(), &beside.join("src")])
        .any(|folder| folder.join(path).exists())
}

/// Whether a span of code is a path in this repository, by its form.
fn is_path(span: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let names_a_file = [".rs", ".wit", ".sh", ".md"].iter().any(|end| span.ends_with(end));
    let has_folder = span.trim_end_matches('/').contains('/');
    let is_ours = has_folder && [".py", ".toml", ".txt", "/"].iter().any(|end| span.ends_with(end));
    // `/a` is a target, `./a` and `a/./b` are examples, and `..` is a step up.
    let is_other = span.starts_with('/') || span.contains("./") || span.starts_with("path/");
    span.chars().all(is_plain) && (names_a_file || is_ours) && !is_other
}

#[test]
fn files_that_are_named_exist() {
    let mut missing = Vec::new();
    for (page, text) in pages() {
        // What was so when it was written.
        if page.ends_with("CHANGELOG.md") {
            continue;
        }
        for span in spans(&text).filter(|span| is_path(span)) {
            if !exists(span, &page) {
                missing.push(format!("{span} in {}", page.display()));
            }
        }
    }
    let mut pages = Vec::new();
    gather(&workspace().join("html"), "html", &mut pages);
    for (page, text) in &pages {
        for rest in text.split("<code>").skip(1) {
            let span = rest.split('<').next().unwrap();
            if is_path(span) && !exists(span, page) {
                missing.push(format!("{span} in {}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Its trees, too: in a fence, the first word of each line.
#[test]
fn architecture_names_what_exists() {
    let (page, text) = (workspace().join("ARCHITECTURE.md"), read("ARCHITECTURE.md"));
    let mut in_fence = false;
    let mut named = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_fence = !in_fence;
        } else if in_fence && let Some(word) = line.split(' ').next() {
            named.extend((word.contains('/') || word.contains('.')).then_some(word));
        }
    }
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|path| !exists(path, &page)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // And each module of the root that is a folder is in the tree.
    for entry in fs::read_dir(workspace().join("host/src")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            let is_named = named.iter().any(|path| path.split('/').next() == Some(&name));
            assert!(is_named, "host/src/{name} is not in the tree");
        }
    }
}

#[test]
fn readme_is_short_and_its_pictures_are_small() {
    for name in ["README.md", "README.zh-CN.md"] {
        let lines = read(name).lines().count();
        assert!(lines <= README_LINES, "{name} has {lines} lines");
    }
    for picture in fs::read_dir(workspace().join("docs/pictures")).unwrap() {
        let picture = picture.unwrap();
        let bytes = picture.metadata().unwrap().len();
        assert!(bytes < PICTURE_BYTES, "{} has {bytes} bytes", picture.path().display());
    }
}

/// Lines of code: fenced, or indented by four blanks behind an empty line.
fn code(text: &str) -> Vec<&str> {
    let mut in_fence = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        in_fence ^= is_fence;
        is_fence || in_fence || line.starts_with("    ")
    });
    lines.collect()
}

#[test]
fn chinese_readme_has_the_same_headings_commands_and_links() {
    let (english, chinese) = (read("README.md"), read("README.zh-CN.md"));
    let levels = |text: &str| -> Vec<usize> {
        headings(text)
            .iter()
            .map(|heading| heading.chars().take_while(|&c| c == '#').count())
            .collect()
    };
    assert_eq!(levels(&english), levels(&chinese));
    // Lines that continue an item of a list are indented by two.
    assert_eq!(code(&english), code(&chinese));
    // But for the one to the other.
    let targets = |text: &str| links(text).skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(targets(&english), targets(&chinese));
}
