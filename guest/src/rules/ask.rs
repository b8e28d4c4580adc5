//! One request, as the rules look at it: parsed, decoded and resolved once.

use std::cell::OnceCell;
use std::net::IpAddr;

use super::text::list;
use crate::line::{RequestLine, Target};
use crate::origin::host_of;
use crate::path::{Fault, SitePath};
use crate::{Decision, Request};

/// A request for a path.
pub(super) struct Ask<'r> {
    pub(super) request: &'r Request,
    pub(super) method: &'r str,
    /// The path below the root, decoded, with a `/` at the end of a directory's.
    pub(super) path: String,
    /// Whether the path can name no file. It is then one that patterns with `*` match alone.
    pub(super) names_nothing: bool,
    pub(super) query: Option<&'r str>,
    /// The host in lower case, if a rule reads it.
    pub(super) host: Option<String>,
    /// The port behind the host, if a rule reads the host.
    pub(super) port: Option<u16>,
    client: OnceCell<Option<IpAddr>>,
    referring_host: OnceCell<Option<String>>,
}

/// Forms of the pages of one rewrite at most. A path alone has fewer.
pub(super) const MAX_FORMS: u32 = 20;

/// A path that no file has, for those that name nothing.
const NO_PATH: &str = "\0";

impl<'r> Ask<'r> {
    /// The request, or the decision on one that is malformed, or for no path.
    pub(super) fn new(request: &'r Request, reads_host: bool) -> Result<Ask<'r>, Decision> {
        let default = || crate::decide::decide(request.line());
        let RequestLine { method, target, .. } = request.parse().map_err(|_| default())?;
        let (Target::Origin { path, query } | Target::Absolute { path, query, .. }) = target else {
            return Err(Decision::NotFound);
        };
        let (path, names_nothing) = match SitePath::resolve(path) {
            Ok(path) => {
                let is_private = path.has_dot_file_but(".well-known");
                (path.into_string(), is_private)
            }
            Err(Fault::NamesNothing) => (NO_PATH.to_owned(), true),
            Err(Fault::Escape) => return Err(default()),
        };
        let authority = if reads_host { request.host_of(target) } else { None };
        let host = authority.map(|(host, _)| host.to_ascii_lowercase());
        let port = authority.and_then(|(_, port)| port);
        let (client, referring_host) = (OnceCell::new(), OnceCell::new());
        Ok(Ask { request, method, path, names_nothing, query, host, port, client, referring_host })
    }

    /// The path without a `/` at its end.
    pub(super) fn bare_path(&self) -> &str {
        self.path.strip_suffix('/').unwrap_or(&self.path)
    }

    /// The address of the client, if a rule reads it.
    pub(super) fn client(&self) -> Option<IpAddr> {
        let parse = || self.request.value(":client-address")?.parse().ok();
        *self.client.get_or_init(parse)
    }

    /// The host of the page that led here, in lower case, if the client names one.
    pub(super) fn referring_host(&self) -> Option<&str> {
        let parse = || {
            let given = self.request.values("referer").next()?;
            let host = std::str::from_utf8(given).ok().and_then(host_of)?;
            Some(host.to_ascii_lowercase())
        };
        self.referring_host.get_or_init(parse).as_deref()
    }

    /// Whether the client uses `https`, if a rule reads it.
    pub(super) fn is_https(&self) -> bool {
        self.request.value(":scheme") == Some("https")
    }

    /// Whether the path is that of a directory.
    pub(super) fn is_directory(&self) -> bool {
        is_directory(&self.path)
    }
}

/// All paths that may serve the same page as this one: guards look at each of them, so that no
/// other form of a URL goes around one. With clean URLs they are `a`, `a.html`, `a/index` and
/// `a/index.html`, and otherwise a folder and its index pages. A compressed file is a form of
/// the one that it was made of.
pub(super) fn forms(path: &str, has_clean_urls: bool) -> Vec<String> {
    let mut forms = Vec::new();
    add_forms(&mut forms, path, has_clean_urls);
    forms
}

/// Adds those [`forms`] of a path that are not there yet.
pub(super) fn add_forms(forms: &mut Vec<String>, path: &str, has_clean_urls: bool) {
    let bare = path.strip_suffix('/').unwrap_or(path);
    let has_pages = has_clean_urls || is_directory(path);
    add_forms_of(forms, bare, has_clean_urls, has_pages);
    if let Some(original) = uncompressed(bare) {
        add_forms_of(forms, original, has_clean_urls, has_pages);
    }
}

fn add_forms_of(forms: &mut Vec<String>, path: &str, has_clean_urls: bool, has_pages: bool) {
    // Each is held against all patterns: once is enough.
    let mut add = |form: String| {
        if !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(path.to_owned());
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let page_of = match name.strip_suffix(".html").or(name.strip_suffix(".htm")) {
        Some("index") => Some(folder),
        Some(_) if has_clean_urls => path.rsplit_once('.').map(|(base, _)| base),
        None if has_clean_urls && name == "index" => Some(folder),
        _ => None,
    };
    // A folder may have any name.
    let bases = [page_of, has_pages.then_some(path)];
    for base in bases.into_iter().flatten() {
        let slash = if base.is_empty() { "" } else { "/" };
        add(base.to_owned());
        for page in ["index.html", "index.htm"] {
            add([base, slash, page].concat());
        }
        if has_clean_urls {
            add([base, ".html"].concat());
            add([base, slash, "index"].concat());
        }
    }
}

fn is_directory(path: &str) -> bool {
    path.is_empty() || path.ends_with('/')
}

/// The path of the file of which this one is the compressed form, by its name.
pub(super) fn uncompressed(path: &str) -> Option<&str> {
    [".gz", ".br", ".zst"].iter().find_map(|extension| path.strip_suffix(extension))
}

/// Request fields that a response depends on, for its `vary`.
#[derive(Debug, Default)]
pub(super) struct Vary<'t> {
    names: Vec<&'t str>,
}

impl<'t> Vary<'t> {
    pub(super) fn add(&mut self, name: &'t str) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// The value of the field, if there is one.
    pub(super) fn value(&self) -> Option<String> {
        (!self.names.is_empty()).then(|| list(&self.names))
    }
}
