//! The table of rules: what a rules file, flags, `_redirects` and `_headers` all become.
//!
//! The host makes it, and hands it to the guest as data in the form of postcard. Texts are as they
//! were written: patterns and templates are checked by their parsers, and compiled when the
//! guest is configured. Where a rule stands is no part of the data: equal rules are one guest,
//! whichever files and lines they are from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// All rules of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Where rules come from, as messages name it: `rules.toml`, `site/_redirects`, `--header`.
    #[serde(skip)]
    pub sources: Vec<String>,
    /// Who may come in. Their order means nothing: what refuses a client counts first, and it must
    /// be let in by one rule of each pattern that has rules to let clients in. Networks and
    /// referers are two lists.
    pub access: Vec<Access>,
    /// Methods that are allowed; all if it is empty. Others get 405.
    pub methods: Option<Methods>,
    /// The site is closed for a while.
    pub maintenance: Option<Maintenance>,
    /// Paths that need a password. The first whose pattern matches decides.
    pub passwords: Vec<Passwords>,
    /// Origins that may read responses.
    pub cors: Vec<Cors>,
    /// Redirects, rewrites and error pages. In order: the first that matches decides.
    pub routes: Vec<Route>,
    /// URLs without the extension of a page.
    pub clean_urls: Option<CleanUrls>,
    /// The page of an app that routes in the browser.
    pub spa: Option<Spa>,
    /// Fields of responses. All that match add up, later ones of one name beside earlier ones.
    pub headers: Vec<Header>,
    /// Names in the root that are never served, such as `_redirects`.
    pub hidden: Vec<String>,
    /// The request field that names the client's country, in lower case; a proxy writes it.
    pub country_field: Option<String>,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index of [`Table::sources`].
    pub source: u16,
    /// The line, counted from 1; 0 in a source without lines, such as a flag.
    pub line: u32,
}

impl Place {
    /// The place in words, `_redirects:12`, with the names of the table's sources.
    pub fn shown<'s, S: AsRef<str>>(self, sources: &'s [S]) -> impl fmt::Display + 's {
        fmt::from_fn(move |f| {
            let source = sources.get(usize::from(self.source)).map_or("rules", AsRef::as_ref);
            match self.line {
                0 => f.write_str(source),
                line => write!(f, "{source}:{line}"),
            }
        })
    }
}

/// Whether a client is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The paths that it is about.
    pub pattern: String,
    /// Whether what it goes by is let in, and nothing else on these paths, or gets 403.
    pub allow: bool,
    /// What it goes by.
    pub by: AccessBy,
}

/// What an access rule goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessBy {
    /// Every client.
    All,
    /// Clients in these networks: `192.0.2.0/24`, `2001:db8::/32`, `192.0.2.1`.
    Networks(Vec<String>),
    /// Requests from pages of these hosts, by `Referer`: `example.org`, `*.example.org`. An empty
    /// text stands for requests without the field.
    Referers(Vec<String>),
}

/// The methods that are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Methods {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// In upper case: `GET`, `HEAD`.
    pub allowed: Vec<String>,
}

/// The site is closed: 503 with `Retry-After`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The page below the root that is shown, if one is.
    pub page: Option<String>,
    /// Seconds until a client should come again.
    pub retry_after_s: u32,
    /// Clients in these networks pass.
    pub pass_networks: Vec<String>,
    /// Clients with this cookie pass: its name and its value.
    pub pass_cookie: Option<(String, String)>,
    /// From this second on (Unix time), if from a time on. Needs the fact `:time/60`.
    pub from_s: Option<u64>,
    /// Before this second (Unix time), if it ends by itself.
    pub until_s: Option<u64>,
}

/// Paths that need a password (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passwords {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The paths that it is about.
    pub pattern: String,
    /// What the client is asked for.
    pub realm: String,
    /// Lines of `innkeeper password`: `name:$pbkdf2-sha256$…`.
    pub users: Vec<String>,
}

/// Origins that may read responses (the Fetch standard, "CORS protocol").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The paths that it is about.
    pub pattern: String,
    /// Origins: `https://app.example`, `https://*.example`, or `*` for all.
    pub origins: Vec<String>,
    /// Methods that are allowed beyond GET, HEAD and POST.
    pub methods: Vec<String>,
    /// Request fields that are allowed; `*` for all.
    pub request_fields: Vec<String>,
    /// Response fields that scripts may read.
    pub exposed_fields: Vec<String>,
    /// Whether requests with credentials are allowed. Not with `*`.
    pub credentials: bool,
    /// Seconds for which a preflight may be kept.
    pub max_age_s: Option<u32>,
}

/// A redirect, a rewrite or an error page: a line of `_redirects`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// `http` or `https`, if the rule is about one of them.
    pub scheme: Option<String>,
    /// The host, in lower case and without a port, if the rule is about one.
    pub host: Option<String>,
    /// The pattern of paths: `/a/:name/*`.
    pub from: String,
    /// Parameters that the query must have, in the order in which they stand.
    pub query: Vec<QueryMatch>,
    /// Further conditions; all of them must hold.
    pub conditions: Vec<Condition>,
    /// Where to: a path with `:name` and `:splat`, or a URL with them. With a fragment or a query
    /// if it has one.
    pub to: String,
    /// 301, 302, 303, 307 or 308 for a redirect, 200 for a rewrite, 400 to 599 for the page of an
    /// error.
    pub status: u16,
    /// Whether it holds although there is a file (`!`).
    pub force: bool,
}

/// A parameter that the query must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryMatch {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: QueryValue,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryValue {
    /// This one.
    Exactly(String),
    /// Any; the placeholder of this name gets it.
    Placeholder(String),
}

/// A condition of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// The client prefers one of these languages, by `Accept-Language`: `en`, `de-at`. In lower
    /// case.
    Language(Vec<String>),
    /// The client is in one of these countries: `at`, `us`. In lower case.
    Country(Vec<String>),
    /// The client has one of these cookies, by name.
    Cookie(Vec<String>),
}

/// URLs without the extension of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanUrls {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The form to which the other forms lead.
    pub trailing_slash: TrailingSlash,
}

/// The form of a URL that a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrailingSlash {
    /// `/about`; `/about/` and `/about.html` lead there.
    Never,
    /// `/about/`; `/about` and `/about.html` lead there.
    Always,
    /// Both forms serve the page `about.html`, and `/about.html` too. A folder's index page is at
    /// `/about/`, and `/about` leads there, so that its links are right.
    Either,
}

/// The page of an app that routes in the browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spa {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// The page below the root: `index.html`.
    pub page: String,
    /// The paths that it is about: `/*`.
    pub pattern: String,
}

/// Fields of responses: a block of `_headers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Where the rule stands.
    #[serde(skip)]
    pub place: Place,
    /// `http` or `https`, if the rule is about one of them.
    pub scheme: Option<String>,
    /// The host, in lower case and without a port, if the rule is about one.
    pub host: Option<String>,
    /// The pattern of paths: `/assets/*`. `*` stands for any characters, also between others.
    pub pattern: String,
    /// What becomes of the fields, in order.
    pub changes: Vec<FieldChange>,
    /// The responses that get them.
    pub responses: Responses,
}

/// Which responses a rule about fields is for. Each kind has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Responses {
    /// Files, with status 200.
    Files,
    /// Files and pages of errors, such as the site's `404.html`, as Netlify and Cloudflare Pages have
    /// it. Not redirects of rules, and no client that is refused. Fields about a file itself or about
    /// how long it may be kept are for status 200 alone.
    Pages,
    /// Every response.
    Every,
}

/// What becomes of a response field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldChange {
    /// It is added. The value may have `:name` and `:splat`.
    Add {
        /// Its name, as it was written.
        name: String,
        /// Its value.
        value: String,
    },
    /// What earlier rules added under this name is taken away (`! Name`).
    Remove {
        /// Its name, as it was written.
        name: String,
    },
}

/// Why data is not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTable;

impl Header {
    /// Whether the change at this index or one behind it adds a field of this name.
    pub(super) fn adds_behind(&self, at: usize, name: &str) -> bool {
        self.changes.iter().skip(at).any(|later| {
            matches!(later, FieldChange::Add { name: other, .. }
                if other.eq_ignore_ascii_case(name))
        })
    }
}

impl Table {
    /// The table in the form in which the guest gets it: without places and the names of sources.
    pub fn to_data(&self) -> Vec<u8> {
        // It writes to memory, and every type has a length.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// The table that the host wrote. Its places are the default.
    pub fn from_data(data: &[u8]) -> Result<Table, NoTable> {
        postcard::from_bytes(data).map_err(|_| NoTable)
    }
}

#[cfg(test)]
mod tests {
    use super::{NoTable, Place, Spa, Table};

    #[test]
    fn data_is_the_table_without_places() {
        let table = |sources: &[&str], place| {
            let (page, pattern) = ("index.html".to_owned(), "/*".to_owned());
            let spa = Some(Spa { place, page, pattern });
            let sources = sources.iter().map(|&source| source.to_owned()).collect();
            Table { sources, spa, ..Table::default() }
        };
        let data = table(&["a", "b.toml"], Place { source: 1, line: 300 }).to_data();
        assert_eq!(Table::from_data(&data), Ok(table(&[], Place::default())));
        assert_eq!(table(&["c"], Place { source: 0, line: 7 }).to_data(), data);
        assert_eq!(Table::from_data(b"\xff"), Err(NoTable));
    }
}
