//! A decision in one line of text, in the words that `innkeeper test` has for it.

use crate::{Candidate, Decision, Field};

/// The decision in words.
pub(super) fn of(decision: &Decision) -> String {
    let (mut text, fields) = match decision {
        Decision::Index(path) => return format!("index {path:?}"),
        Decision::File(path) => return format!("file {path:?}"),
        Decision::NotFound => return "not-found".to_owned(),
        Decision::Serve(serve) => {
            let candidates: Vec<_> = serve.candidates.iter().map(candidate).collect();
            let text = format!("serve {} with status {}", candidates.join(", "), serve.status);
            (text, &serve.fields)
        }
        Decision::Redirect(redirect) => {
            let text = format!("redirect {} to {:?}", redirect.status, redirect.location);
            (text, &redirect.fields)
        }
        Decision::Reply(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            (format!("reply {} {body:?}", reply.status), &reply.fields)
        }
    };
    for Field { name, value } in fields {
        text += &format!(" ({name}: {})", value.escape_ascii());
    }
    text
}

fn candidate(candidate: &Candidate) -> String {
    match candidate {
        Candidate::Index(path) => format!("index {path:?}"),
        Candidate::File(path) => format!("file {path:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::{Candidate, Decision, Redirect, Reply, Serve};

    #[test]
    fn every_kind_has_its_words() {
        assert_eq!(of(&Decision::index("")), r#"index """#);
        assert_eq!(of(&Decision::NotFound), "not-found");
        let serve = Serve::first_of([Candidate::file("a"), Candidate::index("b")]);
        assert_eq!(
            of(&serve.with("vary", "host").into()),
            r#"serve file "a", index "b" with status 200 (vary: host)"#
        );
        assert_eq!(of(&Redirect::new(308, "/a").into()), r#"redirect 308 to "/a""#);
        assert_eq!(of(&Reply::text(400, "no\n").into()), r#"reply 400 "no\n""#);
    }
}
