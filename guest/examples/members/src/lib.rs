//! A policy with a folder for members: clients with a certificate whose name is on a list. For
//! all other paths the default policy decides.

use innkeeper_guest::{Candidate, Decision, DefaultPolicy, Policy, Reply, Request, Serve};

/// The folder for members.
const FOLDER: &str = "members";

/// Their names: the first URI, DNS name or email address in a certificate, or else its common
/// name. The host has verified that an authority of `--tls-client-ca` issued it.
const MEMBERS: [&str; 2] = ["alice@example.org", "build.example.org"];

/// The policy.
#[derive(Debug)]
pub struct Members;

impl Policy for Members {
    const INTERESTS: &'static [&'static str] = &[":client-name"];

    fn decide(request: &Request) -> Decision {
        // By the path that would be served, decoded and resolved, as a URL has many spellings.
        let candidate = match DefaultPolicy::decide(request) {
            Decision::Index(path) if is_for_members(&path) => Candidate::index(path),
            Decision::File(path) if is_for_members(&path) => Candidate::file(path),
            decision => return decision,
        };
        // There is no name on a connection without a verified certificate.
        let is_member = request.value(":client-name").is_some_and(|name| MEMBERS.contains(&name));
        if !is_member {
            return Reply::text(403, "This is for members, who have a certificate.\n")
                .with("cache-control", "no-store")
                .into();
        }
        // No cache that others share may keep it.
        Serve::one(candidate).with("cache-control", "private, no-cache").into()
    }
}

innkeeper_guest::export!(Members);

/// Whether a path is in the folder, or is the folder.
fn is_for_members(path: &str) -> bool {
    path.split('/').next() == Some(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::Members;
    use innkeeper_guest::testing::{check, check_cases};
    use innkeeper_guest::{Decision, Reply};

    #[test]
    fn every_spelling_of_a_path_for_members_is_403_for_others() {
        for target in ["/members", "/members/a", "//members/", "/%6dembers/a", "/a/../members/a"] {
            let line = format!("GET {target} HTTP/1.1");
            let refusal = Reply::text(403, "This is for members, who have a certificate.\n")
                .with("cache-control", "no-store");
            check::<Members>(&line, &[], refusal.clone());
            check::<Members>(&line, &[(":client-name", "mallory@example.org")], refusal);
        }
        check::<Members>("GET /member HTTP/1.1", &[], Decision::file("member"));
    }

    #[test]
    fn cases_pass() {
        check_cases::<Members>(include_str!("../cases.toml"));
    }
}
