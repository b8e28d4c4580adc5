//! The script of `innkeeper dev` on pages: a line of HTML is appended to each, which loads them
//! again when the guest or the site changes.

use super::{Body, Content, Response};
use crate::http::Field;

/// What is appended to pages.
#[derive(Clone, Debug)]
pub struct PageScript(Box<[u8]>);

impl PageScript {
    /// Has pages load the loop's script from its administration.
    pub fn new(admin: &str) -> PageScript {
        let admin = admin.trim_end_matches('/');
        PageScript(
            format!("\n<script src=\"{admin}/dev/script.js\"></script>\n").into_bytes().into(),
        )
    }

    /// Appends it, if the answer is a whole page as it is. No browser may keep what it
    /// gets, as the script stands where this run of the server has it.
    pub fn append_to(&self, mut response: Response) -> Response {
        let has = |name: &str, value: &str| {
            response.fields.iter().any(|field| {
                field.name.eq_ignore_ascii_case(name) && field.value.starts_with(value.as_bytes())
            })
        };
        let is_page = has("Content-Type", "text/html");
        if !is_page || has("Content-Encoding", "") || matches!(response.status, 206 | 304) {
            return response;
        }
        response.body = match response.body {
            Body::Empty => Body::Empty,
            Body::Bytes(bytes) => Body::Bytes([&bytes, &self.0[..]].concat()),
            Body::Content { content: Content::Memory(content), range } => {
                Body::Bytes([range.of(&content), &self.0[..]].concat())
            }
            Body::Content { content, range } => {
                Body::Parts { content, parts: vec![(Vec::new(), range)], tail: self.0.to_vec() }
            }
            parts @ Body::Parts { .. } => parts,
        };
        response.fields.retain(|field| !field.name.eq_ignore_ascii_case("cache-control"));
        response.with(Field::fixed("Cache-Control", "no-store"))
    }
}

#[cfg(test)]
mod tests {
    use super::PageScript;
    use super::{Body, Content, Response};
    use crate::http::{ByteRange, Field};
    use crate::in_flight::{FILES, SharedBytes};

    fn page(status: u16, body: Body) -> Response {
        let response = Response { body, ..Response::bare(status) };
        response.with(Field::fixed("Content-Type", "text/html; charset=utf-8"))
    }

    #[test]
    fn whole_pages_alone_get_it() {
        let script = PageScript::new("http://127.0.0.1:1/");
        let range = ByteRange { first: 1, length: 2 };
        let content = SharedBytes::from(b"<a>".as_slice()).send(&FILES);
        let shared = Body::Content { content: Content::Memory(content), range };
        let Body::Bytes(body) = script.append_to(page(200, shared)).body else { panic!("bytes") };
        let appended = "a>\n<script src=\"http://127.0.0.1:1/dev/script.js\"></script>\n";
        assert_eq!(body, appended.as_bytes());
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
