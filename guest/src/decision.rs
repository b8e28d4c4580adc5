//! What a policy may decide: the cases of `decision` in `wit/policy.wit`, with the
//! same names and the same meaning.
//!
//! The contract's rules (which paths, which status, how many fields) are not
//! checked here: the host checks them, and so does `innkeeper check`.

/// How to respond to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve the index page of the directory with this path below the root: `""`
    /// is the root, and a `/` at the end is allowed.
    Index(String),
    /// Serve the file with this path below the root.
    File(String),
    /// There is nothing here.
    NotFound,
    /// Send this response.
    Reply(Reply),
    /// Do the first of several things that is possible, or one with another status or fields.
    Serve(Serve),
    /// Send the client elsewhere.
    Redirect(Redirect),
}

impl Decision {
    /// Serve the index page of this directory.
    pub fn index(path: impl Into<String>) -> Decision {
        Decision::Index(path.into())
    }

    /// Serve this file.
    pub fn file(path: impl Into<String>) -> Decision {
        Decision::File(path.into())
    }

    /// The same decision with one more field of the response, whatever it decides.
    ///
    /// ```
    /// use innkeeper_guest::{Decision, Serve};
    ///
    /// let private = Decision::NotFound.with("x-robots-tag", "noindex");
    /// assert_eq!(private, Serve::nothing().with("x-robots-tag", "noindex").into());
    /// ```
    pub fn with(self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Decision {
        match self {
            Decision::Index(path) => Serve::one(Page::Index(path).into()).with(name, value).into(),
            Decision::File(path) => Serve::one(Page::File(path).into()).with(name, value).into(),
            Decision::NotFound => Serve::nothing().with(name, value).into(),
            Decision::Reply(reply) => reply.with(name, value).into(),
            Decision::Serve(serve) => serve.with(name, value).into(),
            Decision::Redirect(redirect) => redirect.with(name, value).into(),
        }
    }

    /// The same decision in a folder of the site: each path gets the folder before it. A
    /// decision without a path stays the same.
    ///
    /// The folder's name is not checked: it must be one that the contract allows.
    pub fn beneath(self, folder: &str) -> Decision {
        match self {
            Decision::Index(path) => Decision::Index(join(folder, &path)),
            Decision::File(path) => Decision::File(join(folder, &path)),
            Decision::Serve(mut serve) => {
                for candidate in &mut serve.candidates {
                    let (Page::Index(path) | Page::File(path)) = &mut candidate.page;
                    *path = join(folder, path);
                }
                Decision::Serve(serve)
            }
            Decision::NotFound | Decision::Reply(_) | Decision::Redirect(_) => self,
        }
    }
}

fn join(folder: &str, path: &str) -> String {
    [folder, "/", path].concat()
}

/// A page of the site, which may be there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The index page of the directory with this path.
    Index(String),
    /// The regular file with this path.
    File(String),
}

impl Page {
    /// The path, of a directory or of a file.
    pub fn path(&self) -> &str {
        let (Page::Index(path) | Page::File(path)) = self;
        path
    }
}

/// One thing that the host may do: send a page, or send the client elsewhere because that page
/// is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What must be there.
    pub page: Page,
    /// 200; 400 to 599 for a page that explains an error; 301, 302, 303, 307 or 308 with a
    /// location.
    pub status: u16,
    /// Where to send the client instead of the page, escaped.
    pub location: Option<String>,
    /// Fields of the response, if this candidate is chosen.
    pub fields: Vec<Field>,
}

impl Candidate {
    /// The index page of this directory.
    pub fn index(path: impl Into<String>) -> Candidate {
        Candidate::from(Page::Index(path.into()))
    }

    /// This file.
    pub fn file(path: impl Into<String>) -> Candidate {
        Candidate::from(Page::File(path.into()))
    }

    /// The same with the status of an error, which the page explains.
    pub fn status(mut self, status: u16) -> Candidate {
        self.status = status;
        self
    }

    /// A redirect to this location, if the page is there.
    pub fn moved(mut self, status: u16, location: impl Into<String>) -> Candidate {
        self.status = status;
        self.location = Some(location.into());
        self
    }

    /// The same with one more field.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Candidate {
        self.fields.push(Field::new(name, value));
        self
    }
}

impl From<Page> for Candidate {
    /// The page, with status 200.
    fn from(page: Page) -> Candidate {
        Candidate { page, status: 200, location: None, fields: Vec::new() }
    }
}

/// Do the first of several things that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serve {
    /// What to try, in this order; at most sixteen.
    pub candidates: Vec<Candidate>,
    /// Where to send the client if no candidate can be chosen. Without it the response is then
    /// that of [`Decision::NotFound`].
    pub otherwise: Option<Redirect>,
    /// Fields of every response that the host makes of this decision: also of a 404, of the
    /// redirect to a `/`, and of those to other methods.
    pub fields: Vec<Field>,
}

impl Serve {
    /// The first of these whose page is there.
    pub fn first_of(candidates: impl IntoIterator<Item = Candidate>) -> Serve {
        Serve { candidates: candidates.into_iter().collect(), otherwise: None, fields: Vec::new() }
    }

    /// This one, if its page is there.
    pub fn one(candidate: Candidate) -> Serve {
        Serve { candidates: vec![candidate], otherwise: None, fields: Vec::new() }
    }

    /// There is nothing here: [`Decision::NotFound`], to be given fields.
    pub fn nothing() -> Serve {
        Serve { candidates: Vec::new(), otherwise: None, fields: Vec::new() }
    }

    /// The same with this redirect, if no candidate can be chosen.
    pub fn otherwise(mut self, redirect: Redirect) -> Serve {
        self.otherwise = Some(redirect);
        self
    }

    /// The same with one more field of every response.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Serve {
        self.fields.push(Field::new(name, value));
        self
    }
}

impl From<Candidate> for Decision {
    fn from(candidate: Candidate) -> Decision {
        Decision::Serve(Serve::one(candidate))
    }
}

impl From<Serve> for Decision {
    fn from(serve: Serve) -> Decision {
        Decision::Serve(serve)
    }
}

/// Send the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// The target: an `http` or `https` URL or a relative reference, escaped.
    pub location: String,
    /// Further fields of the response.
    pub fields: Vec<Field>,
}

impl Redirect {
    /// Send the client to this location. [`escape`](crate::path::escape) makes one of a path.
    pub fn new(status: u16, location: impl Into<String>) -> Redirect {
        Redirect { status, location: location.into(), fields: Vec::new() }
    }

    /// The same with one more field.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Redirect {
        self.fields.push(Field::new(name, value));
        self
    }
}

impl From<Redirect> for Decision {
    fn from(redirect: Redirect) -> Decision {
        Decision::Redirect(redirect)
    }
}

/// A small response of the policy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599, but not 206, 304 or 416.
    pub status: u16,
    /// Further fields of the response.
    pub fields: Vec<Field>,
    /// The body, at most 1 MiB. Without a `content-type` among the fields it is
    /// sent as `text/plain; charset=utf-8`.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reply with this plain text. With 204 and 205 it must be empty.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, fields: Vec::new(), body: body.into() }
    }

    /// Reply with this HTML page.
    pub fn html(status: u16, page: impl Into<Vec<u8>>) -> Reply {
        Reply::text(status, page).with("content-type", "text/html; charset=utf-8")
    }

    /// The same with one more field.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Reply {
        self.fields.push(Field::new(name, value));
        self
    }
}

impl From<Reply> for Decision {
    fn from(reply: Reply) -> Decision {
        Decision::Reply(reply)
    }
}

/// A header field, of a request or of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name. In a request it is in lower case.
    pub name: String,
    /// Its value, which need not be text.
    pub value: Vec<u8>,
}

impl Field {
    /// A field with this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Field {
        Field { name: name.into(), value: value.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Decision, Redirect, Reply, Serve};

    #[test]
    fn paths_are_beneath_the_folder_and_other_decisions_stay() {
        assert_eq!(Decision::index("").beneath("en"), Decision::index("en/"));
        assert_eq!(Decision::file("a/b.css").beneath("en"), Decision::file("en/a/b.css"));
        let serve = Serve::first_of([Candidate::file("a").status(404), Candidate::index("")]);
        let otherwise = Redirect::new(302, "/a");
        assert_eq!(
            Decision::from(serve.with("vary", "host").otherwise(otherwise.clone())).beneath("en"),
            Serve::first_of([Candidate::file("en/a").status(404), Candidate::index("en/")])
                .with("vary", "host")
                .otherwise(otherwise)
                .into()
        );
        for other in [
            Decision::NotFound,
            Reply::text(200, "a").into(),
            Redirect::new(307, "/a").with("cache-control", "no-store").into(),
        ] {
            assert_eq!(other.clone().beneath("en"), other);
        }
    }
}
