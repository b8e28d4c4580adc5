//! Each rule finds what breaks it, in a small tree.

use super::source::Source;
use super::{MEDIAN_LINES, MOST_LINES, Rule, faults};

/// Files, each as its path and its text.
type Tree = &'static [(&'static str, &'static str)];

fn tree(files: Tree) -> Source {
    Source::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
}

#[track_caller]
fn check(files: Tree, expected: &[&str]) {
    let faults = faults(&tree(files), &[]);
    let faults: Vec<_> =
        faults.iter().map(|fault| fault.split(['{', '[']).next().unwrap()).collect();
    let faults: Vec<_> = faults.iter().map(|fault| fault.trim()).collect();
    assert_eq!(faults, expected);
}

#[test]
fn use_against_the_direction_is_found() {
    check(
        &[("service.rs", "use crate::guest::Guest;"), ("guest/mod.rs", "pub struct Guest;")],
        &[],
    );
    check(
        &[("guest/mod.rs", "use crate::service::S;"), ("service.rs", "pub struct S;")],
        &["Direction: guest → service"],
    );
    check(
        &[("guest/run.rs", "fn f() { warn!(x = crate::files::find()) }"), ("files.rs", "")],
        &["Direction: guest → files"],
    );
    check(
        &[("service/respond.rs", "pub use super::super::transport::T;"), ("transport.rs", "")],
        &["Direction: service → transport"],
    );
}

#[test]
fn leaf_that_uses_more_than_leaves_is_found() {
    check(&[("log/mod.rs", "use crate::text;"), ("text.rs", "")], &[]);
    check(
        &[("log/mod.rs", "use crate::http::Fields;"), ("http.rs", "")],
        &["Direction: log → http"],
    );
}

#[test]
fn http_that_uses_a_leaf_is_found() {
    check(&[("http/date.rs", "use crate::clock;"), ("clock.rs", "")], &["Direction: http → clock"]);
}

#[test]
fn unknown_module_is_found() {
    check(&[("server.rs", ""), ("text.rs", ""), ("lib.rs", "")], &[]);
    check(
        &[("server.rs", "use crate::util;"), ("util.rs", "")],
        &["Direction: server → util", "Module: util"],
    );
}

#[test]
fn circle_of_files_is_found() {
    check(
        &[
            ("files/mod.rs", "mod a; mod b;"),
            ("files/a.rs", "use super::b::B; pub struct A;"),
            ("files/b.rs", "pub struct B(super::a::A);"),
        ],
        &["Circle: files/a.rs → files/b.rs", "Circle: files/b.rs → files/a.rs"],
    );
    // Also one with the file of the module.
    check(
        &[
            ("files/mod.rs", "mod a; use a::A; pub struct Files(A);"),
            ("files/a.rs", "use super::Files; pub struct A;"),
        ],
        &["Circle: files/a.rs → files/mod.rs", "Circle: files/mod.rs → files/a.rs"],
    );
}

#[test]
fn module_that_passes_names_on_is_no_part_of_a_circle() {
    check(
        &[
            ("files/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("files/a.rs", "pub struct A;"),
            ("files/b.rs", "use crate::files::{self, A}; pub struct B(A, files::A);"),
        ],
        &[],
    );
    // But one that uses them itself.
    check(
        &[
            ("files/mod.rs", "mod b; pub use b::B; pub struct C(B);"),
            ("files/b.rs", "use crate::files; pub struct B(files::C);"),
        ],
        &["Circle: files/b.rs → files/mod.rs", "Circle: files/mod.rs → files/b.rs"],
    );
}

#[test]
fn tests_comments_and_strings_are_left_out() {
    check(
        &[
            ("guest/mod.rs", "/// `crate::files`\n#[cfg(test)] mod tests { use crate::files::F; }"),
            (
                "guest/a.rs",
                "// crate::files\nconst A: &str = \"crate::files\"; #[cfg(test)] mod b;",
            ),
            ("guest/a/b.rs", "use crate::files::F;"),
            ("files.rs", "pub struct F;"),
        ],
        &[],
    );
}

#[test]
fn text_and_names_out_of_place_are_found() {
    check(&[("http1/head.rs", r#"const A: &str = "HTTP/1.1 \r\n";"#)], &[]);
    check(
        &[("service/respond.rs", r#"const A: &[u8] = b"HTTP/1.1 \r\n";"#)],
        &[r"Spelled: HTTP/1 in service/respond.rs", r"Spelled: \r\n in service/respond.rs"],
    );
    check(
        &[("guest/engine.rs", "wasmtime::component::bindgen!({});")],
        &["Named: bindgen in guest/engine.rs"],
    );
    check(
        &[("guest/a.rs", "use super::bindings::exports::innkeeper::policy; fn exports() {}")],
        &["Named: exports::innkeeper in guest/a.rs"],
    );
    check(&[("server.rs", "fn f() { TcpStream::connect(a); }")], &["Named: connect in server.rs"]);
}

#[test]
fn file_that_is_too_long_is_found() {
    let check = |lengths: &[usize], expected: &[&str]| {
        let text = |lines| ("//\n").repeat(lines);
        let files = lengths.iter().enumerate();
        let files = files.map(|(at, &lines)| (format!("text/{at}.rs"), text(lines)));
        let faults = faults(&Source::of(files), &[]);
        assert_eq!(faults.iter().map(|fault| fault.trim()).collect::<Vec<_>>(), expected);
    };
    check(&[1, MOST_LINES, 1], &[]);
    check(&[1, MOST_LINES + 1, 1], &["Lines: text/1.rs"]);
    check(&[MEDIAN_LINES, 1, MEDIAN_LINES + 1], &[]);
    check(&[MEDIAN_LINES + 1, 1, MEDIAN_LINES + 1], &["Lines: median"]);
}

#[test]
fn exception_holds_until_it_is_not_needed() {
    let exceptions = [(Rule::Direction, "log → http", "a test")];
    let uses = tree(&[("log.rs", "use crate::http::Fields;"), ("http.rs", "")]);
    assert!(faults(&uses, &exceptions).is_empty());
    let uses_no_more = tree(&[("log.rs", ""), ("http.rs", "")]);
    assert_eq!(faults(&uses_no_more, &exceptions).len(), 1);
    let circle = [(Rule::Circle, "text.rs → log.rs", "a test")];
    let files = tree(&[
        ("log.rs", "use crate::text::B; struct A;"),
        ("text.rs", "use crate::log::A; struct B;"),
    ]);
    assert!(faults(&files, &circle).is_empty());
    assert_eq!(faults(&files, &[]).len(), 2);
}
