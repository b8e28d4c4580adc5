//! Sends the requests in `hostile/*.txt` to a server, and judges all that it answers.
//!
//! Each is a request that somebody sends who wants two readers of it to disagree, a
//! file that is not for him, or a server that hangs, and a few that look like it and
//! are honest. What its text may hold is told in [`case`].

mod answers;
mod case;
mod cut;
mod over_http2;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use innkeeper::http::Peer;
use innkeeper::http1::Limits;
use innkeeper::http1::head::Head;
use innkeeper::http1::scan::Scanner;
use innkeeper::http2::Http2;
use innkeeper_guest::Decision;

use crate::as_http2::for_tls;
use crate::corpus;
use crate::fixture::{Client, Setup, TestServer, site, write};
use answers::{Answer, take_apart};
use case::{Case, Then};
pub use cut::Cut;

/// A request that is answered unless the one before it took it away. It names a file
/// that no case names.
const HONEST: &[u8] = b"GET /honest.txt HTTP/1.1\r\nHost: honest\r\nConnection: close\r\n\r\n";
const HONEST_CONTENT: &[u8] = b"honest\n";

/// What stands in the file beside the root.
const SECRET: &[u8] = b"outside-secret";

fn corpus() -> Vec<Case> {
    corpus::load("hostile", 300)
}

/// A server with links that lead out of its root, when its files are old enough to
/// have tags.
fn start() -> TestServer {
    start_with(Http2::default())
}

/// The same, with HTTP/2 as told.
fn start_with(http2: Http2) -> TestServer {
    let folder = site();
    let root = folder.path().join("root");
    write(&root.join("honest.txt"), HONEST_CONTENT);
    symlink("../outside.txt", root.join("link.txt")).unwrap();
    symlink(folder.path().join("outside.txt"), root.join("absolute-link.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    make_old(&root);
    let server = Setup { folder, http2, ..Setup::default() }.start();
    let began = Instant::now();
    while server.get("/honest.txt").field("etag").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it gets no tag");
    }
    server
}

/// Sets the time of modification of all files to a day in 2001: one that is younger
/// than a second has no date yet.
fn make_old(folder: &Path) {
    let modified = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            make_old(&entry.path());
        } else if kind.is_file() {
            let file = File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(modified).unwrap();
        }
    }
}

/// Checks all cases, several at a time, and tells of all that do not hold.
fn check_each(cases: &[Case], check: impl Fn(&Case) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = catch_unwind(AssertUnwindSafe(|| check(case)));
                    let outcome = outcome.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
                    if let Err(what) = outcome {
                        let sent = shown(&case.raw);
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}\n  sent {sent}\n  {what}", case.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_unstable();
    let (failed, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{failed} of {all} cases fail\n\n{}", failures.join("\n\n"));
}

/// The beginning of some bytes, for people.
fn shown(bytes: &[u8]) -> String {
    let rest = bytes.len().saturating_sub(300);
    let more = if rest > 0 { format!("… and {rest} more") } else { String::new() };
    format!("{}{more}", bytes[..bytes.len() - rest].escape_ascii())
}

/// Sends bytes, ends our half, and gives the answers. The error tells what is wrong
/// with their form.
fn ask(server: &TestServer, case: &Case, raw: &[u8], cut: Cut) -> Result<Vec<Answer>, String> {
    ask_over(server.connect(), case, raw, cut)
}

/// The same over a client's connection.
fn ask_over(mut client: Client, case: &Case, raw: &[u8], cut: Cut) -> Result<Vec<Answer>, String> {
    for piece in cut.pieces(raw) {
        client.send_if_open(piece);
    }
    client.half_close_if_open();
    let (came, reset) = client.read_to_end();
    if reset {
        return Err(format!("{cut:?}: the connection was reset behind {}", shown(&came)));
    }
    take_apart_safely(case, &came).map_err(|what| format!("{cut:?}: {what}"))
}

/// Takes apart what came, which must hold no secret.
fn take_apart_safely(case: &Case, came: &[u8]) -> Result<Vec<Answer>, String> {
    let wrong = |what: &str| format!("{what}\n  came {}", shown(came));
    if came.windows(SECRET.len()).any(|window| window == SECRET) {
        return Err(wrong("the file outside is shown"));
    }
    if came.len() > case.bytes {
        return Err(wrong(&format!("{} bytes came, at most {} may", came.len(), case.bytes)));
    }
    let is_to_head = |nth: usize| match case.expected.answers.get(nth) {
        Some(answer) => answer.to_head,
        // What follows may make an answer of what gets none alone.
        None => nth == 0 && case.line().starts_with(b"HEAD "),
    };
    take_apart(came, is_to_head).map_err(|what| wrong(&what))
}

/// Whether these are the answers that the case expects.
fn judge(case: &Case, answers: &[Answer]) -> Result<(), String> {
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    let wanted: Vec<_> = case.expected.answers.iter().map(|answer| answer.status).collect();
    let then = match answers.last() {
        Some(answer) if !answer.closes() => Then::Open,
        _ => Then::Closed,
    };
    let is_then = [then, Then::Either].contains(&case.expected.then);
    if !case.expected.are(&statuses) || !is_then {
        let expected = case.expected.then;
        return Err(format!("expected {wanted:?} {expected:?}\n  came     {statuses:?} {then:?}"));
    }
    if let Some(allowed) = &case.allowed {
        let first = statuses.first().map_or("close".to_owned(), u16::to_string);
        if !allowed.contains(&first) {
            return Err(format!("{first} is not among what is allowed: {allowed:?}"));
        }
    }
    let Some(first) = answers.first() else { return Ok(()) };
    for (name, value) in &case.fields {
        if first.field(name) != Some(value) {
            return Err(format!("{name} is {:?}, not {value}", first.field(name)));
        }
    }
    for name in &case.absent {
        if let Some(value) = first.field(name) {
            return Err(format!("{name} is {value}, and should not be there"));
        }
    }
    Ok(())
}

/// Whether the first answer's content is that of the file that the case names.
fn judge_content(server: &TestServer, case: &Case, answers: &[Answer]) -> Result<(), String> {
    let Some(file) = &case.content else { return Ok(()) };
    let content = fs::read(server.root().join(file)).unwrap();
    match answers.first() {
        Some(first) if first.content == content => Ok(()),
        _ => Err(format!("the first answer is not {file}: {answers:?}")),
    }
}

#[test]
fn every_hostile_request_gets_its_answer() {
    let server = start();
    check_each(&corpus(), |case| {
        let answers = ask(&server, case, &case.raw, Cut::Whole)?;
        judge(case, &answers)?;
        judge_content(&server, case, &answers)?;
        if answers.is_empty() {
            // The server waits for the rest, as long as `limits` says.
            return Ok(());
        }
        // It closes by itself, or goes on when the client does.
        let mut client = server.connect();
        client.send_if_open(&case.raw);
        let mut left = case.expected.answers.iter();
        let mut is_open = true;
        for expected in left.by_ref() {
            let Some(reply) = client.try_reply(!expected.to_head) else {
                is_open = false;
                match expected.may_be_missing {
                    true => break,
                    false => return Err("it closed early".to_owned()),
                }
            };
            is_open = reply.field("connection") != Some("close");
        }
        if is_open {
            client.send(HONEST);
            let honest = client.reply();
            if honest.body != HONEST_CONTENT {
                return Err(format!("the next request is not answered: {honest:?}"));
            }
        }
        client.expect_closed();
        Ok(())
    });
}

/// Each is sent whole, and in pieces that are records of their own.
#[test]
fn every_hostile_request_gets_its_answer_over_tls() {
    let server = start();
    check_each(&corpus(), |case| {
        for (cut, behind) in [(Cut::Whole, &b""[..]), (Cut::Random(7), b""), (Cut::Whole, HONEST)] {
            let client = server.connect_tls();
            let mut answers = ask_over(client, case, &[&for_tls(&case.raw), behind].concat(), cut)?;
            let at = case.expected.answers.len();
            if answers.get(at).is_some_and(|answer| answer.content == HONEST_CONTENT) {
                // That it is there where it must be is shown without TLS.
                answers.truncate(at);
            }
            let is_rest = case.expected.answers.is_empty() || case.lacks_body;
            if behind.is_empty() || !is_rest {
                judge(case, &answers).map_err(|what| format!("{cut:?}: {what}"))?;
                judge_content(&server, case, &answers)?;
            }
        }
        Ok(())
    });
}

#[test]
fn no_answer_depends_on_how_its_request_arrives() {
    let server = start();
    check_each(&corpus(), |case| {
        let settled = |cut| -> Result<Vec<_>, String> {
            let answers = ask(&server, case, &case.raw, cut)?;
            judge(case, &answers).map_err(|what| format!("{cut:?}: {what}"))?;
            let settle = |answer: Answer| {
                let mut answer = answer.settled();
                let is_kept =
                    |name: &str| name != "Connection" || case.expected.then != Then::Either;
                answer.fields.retain(|(name, _)| is_kept(name));
                answer
            };
            Ok(answers.into_iter().map(settle).collect())
        };
        let whole = settled(Cut::Whole)?;
        let is_settled = !case.expected.answers.iter().any(|answer| answer.may_be_missing);
        for cut in [Cut::Bytes, Cut::Random(1), Cut::Random(0x9e37_79b9), Cut::Random(0xdead_beef)]
        {
            let cut_up = settled(cut)?;
            if is_settled && cut_up != whole {
                return Err(format!("whole    {whole:?}\n  {cut:?} {cut_up:?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn nothing_is_smuggled_behind_a_hostile_request() {
    let server = start();
    check_each(&corpus(), |case| {
        let raw = [&case.raw, HONEST].concat();
        for cut in [Cut::Whole, Cut::Random(7)] {
            let mut answers = ask(&server, case, &raw, cut)?;
            let is_honest = |answer: &Answer| answer.content == HONEST_CONTENT;
            if case.expected.answers.is_empty() || case.lacks_body {
                // It is the rest of a request that had not ended.
                let is_begun = !case.line().is_empty();
                if is_begun && answers.iter().any(is_honest) {
                    return Err(format!("{cut:?}: the rest of a request was answered as one"));
                }
                continue;
            }
            let at = case.expected.answers.len();
            let goes_on = answers.get(at - 1).is_some_and(|answer| !answer.closes());
            if goes_on {
                let honest = answers.pop().filter(is_honest);
                let honest = honest.ok_or_else(|| format!("{cut:?}: the next is not answered"))?;
                if honest.status != 200 || !honest.closes() {
                    return Err(format!("{cut:?}: the next is answered {honest:?}"));
                }
            }
            judge(case, &answers).map_err(|what| format!("{cut:?}: {what}"))?;
        }
        Ok(())
    });
}

/// A decision in the words of the corpus. The error tells what no decision on bytes
/// from the net may be.
fn told(decision: &Decision) -> Result<String, String> {
    let checked = |kind: &str, path: &str| {
        let is_name = |name: &str| {
            !["", ".", ".."].contains(&name)
                && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
        };
        let names = path.strip_suffix('/').unwrap_or(path);
        match names.is_empty() || names.split('/').all(is_name) {
            true => Ok(format!("{kind} {path}").trim_end().to_owned()),
            false => Err(format!("it names {path:?}")),
        }
    };
    match decision {
        Decision::Index(path) => checked("index", path),
        Decision::File(path) => checked("file", path),
        Decision::NotFound => Ok("not-found".to_owned()),
        Decision::Reply(reply) => Ok(reply.status.to_string()),
        Decision::Serve(_) | Decision::Redirect(_) => Err(format!("it decides {decision:?}")),
    }
}

/// Whether the host asks a guest about this line.
fn is_asked(line: &[u8]) -> bool {
    let head = [line, b"\r\nHost: h\r\n\r\n"].concat();
    let limits = Limits::default();
    let peer = Peer::new([127, 0, 0, 1].into(), 0);
    let scanned = Scanner::default().scan(&head, &limits);
    scanned.is_ok_and(|extent| extent.is_some()) && Head::parse(&head, &limits, peer, None).is_ok()
}

#[test]
fn the_guest_alone_names_nothing_above_the_root() {
    let cases = corpus();
    let marked = cases.iter().filter(|case| case.guest.is_some()).count();
    assert!(marked >= 100, "only {marked} cases are marked");
    check_each(&cases, |case| {
        let line = case.line();
        let decision = told(&innkeeper_guest::decide::decide(line))?;
        let Some(guest) = &case.guest else { return Ok(()) };
        if decision != guest.decision {
            return Err(format!("expected {}\n  decided  {decision}", guest.decision));
        }
        if guest.is_asked != is_asked(line) {
            return Err(format!("the guest is asked: {}", !guest.is_asked));
        }
        // What the client is told must be what the guest meant.
        let status = case.expected.answers.first().map(|answer| answer.status);
        let (kind, _) = decision.split_once(' ').unwrap_or((&decision, ""));
        let is_compatible = !guest.is_asked
            || match kind {
                "index" | "file" => status != Some(400),
                "not-found" => status.is_some_and(|status| [204, 404, 405, 501].contains(&status)),
                refused => status == refused.parse().ok(),
            };
        match is_compatible {
            true => Ok(()),
            false => Err(format!("{decision} does not go with {status:?}")),
        }
    });
}

/// The judge is tried on itself: what goes wrong is noticed.
#[test]
fn a_case_that_goes_wrong_is_noticed() {
    let server = start();
    let request = "> GET /hello.txt HTTP/1.1\n> Host: a\n>\n";
    let judged = |text: &str| {
        let cases = corpus::read::<Case>("itself", &format!("# itself\n{text}")).unwrap();
        let answers = ask(&server, &cases[0], &cases[0].raw, Cut::Whole)?;
        judge(&cases[0], &answers)?;
        judge_content(&server, &cases[0], &answers)
    };
    assert_eq!(judged(&format!("{request}= 200 open\nbody hello.txt")), Ok(()));
    assert_eq!(judged(&format!("{request}{request}= 200 200 open\nallowed 200")), Ok(()));
    assert_eq!(judged(&format!("{request}= 200 404? open")), Ok(()));
    for text in [
        "= 404 open",
        "= 200 closed",
        "= closed",
        "= 200 200 open",
        "= 404? open",
        "= HEAD:200 open",
        "= 200 open\nbytes 10",
        "= 200 open\nbody empty.txt",
        "= 200 open\nfield ETag: other",
        "= 200 open\nno field Content-Length",
        "= 200 open\nallowed 404 close",
    ] {
        assert!(judged(&format!("{request}{text}")).is_err(), "nothing was noticed in {text:?}");
    }
    write(&server.root().join("shown.txt"), SECRET);
    assert!(judged("> GET /shown.txt HTTP/1.1\n> Host: a\n>\n= 200 open").is_err());
    for text in [
        "= 2x0 open",
        "= 200",
        "= 200? 200 open",
        "? 200",
        "= 200 open\n= 200 open",
        ">* x y\n= closed",
    ] {
        assert!(
            corpus::read::<Case>("itself", &format!("# itself\n> a\n{text}")).is_err(),
            "{text:?}"
        );
    }
    assert!(told(&Decision::File("../a".to_owned())).is_err());
    assert!(told(&Decision::Index("a//".to_owned())).is_err());
}
