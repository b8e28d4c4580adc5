//! Rules: whatever a file of them says, it is refused in clear lines, or the engine takes it and
//! every decision keeps the contract.
//!
//! The input is the text of `_redirects`, then that of `_headers`, then request lines, each with a
//! field behind a tab if it has one. A NUL stands between the three.

use innkeeper_guest::rules::fault::Faults;
use innkeeper_guest::rules::lint::lint;
use innkeeper_guest::rules::table::{CleanUrls, Place, Spa, Table, TrailingSlash};
use innkeeper_guest::rules::{Rules, headers_file, redirects_file};
use innkeeper_guest::{Candidate, Decision, Field, Redirect, Request};

/// Bytes of what a person is told of one rule.
const SENTENCE_BYTES: usize = 800;

/// Runs the target.
pub fn run(input: &[u8]) {
    let mut parts = input.splitn(3, |&byte| byte == 0);
    let (redirects, headers) = (parts.next().unwrap_or(b""), parts.next().unwrap_or(b""));
    let routes = redirects_file::parse(redirects, 0).map_err(|faults| assert_told(&faults));
    let headers = headers_file::parse(headers, 1).map_err(|faults| assert_told(&faults));
    let mut table = Table {
        sources: vec!["_redirects".to_owned(), "_headers".to_owned()],
        routes: routes.unwrap_or_default(),
        headers: headers.unwrap_or_default(),
        hidden: vec!["_redirects".to_owned(), "_headers".to_owned()],
        country_field: Some("country".to_owned()),
        ..Table::default()
    };
    // The same rules with a site's usual ones, by what there is.
    let place = Place::default();
    if !input.len().is_multiple_of(3) {
        let (page, pattern) = ("index.html".to_owned(), "/*".to_owned());
        table.spa = Some(Spa { place, page, pattern });
    }
    let forms = [TrailingSlash::Never, TrailingSlash::Always, TrailingSlash::Either];
    if let Some(&trailing_slash) = forms.get(input.len() % 4) {
        table.clean_urls = Some(CleanUrls { place, trailing_slash });
    }
    assert_eq!(Table::from_data(&table.to_data()).as_ref(), Ok(&table), "through its data");
    let rules = Rules::new(&table);
    let rules = rules.unwrap_or_else(|error| panic!("{error:?}: {}", error.problem.text()));
    for finding in lint(&table) {
        assert_sentence(&finding.shown(&table.sources).to_string());
    }
    for line in parts.next().unwrap_or(b"").split(|&byte| byte == b'\n') {
        let mut words = line.splitn(2, |&byte| byte == b'\t');
        let line = words.next().unwrap_or(b"");
        let field = words.next().and_then(|field| str::from_utf8(field).ok()?.split_once(": "));
        let mut fields = vec![Field::new("host", "a.example"), Field::new(":scheme", "https")];
        fields.extend(field.map(|(name, value)| Field::new(name, value)));
        let request = Request::new(line, fields);
        let decision = rules.decide(&request);
        assert_eq!(rules.decide(&request), decision, "again");
        assert_eq!(rules.explain(&request).0, decision, "explained");
        assert_safe(&decision);
    }
}

/// What is told of a file that is refused.
fn assert_told(faults: &Faults) {
    assert!(faults.count() > 0 && !faults.first().is_empty(), "{faults:?}");
    for fault in faults.first() {
        assert_sentence(&fault.shown(&["_redirects", "_headers"]).to_string());
    }
}

/// What a person is told: something, on one line, that is not too long.
fn assert_sentence(text: &str) {
    assert!(!text.is_empty() && text.len() <= SENTENCE_BYTES, "{} bytes: {text}", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

/// Asserts that a decision keeps the rules of `wit/policy.wit`.
fn assert_safe(decision: &Decision) {
    match decision {
        Decision::Index(path) => assert_below(path),
        Decision::File(path) => assert_below(path),
        Decision::NotFound => {}
        Decision::Redirect(redirect) => assert_leads(redirect),
        Decision::Reply(reply) => assert_fields(&reply.fields, &[]),
        Decision::Serve(serve) => {
            assert!(serve.candidates.len() <= 16, "{serve:?}");
            for Candidate { page, status, location, fields } in &serve.candidates {
                match page {
                    innkeeper_guest::Page::Index(path) | innkeeper_guest::Page::File(path) => {
                        assert_below(path);
                    }
                }
                match location {
                    Some(location) => {
                        assert_leads(&Redirect::new(*status, location.as_str()));
                    }
                    None => assert!(
                        matches!(status, 200 | 400..=411 | 413..=415 | 417..=599),
                        "{status}"
                    ),
                }
                assert_fields(fields, &serve.fields);
            }
            assert_fields(&serve.fields, &[]);
            serve.otherwise.iter().for_each(assert_leads);
        }
    }
}

/// Asserts that every name of a path leads down.
fn assert_below(path: &str) {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_name = |name: &str| !["", ".", ".."].contains(&name) && !name.contains('\0');
    assert!(path.is_empty() || path.split('/').all(is_name), "{path:?}");
}

/// Asserts that a client may be sent there.
fn assert_leads(redirect: &Redirect) {
    let Redirect { status, location, fields } = redirect;
    assert!([301, 302, 303, 307, 308].contains(status), "{status}");
    assert!((1..=8192).contains(&location.len()), "{} bytes", location.len());
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
    // Never to a host that no rule names.
    assert!(!location.starts_with("//"), "{location:?}");
    let scheme = location.split(['/', '?', '#']).next().and_then(|all| all.split_once(':'));
    let scheme = scheme.map(|(scheme, _)| scheme.to_ascii_lowercase());
    assert!(matches!(scheme.as_deref(), None | Some("http" | "https")), "{location:?}");
    assert_fields(fields, &[]);
}

/// Asserts that one response may have these.
fn assert_fields(fields: &[Field], more: &[Field]) {
    assert!(fields.len() + more.len() <= 64, "{fields:?}");
    for field in fields.iter().chain(more) {
        let name = field.name.to_ascii_lowercase();
        assert!(super::reference::request::is_token(name.as_bytes()), "{name:?}");
        assert!(!["content-length", "transfer-encoding", "connection", "date"].contains(&&*name));
        assert!(field.value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()));
    }
}
