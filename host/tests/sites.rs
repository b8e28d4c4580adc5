//! Small sites as generators make them, served with one flag or none: `sites/*.txt`.
//!
//! ```text
//! # What made the site, and what is special about it.
//! flags: --spa                    flags of the server, if there are any
//! file assets/index-D64V.js       a file; its content is its own path
//! file _redirects                 and with lines behind `| ` it is these lines
//! | /old /new 301
//! GET /users/7 200 index.html     a request, its status, and the file that is its content
//! GET /docs 301 /docs/            or its `Location`
//! GET /none 404                   or neither
//!   > Cookie: a=b                 a field of that request
//!   < Cache-Control: no-cache     a field of the response
//!   < !Location                   a field that it does not have
//!   body: closed                  text that is in its body
//! ```
//!
//! Each request has a connection of its own, and the lines of a file stand before its requests.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::fixture::{Reply, write};
use crate::running::{Program, serving, workspace};

fn folder() -> PathBuf {
    workspace().join("host/tests/sites")
}

/// A site as its file has it.
#[derive(Default)]
struct Site<'a> {
    flags: Vec<&'a str>,
    /// Paths and contents.
    files: Vec<(&'a str, String)>,
    requests: Vec<Request<'a>>,
}

/// One request and what is wanted.
struct Request<'a> {
    /// Counted from 1.
    line: usize,
    method: &'a str,
    target: &'a str,
    status: u16,
    /// The file or the location.
    what: Option<&'a str>,
    fields: Vec<&'a str>,
    wanted: Vec<&'a str>,
    body: Option<&'a str>,
}

impl<'a> Site<'a> {
    fn parse(text: &'a str) -> Site<'a> {
        let mut site = Site::default();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            let last = site.requests.last_mut();
            match *words {
                [] | ["#", ..] => {}
                ["flags:", ref flags @ ..] => site.flags = flags.to_vec(),
                ["file", path] => site.files.push((path, String::new())),
                ["|", ..] => {
                    let content = &mut site.files.last_mut().unwrap().1;
                    *content += line[1..].strip_prefix(' ').unwrap_or_default();
                    content.push('\n');
                }
                [">", ..] => last.unwrap().fields.push(line.trim()[1..].trim()),
                ["<", ..] => last.unwrap().wanted.push(line.trim()[1..].trim()),
                ["body:", ..] => last.unwrap().body = Some(line.trim()[5..].trim()),
                [method, target, status, ref what @ ..] if what.len() < 2 => {
                    site.requests.push(Request {
                        line: number + 1,
                        method,
                        target,
                        status: status.parse().unwrap(),
                        what: what.first().copied(),
                        fields: Vec::new(),
                        wanted: Vec::new(),
                        body: None,
                    });
                }
                _ => panic!("line {}: {line}", number + 1),
            }
        }
        site
    }

    /// The content of this file: its path, if it has no lines.
    fn content(&self, path: &str) -> &str {
        let file = self.files.iter().find(|file| file.0 == path);
        let (path, content) = file.unwrap_or_else(|| panic!("there is no file {path}"));
        if content.is_empty() { path } else { content }
    }

    fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, _) in &self.files {
            write(&folder.path().join(path), self.content(path).as_bytes());
        }
        folder
    }

    /// What is wrong with the response, in one text.
    fn faults(&self, request: &Request<'_>, reply: &Reply) -> String {
        let mut faults = Vec::new();
        if reply.status() != request.status {
            faults.push(format!("{} instead of {}", reply.status(), request.status));
        }
        match request.what {
            Some(location) if request.status < 400 && request.status >= 300 => {
                let to = reply.field("location").map(|to| resolved(request.target, to));
                if to.as_deref() != Some(location) {
                    faults.push(format!("not to {location} but {to:?}"));
                }
            }
            Some(file) if request.method != "HEAD" && reply.text() != self.content(file) => {
                faults.push(format!("not {file} but {:?}", reply.text()));
            }
            Some(_) | None => {}
        }
        for wanted in &request.wanted {
            let is_there =
                |(name, value): (&str, &str)| reply.values(name).any(|line| line == value.trim());
            let holds = match wanted.strip_prefix('!') {
                Some(name) => reply.values(name).next().is_none(),
                None => is_there(wanted.split_once(':').unwrap()),
            };
            if !holds {
                faults.push(format!("not {wanted} in {:?}", reply.fields));
            }
        }
        if let Some(text) = request.body.filter(|text| !reply.text().contains(*text)) {
            faults.push(format!("no {text:?} in {:?}", reply.text()));
        }
        faults.join("; ")
    }
}

/// Where a client goes from this target by this reference (RFC 3986, section 5.2), as far as this
/// server writes references: whole URLs, absolute paths, and paths relative to the target's.
fn resolved(target: &str, reference: &str) -> String {
    if reference.starts_with('/') || reference.contains("://") {
        return reference.to_owned();
    }
    let path = target.split('?').next().unwrap();
    let mut folder = &path[..=path.rfind('/').unwrap()];
    let mut rest = reference;
    loop {
        if let Some(behind) = rest.strip_prefix("../") {
            folder = &folder[..=folder.trim_end_matches('/').rfind('/').unwrap_or(0)];
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("./") {
            rest = behind;
        } else {
            return [folder, rest].concat();
        }
    }
}

/// Serves a site, and holds each response against what its file says.
fn hold(name: &str) {
    let text = fs::read_to_string(folder().join(name).with_extension("txt")).unwrap();
    let site = Site::parse(&text);
    let folder = site.write();
    let program = Program::start(serving(folder.path(), &site.flags), 1);
    let mut faults = Vec::new();
    for request in &site.requests {
        let Request { line, method, target, fields, .. } = request;
        let mut client = program.client();
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n"));
        let reply = if *method == "HEAD" { client.reply_without_body() } else { client.reply() };
        let of_this = site.faults(request, &reply);
        if !of_this.is_empty() {
            faults.push(format!("{name}.txt:{line}: {method} {target}: {of_this}"));
        }
    }
    assert!(site.requests.len() > 5, "{name} has {} requests", site.requests.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The sites; each has a test of its own.
const SITES: [&str; 7] =
    ["cloudflare", "docusaurus", "eleventy", "hugo", "mkdocs-material", "netlify", "vite"];

#[test]
fn references_are_resolved_as_clients_do() {
    for (reference, wanted) in [
        ("/x", "/x"),
        ("https://a/b", "https://a/b"),
        ("c/?d", "/a/c/?d"),
        ("./c", "/a/c"),
        ("../c", "/c"),
        ("../../c", "/c"),
    ] {
        assert_eq!(resolved("/a/b?q=/", reference), wanted, "{reference}");
    }
    assert_eq!(resolved("/a/b/", "../b"), "/a/b");
}

#[test]
fn each_site_in_the_folder_has_a_test() {
    let mut found: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, SITES);
}

#[test]
fn cloudflare_site_needs_clean_urls() {
    hold("cloudflare");
}

#[test]
fn docusaurus_site_without_trailing_slashes_needs_clean_urls() {
    hold("docusaurus");
}

#[test]
fn eleventy_site_needs_no_flag() {
    hold("eleventy");
}

#[test]
fn hugo_site_needs_no_flag() {
    hold("hugo");
}

#[test]
fn mkdocs_material_site_needs_no_flag() {
    hold("mkdocs-material");
}

#[test]
fn netlify_site_needs_no_flag() {
    hold("netlify");
}

#[test]
fn vite_app_needs_spa() {
    hold("vite");
}
