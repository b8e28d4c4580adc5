//! What is written about innkeeper: links lead somewhere, names are those of the code, and
//! the README says the same in both languages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::running::{PROGRAM, workspace};

/// The pages for people, each with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = [".", "docs", "host/packaging", "host/benches", "host/benches/servers"];
    let mut pages = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(workspace().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path).unwrap();
                pages.push((path, text));
            }
        }
    }
    assert!(pages.len() > 8, "{}", pages.len());
    pages
}

/// What stands in parentheses behind brackets.
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
fn the_chinese_readme_has_the_same_headings_and_commands() {
    let read = |name| fs::read_to_string(workspace().join(name)).unwrap();
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
    let rows = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows(&english), rows(&chinese));
}

#[test]
fn tests_that_are_named_are_there() {
    let mut sources = String::new();
    gather(&workspace().join("host/src"), &mut sources);
    gather(&workspace().join("host/tests"), &mut sources);
    for name in ["README.md", "README.zh-CN.md", "docs/security.md"] {
        let text = fs::read_to_string(workspace().join(name)).unwrap();
        let names = text.split('`').skip(1).step_by(2).filter(|code| {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            code.matches('_').count() >= 2 && code.chars().all(is_name)
        });
        for test in names {
            // Metrics and system calls look like tests.
            let is_other = test.starts_with("innkeeper_") || test == "io_uring_setup";
            assert!(is_other || sources.contains(&format!("fn {test}()")), "{test} in {name}");
        }
    }
}

fn gather(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn flags_that_are_named_are_there() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let mut known = String::from_utf8(help.stdout).unwrap();
    for command in ["test", "check", "explain", "health", "new", "dev", "compile"] {
        let help = Command::new(PROGRAM).args([command, "--help"]).output().unwrap();
        known += &String::from_utf8(help.stdout).unwrap();
    }
    for name in ["README.md", "docs/operating.md", "docs/performance.md"] {
        let text = fs::read_to_string(workspace().join(name)).unwrap();
        let lines = text.lines().filter(|line| {
            let others = ["cargo ", "python3 ", "curl "];
            !others.iter().any(|other| line.contains(other))
        });
        for line in lines {
            for flag in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                if flag.starts_with("--") && flag.len() > 2 && !flag.starts_with("---") {
                    assert!(known.contains(flag), "{flag} in {name}: {line}");
                }
            }
        }
    }
}
