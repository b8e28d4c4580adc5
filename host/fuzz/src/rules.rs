//! Rules: whatever a file of them says, it is refused in clear lines, or the engine takes it and
//! every decision keeps the contract.
//!
//! The input is the text of `_redirects`, then that of `_headers`, then request lines, each with a
//! field behind a tab if it has one. A NUL stands between the three.

use innkeeper_guest::rules::fault::Faults;
use innkeeper_guest::rules::lint::lint;
use innkeeper_guest::rules::table::{CleanUrls, Place, Spa, Table, TrailingSlash};
use innkeeper_guest::rules::{Problem, Rules, headers_file, redirects_file};
use innkeeper_guest::{Decision, Field, Request};

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
    let data = table.to_data();
    let again = Table::from_data(&data).map(|table| table.to_data());
    assert_eq!(again, Ok(data), "through its data");
    let rules = match Rules::new(&table) {
        Ok(rules) => rules,
        // What no single line tells: too many of them would be held against one path.
        Err(error) if error.problem == Problem::Slow => return,
        Err(error) => panic!("{error:?}: {}", error.problem.text()),
    };
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
        assert_safe(decision);
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

/// Asserts that a decision keeps the rules of `wit/policy.wit`, and that no client is sent to a host
/// that no rule names.
fn assert_safe(decision: Decision) {
    let is_path_of_host = |location: &str| location.starts_with("//");
    assert!(!locations(&decision).any(is_path_of_host), "{decision:?}");
    let shown = format!("{decision:?}");
    let checked = innkeeper::guest::Decision::of_native(decision);
    super::decide::assert_safe(&checked.unwrap_or_else(|refusal| panic!("{refusal:?}: {shown}")));
}

/// Where a decision may send the client.
fn locations(decision: &Decision) -> impl Iterator<Item = &str> {
    let (redirect, serve) = match decision {
        Decision::Redirect(redirect) => (Some(redirect), None),
        Decision::Serve(serve) => (serve.otherwise.as_ref(), Some(serve)),
        _ => (None, None),
    };
    let candidates = serve.into_iter().flat_map(|serve| &serve.candidates);
    let of_redirect = redirect.into_iter().map(|redirect| redirect.location.as_str());
    candidates.filter_map(|candidate| candidate.location.as_deref()).chain(of_redirect)
}
