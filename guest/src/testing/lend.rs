//! A decision as cases compare and print it.

use innkeeper_cases as cases;

use crate::{Candidate, Decision, Field, Serve};

/// The same decision, in the terms of `innkeeper_cases`.
pub(super) fn lend(decision: &Decision) -> cases::Decision<'_> {
    let one = |candidate| cases::Decision::Serve {
        candidates: vec![candidate],
        status: 200,
        fields: Vec::new(),
    };
    match decision {
        Decision::Index(path) => one(cases::Candidate::Index(path)),
        Decision::File(path) => one(cases::Candidate::File(path)),
        Decision::NotFound => cases::Decision::NotFound,
        Decision::Serve(Serve { candidates, status, fields: added }) => cases::Decision::Serve {
            candidates: candidates.iter().map(candidate).collect(),
            status: *status,
            fields: fields(added),
        },
        Decision::Redirect(redirect) => cases::Decision::Redirect {
            status: redirect.status,
            location: &redirect.location,
            fields: fields(&redirect.fields),
        },
        Decision::Reply(reply) => cases::Decision::Reply {
            status: reply.status,
            fields: fields(&reply.fields),
            body: &reply.body,
        },
    }
}

fn candidate(candidate: &Candidate) -> cases::Candidate<'_> {
    match candidate {
        Candidate::Index(path) => cases::Candidate::Index(path),
        Candidate::File(path) => cases::Candidate::File(path),
    }
}

fn fields(fields: &[Field]) -> Vec<cases::Field<'_>> {
    fields.iter().map(|Field { name, value }| cases::Field { name, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::lend;
    use crate::{Candidate, Decision, Redirect, Reply, Serve};

    #[test]
    fn every_decision_has_its_words() {
        for (decision, words) in [
            (Decision::index(""), r#"index """#),
            (Decision::index("d/"), r#"index "d""#),
            (Decision::file("f"), r#"file "f""#),
            (Decision::NotFound, "not-found"),
            (
                Serve::first_of([Candidate::file("a"), Candidate::index("b")])
                    .status(404)
                    .with("vary", "host")
                    .into(),
                r#"serve file "a", index "b" with status 404 (vary: host)"#,
            ),
            (
                Redirect::new(308, "/a").with("cache-control", "no-store").into(),
                r#"redirect 308 to "/a" (cache-control: no-store)"#,
            ),
            (Reply::text(400, "no\n").with("x-a", "1").into(), r#"reply 400 "no\n" (x-a: 1)"#),
        ] {
            assert_eq!(lend(&decision).to_string(), words);
        }
    }
}
