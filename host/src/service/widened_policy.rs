//! The `Content-Security-Policy` of a page, widened for the script of `innkeeper dev`: it comes from
//! the administration, and listens there. All else stays as the site's author wrote it.

/// What lets the script in where a policy has `'strict-dynamic'`, beside which hosts count for
/// nothing.
pub(super) const NONCE: &str = "innkeeper-dev";

/// The value of the field, a list of policies (CSP Level 3, section 3.1), each of which then allows
/// scripts of this origin, and connections to it.
pub(super) fn widened(value: &str, origin: &str) -> String {
    let policies = value.split(',').map(|policy| widened_policy(policy, origin));
    policies.collect::<Vec<_>>().join(", ")
}

fn widened_policy(policy: &str, origin: &str) -> String {
    let directives = policy.split(';').map(str::trim).filter(|directive| !directive.is_empty());
    let mut directives: Vec<_> = directives.map(str::to_owned).collect();
    for names in
        [&["script-src-elem", "script-src", "default-src"][..], &["connect-src", "default-src"]]
    {
        let first = names.iter().find_map(|name| position(&directives, name));
        // Without any of them all is allowed.
        let Some(at) = first else { continue };
        let mut sources = directives[at].split_ascii_whitespace();
        let is_own = sources.next().is_some_and(|name| name.eq_ignore_ascii_case(names[0]));
        let sources: Vec<_> =
            sources.filter(|source| !source.eq_ignore_ascii_case("'none'")).collect();
        let is_strict = names[0] == "script-src-elem"
            && sources.iter().any(|source| source.eq_ignore_ascii_case("'strict-dynamic'"));
        let mut wider = format!("{} {}", names[0], sources.join(" ")).trim_end().to_owned();
        wider.push(' ');
        match is_strict {
            true => wider += &format!("'nonce-{NONCE}'"),
            false => wider += origin,
        }
        match is_own {
            true => directives[at] = wider,
            false => directives.push(wider),
        }
    }
    directives.join("; ")
}

/// The first directive of this name: the one that counts.
fn position(directives: &[String], name: &str) -> Option<usize> {
    directives.iter().position(|directive| {
        let own = directive.split_ascii_whitespace().next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::widened;

    #[test]
    fn script_and_its_connection_are_allowed_and_nothing_else() {
        for (policy, expected) in [
            (
                "default-src 'self'",
                "default-src 'self'; script-src-elem 'self' http://a:1; connect-src 'self' http://a:1",
            ),
            (
                "default-src 'none'; Script-Src 'self' 'unsafe-inline'; connect-src x",
                "default-src 'none'; Script-Src 'self' 'unsafe-inline'; connect-src x http://a:1; \
                 script-src-elem 'self' 'unsafe-inline' http://a:1",
            ),
            ("script-src-elem 'none';", "script-src-elem http://a:1"),
            (
                "script-src 'nonce-x' 'strict-dynamic'",
                "script-src 'nonce-x' 'strict-dynamic'; \
                 script-src-elem 'nonce-x' 'strict-dynamic' 'nonce-innkeeper-dev'",
            ),
            ("frame-ancestors 'none'", "frame-ancestors 'none'"),
            ("img-src *, connect-src 'none'", "img-src *, connect-src http://a:1"),
            ("", ""),
        ] {
            assert_eq!(widened(policy, "http://a:1"), expected, "{policy}");
        }
    }
}
