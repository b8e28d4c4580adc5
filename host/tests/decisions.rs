//! What the host makes of decisions: candidates that are there or not, what happens otherwise,
//! and fields that reach every response.

use std::sync::Arc;

use innkeeper::guest::LoadedGuest;
use innkeeper::http2::Http2;
use innkeeper_guest::{Candidate, Decision, Redirect, Reply, Serve};

use crate::as_http2::Http2Wire;
use crate::deciding_guest::deciding;
use crate::fixture::{Setup, Stream, TestServer, engine, write};
use crate::wire::{Wire, play_file};

/// The policy of the conversations in `wire_policy`.
fn policy() -> Vec<(u8, Decision)> {
    let file = Candidate::file;
    let lasting = |candidate: Candidate| candidate.with("Cache-Control", "max-age=60");
    let everywhere = |serve: Serve| {
        let csp = ("Content-Security-Policy", "default-src 'self'");
        Decision::from(serve.with(csp.0, csp.1).with("Vary", "Cookie"))
    };
    let elsewhere = || Redirect::new(302, "/elsewhere").with("Cache-Control", "no-store");
    vec![
        // What tells that a connection can be used again.
        (b'h', Decision::file("hello.txt")),
        (b'f', everywhere(Serve::one(lasting(file("hello.txt"))))),
        (b'i', everywhere(Serve::one(lasting(Candidate::index("docs"))))),
        (b'm', everywhere(Serve::one(lasting(file("missing.txt"))))),
        (b'b', everywhere(Serve::one(lasting(file("bare"))).otherwise(elsewhere()))),
        (b'n', everywhere(Serve::nothing())),
        (b'o', everywhere(Serve::one(file("missing.txt")).otherwise(elsewhere()))),
        (b'O', everywhere(Serve::nothing().otherwise(elsewhere()))),
        (
            b't',
            everywhere(Serve::first_of([
                lasting(file("missing.txt").moved(301, "/wrong")),
                lasting(file("hello.txt").moved(308, "/there?a=<b>")),
                file("range.txt"),
            ])),
        ),
        (b'd', everywhere(Serve::one(file("docs").moved(301, "/wrong")))),
        (
            b'e',
            everywhere(Serve::first_of([
                file("missing.txt"),
                file("hello.txt").status(404).with("Cache-Control", "no-cache"),
            ])),
        ),
        (
            b'c',
            Serve::one(file("hello.txt"))
                .with("Content-Type", "text/x-all")
                .with("Cache-Control", "max-age=60")
                .with("Allow", "BREW")
                .into(),
        ),
        (
            b'C',
            Serve::first_of([file("missing.txt").with("content-type", "text/x-own")])
                .with("Content-Type", "text/x-all")
                .into(),
        ),
        (
            b'w',
            Serve::one(file("hello.txt").with("x-policy", "own").with("Vary", "Accept"))
                .with("X-Policy", "all")
                .with("vary", "Cookie")
                .into(),
        ),
        (b's', everywhere(Serve::one(file("secret.html").status(403)))),
        (b'r', Redirect::new(303, "/new").with("X-Policy", "r").into()),
        (b'p', Reply::text(503, "busy\n").with("Retry-After", "7").into()),
    ]
}

fn server() -> TestServer {
    let guest = LoadedGuest::load(engine(), &deciding(&policy())).unwrap();
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    Setup { guest: Arc::new(guest), http2, ..Setup::default() }.start()
}

fn hold<W: Wire>(wire: impl Fn() -> W) {
    let count = play_file("wire_policy/decisions.txt", wire);
    assert!(count.held > 20 && count.left_out == 0, "{count:?}");
}

#[test]
fn every_conversation_about_decisions_goes_as_written() {
    let server = server();
    hold(|| server.connect());
    // Once more: decisions and responses are kept now.
    hold(|| server.connect());
    hold(|| server.connect_tls());
    hold(|| Http2Wire::over(Stream::tcp(server.address)));
}

#[test]
fn page_for_what_is_not_found_has_the_fields_and_its_own_type() {
    let server = server();
    write(&server.folder.path().join("root/404.html"), b"<p>no</p>\n");
    for target in ["/m", "/n", "/C"] {
        // Kept from the second on.
        for _ in 0..3 {
            let page = server.get(target);
            assert_eq!((page.status(), page.text()), (404, "<p>no</p>\n"), "{target}");
            assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"), "{target}");
            assert_eq!(page.field("cache-control"), None, "{target}");
            let csp = page.field("content-security-policy");
            assert_eq!(csp.is_some(), target != "/C", "{target}");
        }
    }
}

#[test]
fn reasons_to_vary_add_up() {
    let server = server();
    let all = |reply: &crate::fixture::Reply| -> Vec<String> {
        reply.values("vary").map(str::to_ascii_lowercase).collect()
    };
    for _ in 0..3 {
        let reply = server.get("/w");
        let mut reasons = all(&reply);
        // The host's own reason is there if it may compress the file.
        reasons.retain(|reason| reason != "accept-encoding");
        assert_eq!(reasons, ["cookie", "accept"], "{reply:?}");
        assert_eq!(all(&server.get("/b")), ["cookie"]);
        assert_eq!(all(&server.get("/n")), ["cookie, accept"]);
    }
}

#[test]
fn sixteen_candidates_are_tried_in_order() {
    // Those from this one on are there.
    let from = |first: usize| {
        let candidate = |number: usize| {
            let path = if number < first { "missing.txt" } else { "hello.txt" };
            Candidate::file(path).with("X-Number", number.to_string())
        };
        Decision::from(Serve::first_of((0..16).map(candidate)).with("X-All", "a"))
    };
    let seventeen = Serve::first_of((0..17).map(|_| Candidate::file("hello.txt")));
    let decisions = [
        (b'a', from(0)),
        (b'b', from(7)),
        (b'c', from(15)),
        (b'd', from(16)),
        (b'e', seventeen.into()),
    ];
    let guest = LoadedGuest::load(engine(), &deciding(&decisions)).unwrap();
    let server = Setup { guest: Arc::new(guest), ..Setup::default() }.start();
    for (target, status, number) in
        [("/a", 200, Some("0")), ("/b", 200, Some("7")), ("/c", 200, Some("15")), ("/d", 404, None)]
    {
        let reply = server.get(target);
        assert_eq!((reply.status(), reply.field("x-number")), (status, number), "{target}");
        assert_eq!(reply.field("x-all"), Some("a"), "{target}");
    }
    assert_eq!(server.get("/e").status(), 500);
}
