//! Each rule of the contract, broken and kept.

use innkeeper_guest::contract::HOST_FIELDS;

use super::{
    Candidate, Decision, Field, Fields, Refusal, Unchecked, UncheckedCandidate, UncheckedPage,
    UncheckedRedirect, is_location,
};

fn field(name: &str, value: &str) -> Field {
    Field { name: name.to_owned().into(), value: value.as_bytes().to_vec().into() }
}

fn reply(status: u16, fields: Vec<Field>, body: &[u8]) -> Unchecked {
    Unchecked::Reply { status, fields, body: body.to_vec() }
}

fn serve(candidates: Vec<UncheckedCandidate>) -> Unchecked {
    Unchecked::Serve { candidates, otherwise: None, fields: Vec::new() }
}

fn file(path: &str) -> UncheckedCandidate {
    let page = UncheckedPage::File(path.to_owned());
    UncheckedCandidate { page, status: 200, location: None, fields: Vec::new() }
}

fn redirect(status: u16, location: &str, fields: Vec<Field>) -> UncheckedRedirect {
    UncheckedRedirect { status, location: location.to_owned(), fields }
}

#[test]
fn short_form_is_a_serve() {
    let one = |candidate| {
        Ok(Decision::Serve {
            candidates: vec![candidate],
            otherwise: None,
            fields: Fields::default(),
        })
    };
    let check = Decision::check;
    let index = |path: &str| check(Unchecked::Index(path.to_owned()));
    assert_eq!(index(""), one(Candidate::index("")));
    assert_eq!(index("docs"), one(Candidate::index("docs")));
    assert_eq!(index("docs/"), one(Candidate::index("docs")));
    let file = check(Unchecked::File("a/b.css".to_owned()));
    assert_eq!(file, one(Candidate::file("a/b.css")));
    assert_eq!(check(Unchecked::NotFound), check(serve(Vec::new())));
}

#[test]
fn path_that_leaves_the_root_is_refused() {
    for path in ["", "/", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", "a\0b"] {
        let refusal = Err(Refusal::Path(path.to_owned()));
        assert_eq!(Decision::check(Unchecked::File(path.to_owned())), refusal);
        assert_eq!(Decision::check(serve(vec![file("x"), file(path)])), refusal);
    }
    for path in ["/", "//", "/docs", "docs//", "../", "a/./"] {
        let decision = Decision::check(Unchecked::Index(path.to_owned()));
        assert!(matches!(decision, Err(Refusal::Path(_))), "{path:?}: {decision:?}");
    }
}

#[test]
fn statuses_that_do_not_fit_are_refused() {
    for status in [0, 99, 100, 101, 199, 206, 304, 416, 600, 65535] {
        assert_eq!(Decision::check(reply(status, Vec::new(), b"")), Err(Refusal::Status(status)));
    }
    let one = |status, location: Option<&str>| {
        let location = location.map(str::to_owned);
        Decision::check(serve(vec![UncheckedCandidate { status, location, ..file("x") }]))
    };
    for status in [0, 100, 201, 204, 206, 300, 304, 412, 416, 600] {
        assert_eq!(one(status, None), Err(Refusal::Status(status)));
        assert_eq!(one(status, Some("/")), Err(Refusal::LocationOfPage(status)));
    }
    for status in [301, 302, 303, 307, 308] {
        assert_eq!(one(status, None), Err(Refusal::NoLocation(status)));
        assert!(one(status, Some("/")).is_ok());
        let location = "javascript:alert(1)";
        let refusal = Err(Refusal::Location(location.to_owned()));
        assert_eq!(one(status, Some(location)), refusal);
    }
    for status in [200, 400, 404, 410, 503, 599] {
        assert!(one(status, None).is_ok());
        assert_eq!(one(status, Some("/")), Err(Refusal::LocationOfPage(status)));
    }
    for status in [200, 300, 304, 305, 306, 399] {
        let redirect = redirect(status, "/", Vec::new());
        let otherwise = Unchecked::Serve {
            candidates: Vec::new(),
            otherwise: Some(redirect.clone()),
            fields: Vec::new(),
        };
        for decision in [Unchecked::Redirect(redirect), otherwise] {
            assert_eq!(Decision::check(decision), Err(Refusal::Status(status)));
        }
    }
    assert_eq!(Decision::check(reply(204, Vec::new(), b"x")), Err(Refusal::Body(1)));
}

#[test]
fn candidates_are_counted() {
    let many = |count| Decision::check(serve((0..count).map(|_| file("x")).collect()));
    assert!(many(16).is_ok());
    assert_eq!(many(17), Err(Refusal::Candidates(17)));
}

#[test]
fn fields_cannot_split_a_response() {
    for value in ["a\r\nSet-Cookie: x", "a\n", "\0", "\u{7f}"] {
        assert_eq!(
            Decision::check(reply(200, vec![field("x-a", value)], b"")),
            Err(Refusal::FieldValue("x-a".to_owned()))
        );
    }
    for name in ["", "a b", "a:", "a\r\nb", "\u{e9}"] {
        assert_eq!(
            Decision::check(reply(200, vec![field(name, "x")], b"")),
            Err(Refusal::FieldName(name.to_owned()))
        );
    }
    assert!(Decision::check(reply(200, vec![field("x-a", "a\tb \u{e9}")], b"")).is_ok());
}

#[test]
fn framing_is_the_hosts() {
    assert!(HOST_FIELDS.is_sorted(), "it is searched by halves");
    for name in ["Content-Length", "transfer-encoding", "CONNECTION", "Date", "eTag"] {
        assert_eq!(
            Decision::check(reply(200, vec![field(name, "1")], b"")),
            Err(Refusal::HostField(name.to_owned()))
        );
    }
    assert!(Decision::check(reply(201, vec![field("Location", "/a")], b"")).is_ok());
}

/// A decision with these fields of a candidate, of `otherwise` and of all responses.
fn with(own: Vec<Field>, otherwise: Vec<Field>, fields: Vec<Field>) -> Unchecked {
    Unchecked::Serve {
        candidates: vec![UncheckedCandidate { fields: own, ..file("x") }],
        otherwise: Some(redirect(302, "/", otherwise)),
        fields,
    }
}

#[test]
fn fields_are_checked_wherever_they_stand() {
    for (name, refusal) in [
        ("location", Refusal::HostField("location".to_owned())),
        ("ETag", Refusal::HostField("ETag".to_owned())),
        ("a b", Refusal::FieldName("a b".to_owned())),
    ] {
        let wrong = || vec![field(name, "/")];
        for decision in [
            with(wrong(), Vec::new(), Vec::new()),
            with(Vec::new(), wrong(), Vec::new()),
            with(Vec::new(), Vec::new(), wrong()),
        ] {
            assert_eq!(Decision::check(decision), Err(refusal.clone()));
        }
    }
}

#[test]
fn response_has_a_bounded_number_of_fields() {
    let many = |name: &str, count: usize| vec![field(name, "b"); count];
    for (own, otherwise, fields, is_ok) in [
        (64, 64, 0, true),
        (32, 32, 32, true),
        (33, 0, 32, false),
        (0, 33, 32, false),
        (65, 0, 0, false),
    ] {
        let decision = with(many("x", own), many("x", otherwise), many("a", fields));
        assert_eq!(Decision::check(decision).is_ok(), is_ok, "{own} {otherwise} {fields}");
    }
    // Those that give way do not count.
    assert!(Decision::check(with(many("a", 64), Vec::new(), many("A", 64))).is_ok());
    let large = || vec![field("a", &"b".repeat(9 << 10))];
    let other = vec![field("x", &"b".repeat(9 << 10))];
    assert_eq!(Decision::check(with(large(), Vec::new(), other)), Err(Refusal::Fields));
    assert!(Decision::check(with(large(), large(), Vec::new())).is_ok());
}

#[test]
fn sizes_have_bounds() {
    let many = (0..65).map(|_| field("a", "b")).collect();
    assert_eq!(Decision::check(reply(200, many, b"")), Err(Refusal::Fields));
    let large = vec![field("a", &"b".repeat(16 << 10))];
    assert_eq!(Decision::check(reply(200, large, b"")), Err(Refusal::Fields));
    let body = vec![0; (1 << 20) + 1];
    assert_eq!(Decision::check(reply(200, Vec::new(), &body)), Err(Refusal::Body(body.len())));
}

#[test]
fn location_is_a_path_or_an_http_url() {
    for location in
        ["/", "a", "../a?b=c:d", "#x", "?a:b", "http://h/", "HTTPS://h:1/a:b", "//h/a", "/a:b"]
    {
        assert!(is_location(location), "{location:?}");
    }
    for location in [
        "",
        "javascript:alert(1)",
        "JavaScript:x",
        "data:text/html,x",
        "a:b",
        "ftp://h/",
        "/a b",
        "/a\r\nSet-Cookie: x",
        "/\u{e9}",
        ":x",
    ] {
        assert!(!is_location(location), "{location:?}");
    }
}
