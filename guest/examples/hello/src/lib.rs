//! The first server of the notes that innkeeper began with: it answers one fixed
//! page, whatever is asked. The smallest useful guest, and a start for your own.

/// The page.
const PAGE: &str = "<!doctype html>\n<title>Hello</title>\n<h1>Hello, World!</h1>\n";

/// The policy: the body that answers the request with this line.
pub fn decide(_line: &[u8]) -> &'static str {
    PAGE
}

/// Binds the policy to `wit/policy.wit`.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "`export!` expands to the exported functions of the canonical ABI")]
mod component {
    use exports::innkeeper::policy::policy::{Decision, Field, Guest, Reply, Request};

    wit_bindgen::generate!({ path: "../../../wit", world: "guest" });

    struct Policy;

    impl Guest for Policy {
        fn interests() -> Vec<String> {
            Vec::new()
        }

        fn decide(request: Request) -> Decision {
            Decision::Reply(Reply {
                status: 200,
                fields: vec![Field {
                    name: "content-type".to_owned(),
                    value: b"text/html; charset=utf-8".to_vec(),
                }],
                body: super::decide(&request.line).into(),
            })
        }
    }

    export!(Policy);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_request_gets_the_page() {
        for line in ["GET / HTTP/1.1", "GET /any/path?x HTTP/1.1", "nonsense"] {
            assert!(super::decide(line.as_bytes()).contains("<h1>Hello, World!</h1>"));
        }
    }
}
