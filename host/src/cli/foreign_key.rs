//! Keys and tables that other servers have in a site, and what is written here instead.

/// The names, with `_` as with `-`, and what to write.
const NAMES: [(&[&str], &str); 16] = [
    (
        &["server-name", "server-names", "name-server", "names", "domain", "domains", "hostname"],
        "write hosts = [\"example.org\", \"www.example.org\"]",
    ),
    (
        &["hostnames", "alias", "aliases", "server-alias", "address", "addresses"],
        "write all of its names in hosts = [\"example.org\", \"www.example.org\"]",
    ),
    (
        &["document-root", "docroot", "dir", "directory", "path", "folder"],
        "write root = \"path/to/site\"",
    ),
    (&["default-server", "catch-all", "catchall"], "write default = true"),
    (&["index"], "leave it out: index.html is the page of a directory"),
    (
        &["error-page", "error-pages", "errors", "not-found"],
        "leave it out: 404.html in the root is the page for what is not found",
    ),
    (&["try-files", "fallback", "single-page"], "write spa = true in [site.rules]"),
    (
        &["return", "rewrite", "redir", "redirect", "redirects", "location", "locations"],
        "write redirect = [\"/old/* /new/:splat 301\"] in [site.rules]",
    ),
    (
        &["header", "headers", "add-header"],
        "write header = [\"/*: X-Name: value\"] in [site.rules]",
    ),
    (&["autoindex", "browse", "directory-listing"], "write listing = true in [site.files]"),
    (
        &["expires", "cache-control"],
        "write cache-control = [\"*.png=max-age=3600\"] in [site.files]",
    ),
    (
        &["ssl", "ssl-certificate", "cert", "certificates"],
        "write certificate = \"path/to/example.org.pem\" in [site.tls]",
    ),
    (&["ssl-certificate-key", "private-key"], "write key = \"path/to/key.pem\" in [site.tls]"),
    (&["access-log", "error-log"], "write access-file = \"path/to/access.log\" in [site.log]"),
    (
        &["auth-basic", "auth-basic-user-file", "basicauth", "auth"],
        "write basic-auth = [\"/admin/*=path/to/passwords\"] in [site.rules]",
    ),
    (
        &["burst", "rate-limit-burst"],
        "leave it out: a client may burst ten seconds' worth of its rate",
    ),
];

/// What to do instead of writing a key or a table with this name.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    let name = name.replace('_', "-").to_ascii_lowercase();
    let known = NAMES.iter().find(|(names, _)| names.contains(&&*name))?;
    Some(known.1)
}
