//! A decision as cases compare and print it.

use innkeeper_cases as cases;

use crate::{Candidate, Decision, Field, Page, Redirect};

/// The same decision, in the terms of `innkeeper_cases`.
pub(crate) fn lend(decision: &Decision) -> cases::Decision<'_> {
    match decision {
        Decision::Index(path) => cases::Decision::page(cases::Page::Index(path)),
        Decision::File(path) => cases::Decision::page(cases::Page::File(path)),
        Decision::NotFound => cases::Decision::NOT_FOUND,
        Decision::Serve(serve) => cases::Decision::Serve {
            candidates: serve.candidates.iter().map(candidate).collect(),
            otherwise: serve.otherwise.as_ref().map(redirect),
            fields: fields(&serve.fields),
        },
        Decision::Redirect(elsewhere) => cases::Decision::Redirect(redirect(elsewhere)),
        Decision::Reply(reply) => cases::Decision::Reply {
            status: reply.status,
            fields: fields(&reply.fields),
            body: &reply.body,
        },
    }
}

fn candidate(candidate: &Candidate) -> cases::Candidate<'_> {
    cases::Candidate {
        page: match &candidate.page {
            Page::Index(path) => cases::Page::Index(path),
            Page::File(path) => cases::Page::File(path),
        },
        status: candidate.status,
        location: candidate.location.as_deref(),
        fields: fields(&candidate.fields),
    }
}

fn redirect(redirect: &Redirect) -> cases::Redirect<'_> {
    cases::Redirect {
        status: redirect.status,
        location: &redirect.location,
        fields: fields(&redirect.fields),
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
                Serve::first_of([
                    Candidate::file("a").status(404).with("x-a", "1"),
                    Candidate::index("b").moved(301, "/b/"),
                ])
                .otherwise(Redirect::new(302, "/c"))
                .with("vary", "host")
                .into(),
                r#"serve file "a" with status 404 (x-a: 1), index "b" moved 301 to "/b/", otherwise redirect 302 to "/c", always (vary: host)"#,
            ),
            (Serve::nothing().into(), "not-found"),
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
