//! A tour of the contract: a guest that makes every kind of decision once. Start
//! your own from the one that you need.
//!
//! Unlike `hello` it has no native tests: it is all binding. The host's tests
//! (`host/tests/guests.rs`) run it as it is.

#![cfg(target_arch = "wasm32")]
#![expect(
    unsafe_code,
    missing_docs,
    reason = "`generate!` and `export!` expand to the functions of the canonical ABI"
)]

use exports::innkeeper::policy::policy::{
    Candidate, Decision, Field, Guest, Redirect, Reply, Request, Serve,
};

wit_bindgen::generate!({ path: "../../../wit", world: "guest" });

struct Tour;

impl Guest for Tour {
    fn interests() -> Vec<String> {
        vec!["User-Agent".to_owned(), ":client-address".to_owned(), ":scheme".to_owned()]
    }

    fn decide(request: Request) -> Decision {
        let line = String::from_utf8_lossy(&request.line);
        let target = line.split(' ').nth(1).unwrap_or_default();
        match target {
            // The short forms.
            "/" => Decision::Index(String::new()),
            "/hello" => Decision::File("hello.txt".to_owned()),
            "/nowhere" => Decision::NotFound,
            // A clean URL: the first candidate that exists.
            "/docs" => Decision::Serve(Serve {
                candidates: vec![
                    Candidate::File("docs".to_owned()),
                    Candidate::File("docs.html".to_owned()),
                    Candidate::Index("docs".to_owned()),
                ],
                status: 200,
                fields: vec![field("Cache-Control", "max-age=60")],
            }),
            // No candidate exists, and one is a directory.
            "/bare" => Decision::Serve(Serve {
                candidates: vec![
                    Candidate::File("bare".to_owned()),
                    Candidate::File("bare.html".to_owned()),
                ],
                status: 200,
                fields: Vec::new(),
            }),
            // A file with a media type and a lifetime of our own.
            "/typed" => Decision::Serve(Serve {
                candidates: vec![Candidate::File("hello.txt".to_owned())],
                status: 200,
                fields: vec![
                    field("Content-Type", "text/x-typed"),
                    field("Cache-Control", "max-age=60"),
                ],
            }),
            // A page that explains an error, and a media type of our own.
            "/gone" => Decision::Serve(Serve {
                candidates: vec![Candidate::File("hello.txt".to_owned())],
                status: 410,
                fields: vec![field("content-type", "text/x-farewell")],
            }),
            "/old" => Decision::Redirect(Redirect {
                status: 308,
                location: "/new?from=old".to_owned(),
                fields: vec![field("Cache-Control", "no-store")],
            }),
            // What the policy was told of the request.
            "/whoami" => Decision::Reply(Reply {
                status: 200,
                fields: vec![field("Vary", "User-Agent")],
                body: request
                    .fields
                    .iter()
                    .flat_map(|field| [field.name.as_bytes(), b"=", &field.value, b"\n"].concat())
                    .collect(),
            }),
            _ => Decision::Reply(Reply { status: 204, fields: Vec::new(), body: Vec::new() }),
        }
    }
}

fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned(), value: value.as_bytes().to_vec() }
}

export!(Tour);
