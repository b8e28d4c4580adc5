//! One thing that the host may do of a decision, and what it does otherwise.

use std::fmt;

use innkeeper_guest::contract::adds_up;

use crate::http::{Field, Fields};

/// What must be there. The path is relative, stays below the root and has no empty name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The index page of this directory: `""` is the root, and no path ends in `/`.
    Index(Box<str>),
    /// This file.
    File(Box<str>),
}

/// One thing that the host may do: send a page, or send the client elsewhere because that page
/// is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What must be there.
    pub page: Page,
    /// 200, or a status from 400; with a location that of a redirect.
    pub status: u16,
    /// What few candidates have. Without it, a plain decision is small in the cache.
    extra: Option<Box<Extra>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Extra {
    location: Option<String>,
    own: Fields,
    merged: Fields,
}

/// Where to send the client if no candidate can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otherwise {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// An `http` or `https` URL or a relative reference, in visible ASCII.
    pub location: String,
    /// The fields that the guest gave to this redirect alone.
    pub own: Fields,
    /// Those, and the ones of the whole decision: the fields for the response.
    pub fields: Fields,
}

impl Page {
    /// The path, of a file or of a directory.
    pub fn path(&self) -> &str {
        match self {
            Page::Index(path) | Page::File(path) => path,
        }
    }

    fn lend(&self) -> innkeeper_cases::Page<'_> {
        match self {
            Page::Index(path) => innkeeper_cases::Page::Index(path),
            Page::File(path) => innkeeper_cases::Page::File(path),
        }
    }
}

impl Candidate {
    /// The index page of this directory, with status 200.
    pub fn index(path: &str) -> Candidate {
        Candidate { page: Page::Index(path.into()), status: 200, extra: None }
    }

    /// This file, with status 200.
    pub fn file(path: &str) -> Candidate {
        Candidate { page: Page::File(path.into()), status: 200, extra: None }
    }

    /// A candidate with these fields of its own, in a decision with those fields. They are merged
    /// here, once, and not for each response.
    pub fn new(
        page: Page,
        status: u16,
        location: Option<String>,
        own: Fields,
        of_all: &Fields,
    ) -> Candidate {
        let extra = (location.is_some() || !own.is_empty()).then(|| {
            let merged = merge(&own, of_all);
            Box::new(Extra { location, own, merged })
        });
        Candidate { page, status, extra }
    }

    /// The path of its page.
    pub fn path(&self) -> &str {
        self.page.path()
    }

    /// Where to send the client, if this is a redirect.
    pub fn location(&self) -> Option<&str> {
        self.extra.as_ref()?.location.as_deref()
    }

    /// The fields that the guest gave to this candidate alone.
    pub fn own_fields(&self) -> &[Field] {
        self.extra.as_ref().map_or(&[], |extra| &extra.own)
    }

    /// The fields for the response, if this candidate is chosen of a decision with these fields.
    pub fn fields<'a>(&'a self, of_all: &'a Fields) -> &'a Fields {
        self.extra.as_ref().map_or(of_all, |extra| &extra.merged)
    }

    /// Whether the contract has a short form for it.
    pub(super) fn is_short(&self) -> bool {
        self.status == 200 && self.extra.is_none()
    }

    /// The bytes that it takes in memory besides its own size.
    pub(in crate::guest) fn memory_bytes(&self) -> usize {
        let extra = self.extra.as_ref().map_or(0, |extra| {
            let location = extra.location.as_ref().map_or(0, String::len);
            size_of::<Extra>() + location + memory_bytes(&extra.own, &extra.merged)
        });
        self.path().len() + extra
    }

    pub(super) fn lend(&self) -> innkeeper_cases::Candidate<'_> {
        innkeeper_cases::Candidate {
            page: self.page.lend(),
            status: self.status,
            location: self.location(),
            fields: lend(self.own_fields()),
        }
    }
}

impl Otherwise {
    /// A redirect with these fields of its own, in a decision with those fields.
    pub fn new(status: u16, location: String, own: Fields, of_all: &Fields) -> Otherwise {
        let fields = merge(&own, of_all);
        Otherwise { status, location, own, fields }
    }

    /// The bytes that it takes in memory.
    pub(in crate::guest) fn memory_bytes(&self) -> usize {
        size_of::<Otherwise>() + self.location.len() + memory_bytes(&self.own, &self.fields)
    }

    pub(super) fn lend(&self) -> innkeeper_cases::Redirect<'_> {
        innkeeper_cases::Redirect {
            status: self.status,
            location: &self.location,
            fields: lend(&self.own),
        }
    }
}

/// What the fields of one response take, and what a wire may make of them.
fn memory_bytes(own: &Fields, merged: &Fields) -> usize {
    own.memory_bytes() + merged.memory_bytes() + merged.bytes()
}

/// The fields of one response: its own take the place of those of the whole decision.
pub(super) fn merge(own: &Fields, of_all: &Fields) -> Fields {
    if own.is_empty() {
        return of_all.clone();
    }
    if of_all.is_empty() {
        return own.clone();
    }
    let stays = |field: &&Field| {
        let same_name = |own: &&Field| own.name.eq_ignore_ascii_case(&field.name);
        let adds_up = adds_up(&field.name);
        own.iter().filter(same_name).all(|own| adds_up && own.value != field.value)
    };
    let fields: Vec<_> = of_all.iter().filter(stays).chain(own.iter()).cloned().collect();
    Fields::from(fields).shared()
}

/// Fields as cases compare and print them.
pub(super) fn lend(fields: &[Field]) -> Vec<innkeeper_cases::Field<'_>> {
    fields
        .iter()
        .map(|field| innkeeper_cases::Field { name: &field.name, value: &field.value })
        .collect()
}

/// `index "docs"`, `file "a.css"`
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lend().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Page, merge};
    use crate::http::{Field, Fields};

    fn fields(lines: &[(&'static str, &'static str)]) -> Fields {
        let fields = lines.iter().map(|&(name, value)| Field::fixed(name, value));
        Fields::from(fields.collect::<Vec<_>>()).shared()
    }

    #[test]
    fn own_fields_take_the_place_of_those_of_all() {
        let all = fields(&[("A", "1"), ("b", "1"), ("b", "2"), ("Vary", "host"), ("link", "</x>")]);
        let own = fields(&[("B", "3"), ("a", "4"), ("vary", "cookie"), ("vary", "host")]);
        let merged =
            [("link", "</x>"), ("B", "3"), ("a", "4"), ("vary", "cookie"), ("vary", "host")];
        assert_eq!(merge(&own, &all), fields(&merged));
        let own = fields(&[("set-cookie", "a=1"), ("Link", "</y>")]);
        let all = fields(&[("set-cookie", "b=1"), ("link", "</x>"), ("x", "1")]);
        let merged = [
            ("set-cookie", "b=1"),
            ("link", "</x>"),
            ("x", "1"),
            ("set-cookie", "a=1"),
            ("Link", "</y>"),
        ];
        assert_eq!(merge(&own, &all), fields(&merged));
    }

    #[test]
    fn candidate_without_own_fields_shares_those_of_all() {
        let all = fields(&[("a", "1")]);
        assert!(std::ptr::eq(Candidate::file("x").fields(&all), &all));
        let page = Page::File("x".into());
        let moved = Candidate::new(page, 301, Some("/".to_owned()), Fields::new(), &all);
        assert!(std::ptr::eq(&**moved.fields(&all), &*all), "one list, not a copy");
    }
}
