//! Has pages of the site listen to the loop: a line of HTML is appended to each.

use crate::reply::{Body, Field, Reply, Source};

/// What is appended to pages.
#[derive(Clone, Debug)]
pub struct Tail(Box<[u8]>);

impl Tail {
    /// Has pages load the loop's script from its administration.
    pub fn new(admin: &str) -> Tail {
        let admin = admin.trim_end_matches('/');
        Tail(format!("\n<script src=\"{admin}/dev/script.js\"></script>\n").into_bytes().into())
    }

    /// Appends it, if the answer is a whole page as it is. No browser may keep what it
    /// gets, as the script stands where this run of the server has it.
    pub fn append_to(&self, mut reply: Reply) -> Reply {
        let has = |name: &str, value: &str| {
            reply.fields.iter().any(|field| {
                field.name.eq_ignore_ascii_case(name) && field.value.starts_with(value.as_bytes())
            })
        };
        let is_page = has("Content-Type", "text/html");
        if !is_page || has("Content-Encoding", "") || matches!(reply.status, 206 | 304) {
            return reply;
        }
        reply.body = match reply.body {
            Body::Empty => Body::Empty,
            Body::Bytes(bytes) => Body::Bytes([&bytes, &self.0[..]].concat()),
            Body::Shared { content, extent } => {
                Body::Bytes([extent.of(&content), &self.0[..]].concat())
            }
            Body::File { file, extent } => {
                let (source, parts) = (Source::File(file), vec![(Vec::new(), extent)]);
                Body::Parts { source, parts, tail: self.0.to_vec() }
            }
            parts @ Body::Parts { .. } => parts,
        };
        reply.fields.retain(|field| !field.name.eq_ignore_ascii_case("cache-control"));
        reply.with(Field::fixed("Cache-Control", "no-store"))
    }
}

#[cfg(test)]
mod tests {
    use super::Tail;
    use crate::in_flight::{FILES, SharedBytes};
    use crate::reply::{Body, Extent, Field, Reply};

    fn page(status: u16, body: Body) -> Reply {
        let reply = Reply { body, ..Reply::bare(status) };
        reply.with(Field::fixed("Content-Type", "text/html; charset=utf-8"))
    }

    #[test]
    fn whole_pages_alone_get_it() {
        let tail = Tail::new("http://127.0.0.1:1/");
        let extent = Extent { first: 1, length: 2 };
        let content = SharedBytes::from(b"<a>".as_slice()).send(&FILES);
        let shared = Body::Shared { content, extent };
        let Body::Bytes(body) = tail.append_to(page(200, shared)).body else { panic!("bytes") };
        let script = "a>\n<script src=\"http://127.0.0.1:1/dev/script.js\"></script>\n";
        assert_eq!(body, script.as_bytes());
        for untouched in [
            page(206, Body::Bytes(b"x".to_vec())),
            page(200, Body::Bytes(b"x".to_vec())).with(Field::fixed("Content-Encoding", "br")),
            Reply::text(404, "x"),
        ] {
            let length = untouched.body.length();
            assert_eq!(tail.append_to(untouched).body.length(), length);
        }
    }
}
