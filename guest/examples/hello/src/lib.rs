//! The smallest guest, and a start for your own: its response to every request is the
//! same page.

use innkeeper_guest::{Decision, Policy, Reply, Request};

/// The page.
const PAGE: &str = "<!doctype html>\n<title>Hello</title>\n<h1>Hello, World!</h1>\n";

/// The policy.
#[derive(Debug)]
pub struct Hello;

impl Policy for Hello {
    fn decide(_: &Request) -> Decision {
        Reply::html(200, PAGE).into()
    }
}

innkeeper_guest::export!(Hello);

#[cfg(test)]
mod tests {
    use super::{Hello, PAGE};
    use innkeeper_guest::Reply;
    use innkeeper_guest::testing::{check, check_cases};

    #[test]
    fn every_request_gets_the_page() {
        for line in ["GET / HTTP/1.1", "GET /any/path?x HTTP/1.1", "nonsense"] {
            check::<Hello>(line, &[], Reply::html(200, PAGE));
        }
    }

    #[test]
    fn cases_pass() {
        check_cases::<Hello>(include_str!("../cases.toml"));
    }
}
