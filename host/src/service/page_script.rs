//! The script of `innkeeper dev` on pages: a line of HTML is appended to each, which loads them
//! again when the guest or the site changes. It is also where the loop learns on which requests the
//! guest fails.

use super::widened_policy::{NONCE, widened};
use super::{Body, Content, Response};
use crate::guest::Failure;
use crate::http::Field;

/// What learns how each request ends: its line, why there is no decision, if there is none, and
/// whether the response is a page.
pub type Listener = Box<dyn Fn(&[u8], Option<&Failure>, bool) + Send + Sync>;

/// What is appended to pages.
pub struct PageScript {
    line: Box<[u8]>,
    /// Where the script comes from.
    origin: Box<str>,
    listener: Listener,
}

impl PageScript {
    /// Has pages load the loop's script from its administration.
    pub fn new(admin: &str, listener: Listener) -> PageScript {
        let admin = admin.trim_end_matches('/');
        let line = format!("\n<script src=\"{admin}/dev/script.js\" nonce=\"{NONCE}\"></script>\n");
        PageScript { line: line.into_bytes().into(), origin: admin.into(), listener }
    }

    /// Tells the loop how a request ends.
    pub(super) fn tell(&self, line: &[u8], failure: Option<&Failure>, response: &Response) {
        (self.listener)(line, failure, has(response, "Content-Type", "text/html"));
    }

    /// Appends it, if the answer is a whole page as it is. No browser may keep what it
    /// gets, as the script stands where this run of the server has it.
    pub fn append_to(&self, mut response: Response) -> Response {
        let is_page = has(&response, "Content-Type", "text/html");
        let is_coded = has(&response, "Content-Encoding", "");
        if !is_page || is_coded || matches!(response.status, 206 | 304) {
            return response;
        }
        response.body = match response.body {
            Body::Empty => Body::Empty,
            Body::Bytes(bytes) => Body::Bytes([&bytes, &self.line[..]].concat()),
            Body::Content { content: Content::Memory(content), range } => {
                Body::Bytes([range.of(&content), &self.line[..]].concat())
            }
            Body::Content { content, range } => {
                Body::Parts { content, parts: vec![(Vec::new(), range)], tail: self.line.to_vec() }
            }
            parts @ Body::Parts { .. } => parts,
        };
        let policies = self.policies(&response);
        response.fields.retain(|field| {
            !field.name.eq_ignore_ascii_case("cache-control")
                && !field.name.eq_ignore_ascii_case(POLICY)
        });
        response.fields.extend(policies);
        response.with(Field::fixed("Cache-Control", "no-store"))
    }

    /// The policies of a page, which let the script in.
    fn policies(&self, response: &Response) -> Vec<Field> {
        let fields = response.fields.iter();
        let policies = fields.filter(|field| field.name.eq_ignore_ascii_case(POLICY));
        let wider = policies.map(|field| {
            let policy = String::from_utf8_lossy(&field.value);
            Field::new(POLICY, widened(&policy, &self.origin))
        });
        wider.collect()
    }
}

/// The field that says what a page may load.
const POLICY: &str = "Content-Security-Policy";

/// Whether a response has a field whose value begins like this.
fn has(response: &Response, name: &str, value: &str) -> bool {
    response.fields.iter().any(|field| {
        field.name.eq_ignore_ascii_case(name) && field.value.starts_with(value.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::{Body, Content, Response};
    use super::{POLICY, PageScript};
    use crate::http::{ByteRange, Field};
    use crate::in_flight::{FILES, SharedBytes};

    fn page(status: u16, body: Body) -> Response {
        let response = Response { body, ..Response::bare(status) };
        response.with(Field::fixed("Content-Type", "text/html; charset=utf-8"))
    }

    #[test]
    fn whole_pages_alone_get_it() {
        let script = PageScript::new("http://127.0.0.1:1/", Box::new(|_, _, _| ()));
        let range = ByteRange { first: 1, length: 2 };
        let content = SharedBytes::from(b"<a>".as_slice()).send(&FILES);
        let shared = Body::Content { content: Content::Memory(content), range };
        let Body::Bytes(body) = script.append_to(page(200, shared)).body else { panic!("bytes") };
        let appended = "a>\n<script src=\"http://127.0.0.1:1/dev/script.js\" nonce=\"innkeeper-dev\"></script>\n";
        assert_eq!(body, appended.as_bytes());
        let policy = Field::fixed("content-security-policy", "script-src 'self'");
        let widened = script.append_to(page(200, Body::Bytes(b"x".to_vec())).with(policy));
        let widened = widened.fields.iter().find(|field| field.name == POLICY);
        let expected = "script-src 'self'; script-src-elem 'self' http://127.0.0.1:1";
        assert_eq!(widened.map(|field| &*field.value), Some(expected.as_bytes()));
        for untouched in [
            page(206, Body::Bytes(b"x".to_vec())),
            page(200, Body::Bytes(b"x".to_vec())).with(Field::fixed("Content-Encoding", "br")),
            Response::text(404, "x"),
        ] {
            let length = untouched.body.length();
            assert_eq!(script.append_to(untouched).body.length(), length);
        }
    }
}
