//! The default policy: it decides on any line, natively and as wasm the same, and names
//! nothing above the root.
//!
//! The input is a request line.

use std::sync::{Arc, OnceLock};

use innkeeper::guest::{
    Candidate, DEFAULT_GUEST, Decision, Engine, Facts, Failure, GuestLimits, LoadedGuest, Page,
};
use innkeeper::http::{Field, Fields};
use innkeeper_guest::Decision as Native;
use tokio::runtime::Runtime;

/// Where all requests come from.
pub const FACTS: Facts<'static> = Facts::plain(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

/// Bytes of the longest line that the host asks about.
const LINE_BYTES: usize = 8 << 10;

/// How often a machine that is busy with others is asked again: a decision that gets no
/// core there misses its deadline, or is not begun.
pub const ATTEMPTS: usize = 20;

/// The default guest, loaded once.
pub fn default_guest() -> Arc<LoadedGuest> {
    static GUEST: OnceLock<Arc<LoadedGuest>> = OnceLock::new();
    Arc::clone(GUEST.get_or_init(|| {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        Arc::new(LoadedGuest::load(&Arc::new(engine), DEFAULT_GUEST).expect("the default guest"))
    }))
}

/// A runtime of one thread.
pub fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(2).build().expect("a runtime")
}

thread_local! {
    static RUNTIME: Runtime = runtime();
}

/// Runs the target.
pub fn run(input: &[u8]) {
    let line = &input[..input.len().min(LINE_BYTES)];
    let native = native(line);
    assert_safe(&native);
    let guest = default_guest();
    let fresh = in_time(|| guest.decide_uncached(line, std::iter::empty(), FACTS));
    assert_eq!(fresh.as_ref(), Ok(&native), "as wasm");
    RUNTIME.with(|runtime| {
        for time in ["first", "then"] {
            let ask = || runtime.block_on(guest.decide(0, line, std::iter::empty(), FACTS));
            let decided = in_time(|| ask().decision);
            assert_eq!(decided.as_deref(), Ok(&native), "{time}, as a worker asks");
        }
    });
}

/// Asks until the machine has time for it.
fn in_time<D>(ask: impl Fn() -> Result<D, Failure>) -> Result<D, Failure> {
    for _ in 1..ATTEMPTS {
        match ask() {
            Err(Failure::Busy | Failure::Deadline) => {}
            decided => return decided,
        }
    }
    ask()
}

/// What the policy decides natively, in the host's words.
fn native(line: &[u8]) -> Decision {
    let serve = |candidate| Decision::Serve {
        candidates: vec![candidate],
        otherwise: None,
        fields: Fields::default(),
    };
    match innkeeper_guest::decide::decide(line) {
        Native::Index(path) => {
            assert!(path.is_empty() || path.ends_with('/'), "{path:?}");
            serve(Candidate::index(path.strip_suffix('/').unwrap_or_default()))
        }
        Native::File(path) => serve(Candidate::file(&path)),
        Native::NotFound => Decision::not_found(),
        Native::Reply(reply) => {
            assert!([400, 505].contains(&reply.status) && reply.fields.is_empty(), "{reply:?}");
            Decision::Reply { status: reply.status, fields: Fields::new(), body: reply.body.into() }
        }
        other => panic!("the default policy does not {other:?}"),
    }
}

/// Asserts that a decision keeps the rules of `wit/policy.wit`, whoever made it.
pub fn assert_safe(decision: &Decision) {
    let fields: &[Field] = match decision {
        Decision::Serve { candidates, otherwise, fields } => {
            assert!(candidates.len() <= 16, "{candidates:?}");
            for candidate in candidates {
                match &candidate.page {
                    Page::Index(path) if path.is_empty() => {}
                    Page::Index(path) | Page::File(path) => assert_below(path),
                }
                let status = candidate.status;
                match candidate.location() {
                    Some(location) => assert_leads(status, location),
                    None => assert!(status == 200 || (400..600).contains(&status), "{status}"),
                }
                assert_fields(candidate.fields(fields));
            }
            if let Some(otherwise) = otherwise {
                assert_leads(otherwise.status, &otherwise.location);
                assert_fields(&otherwise.fields);
            }
            fields
        }
        Decision::Redirect { status, location, fields } => {
            assert_leads(*status, location);
            fields
        }
        Decision::Reply { status, fields, body } => {
            assert!((200..600).contains(status) && body.len() <= 1 << 20, "{status}");
            fields
        }
    };
    assert_fields(fields);
}

/// Asserts that a client may be sent there.
fn assert_leads(status: u16, location: &str) {
    assert!([301, 302, 303, 307, 308].contains(&status), "{status}");
    assert!(!location.is_empty() && location.bytes().all(|byte| byte.is_ascii_graphic()));
    let scheme = location.split(['/', '?', '#']).next().and_then(|all| all.split_once(':'));
    let scheme = scheme.map(|(scheme, _)| scheme.to_ascii_lowercase());
    assert!(matches!(scheme.as_deref(), None | Some("http" | "https")), "{location:?}");
}

/// Asserts that one response may have these.
fn assert_fields(fields: &[Field]) {
    assert!(fields.len() <= 64, "{fields:?}");
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        assert!(super::reference::request::is_token(name.as_bytes()), "{name:?}");
        assert!(!["content-length", "transfer-encoding", "connection", "date"].contains(&&*name));
        assert!(field.value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()));
    }
}

/// Asserts that every name of a path leads down.
fn assert_below(path: &str) {
    assert!(!path.is_empty() && !path.starts_with('/') && !path.contains('\0'), "{path:?}");
    assert!(path.split('/').all(|name| !["", ".", ".."].contains(&name)), "{path:?}");
}
