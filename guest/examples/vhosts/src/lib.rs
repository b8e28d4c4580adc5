//! A policy for several sites in one root: each host has the folder of its name.
//!
//! The folders are the list of hosts. A host without a folder is not found.

use innkeeper_guest::{Decision, DefaultPolicy, Policy, Request};

/// The policy.
#[derive(Debug)]
pub struct VirtualHosts;

impl Policy for VirtualHosts {
    const INTERESTS: &'static [&'static str] = &["host"];

    /// The default policy's decision, in the folder of the host. A decision without a
    /// path (a malformed line gets a 400) is the same for all hosts.
    fn decide(request: &Request) -> Decision {
        match (DefaultPolicy::decide(request), request.host().and_then(folder)) {
            (decision, Some(folder)) => decision.beneath(&folder),
            (Decision::Index(_) | Decision::File(_), None) => Decision::NotFound,
            (decision, None) => decision,
        }
    }
}

innkeeper_guest::export!(VirtualHosts);

/// The folder of a host: its name in lower case, without the dot that may end it.
///
/// `None` if it is not a name of the domain name system (RFC 1123, section 2.1).
/// That is stricter than a URL is, and makes the host safe as a folder's name: it has no
/// `/`, and is neither `.` nor `..`.
fn folder(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    // No longer name has an address (RFC 1035, section 2.3.4).
    let is_name = host.len() <= 253 && host.split('.').all(is_label);
    is_name.then(|| host.to_ascii_lowercase())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::{VirtualHosts, folder};
    use innkeeper_guest::Decision;
    use innkeeper_guest::testing::{check, check_cases};

    #[test]
    fn host_has_one_folder_in_all_spellings() {
        for host in
            ["example.org", "EXAMPLE.Org", "example.org:8080", "example.org.", "example.org.:80"]
        {
            let expected = Decision::file("example.org/a.css");
            check::<VirtualHosts>("GET /a.css HTTP/1.1", &[("Host", host)], expected);
        }
        for (host, name) in
            [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("XN--a-1", "xn--a-1")]
        {
            assert_eq!(folder(host).as_deref(), Some(name));
        }
    }

    #[test]
    fn host_that_is_no_dns_name_is_not_found() {
        let long = ["a".repeat(64), "a.".repeat(127) + "a"];
        let hosts = [
            "",
            ".",
            "..",
            "...",
            "../secret",
            "a/b",
            "a..b",
            ".a",
            "a..",
            "-a",
            "a-",
            "a_b",
            "a%2fb",
            "é",
            "a\\b",
            "a b",
            "[::1]",
            "a:b",
            "user@a",
        ];
        for host in hosts.into_iter().chain(long.iter().map(String::as_str)) {
            check::<VirtualHosts>("GET / HTTP/1.1", &[("host", host)], Decision::NotFound);
        }
        assert_eq!(folder(&("a.".repeat(126) + "a")).map(|name| name.len()), Some(253));
    }

    #[test]
    fn path_to_another_host_is_not_found() {
        for target in ["/../other/", "/%2e%2e/other/", "/a/../../other/", "/..%2fother/"] {
            let line = format!("GET {target} HTTP/1.1");
            check::<VirtualHosts>(&line, &[("host", "example.org")], Decision::NotFound);
        }
    }

    #[test]
    fn cases_pass() {
        check_cases::<VirtualHosts>(include_str!("../cases.toml"));
    }
}
