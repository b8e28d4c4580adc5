//! Binds the policy to `wit/policy.wit`. The only file that knows wit-bindgen.

#![expect(
    unsafe_code,
    reason = "`generate!` and `export!` expand to the functions of the canonical ABI"
)]

use crate::decide::decide;
use crate::decision;
use exports::innkeeper::policy::policy::{Decision, Guest, Reply, Request};

wit_bindgen::generate!({
    path: "../wit",
    world: "guest",
});

struct Policy;

impl Guest for Policy {
    /// The request line is all that this policy reads.
    fn interests() -> Vec<String> {
        Vec::new()
    }

    fn decide(request: Request) -> Decision {
        match decide(&request.line) {
            decision::Decision::Index(path) => Decision::Index(path),
            decision::Decision::File(path) => Decision::File(path),
            decision::Decision::NotFound => Decision::NotFound,
            decision::Decision::Reply(reply) => Decision::Reply(Reply {
                status: reply.status,
                fields: Vec::new(),
                body: reply.body.into_bytes(),
            }),
        }
    }
}

export!(Policy);
