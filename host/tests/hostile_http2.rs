//! Sends the frames in `hostile_http2/*.txt` to a server, and judges all that comes.
//!
//! Each is something that only HTTP/2 can express: frames that break its rules, states of streams
//! that are not to be, header blocks that do not decode, requests that no other version can hold;
//! and a few that look like it and are honest. What a text may hold is told in [`case`].

mod case;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use innkeeper::http2::Http2;

use crate::corpus;
use crate::fixture::{Setup, Stream, TestServer, site, write};
use crate::hostile::Cut;
use crate::http2_client::{ERRORS, Http2Client, PREFACE, Response, frame, kind, setting, settings};
use case::{Case, End, Expected, Outcome};

/// A request that is responded to unless what came before it took the connection away.
const HONEST: &str = "/honest.txt";
const HONEST_CONTENT: &[u8] = b"honest\n";

/// After which nothing more is to come.
const SILENCE: Duration = Duration::from_secs(4);

fn corpus() -> Vec<Case> {
    corpus::load("hostile_http2", 150)
}

fn start() -> TestServer {
    let folder = site();
    write(&folder.path().join("root").join(HONEST.trim_start_matches('/')), HONEST_CONTENT);
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    Setup { folder, http2, ..Setup::default() }.start()
}

/// Sends a case, cut so, and gives what came.
fn send(server: &TestServer, case: &Case, cut: Cut) -> Result<Expected, String> {
    let mut client = Http2Client::silent(Stream::tcp(server.address));
    let settings = settings(&[(setting::HEADER_TABLE_SIZE, 0)]);
    let raw = [PREFACE, &frame(kind::SETTINGS, 0, 0, &settings), &case.raw].concat();
    for piece in cut.pieces(&raw) {
        client.send(piece);
    }
    client.stream().socket().set_read_timeout(Some(SILENCE)).unwrap();
    let honest = (case.last_stream + 1) | 1;
    let is_open = case.expected.end == End::Open;
    if is_open {
        let fields =
            [(":method", "GET"), (":scheme", "http"), (":authority", "honest"), (":path", HONEST)];
        client.send_headers(honest, &fields, true);
    }
    let is_over = |client: &Http2Client<_>| {
        let is_there = |stream: &u32| client.responses.get(stream).is_some_and(Response::is_over);
        let mut streams = case.expected.streams.iter().filter(|(_, (_, must_come))| *must_come);
        is_open && is_there(&honest) && streams.all(|(stream, _)| is_there(stream))
    };
    let mut end = End::Open;
    while !is_over(&client) {
        match client.try_step() {
            Ok(Some(_)) => {}
            Ok(None) => {
                end = End::Closed;
                break;
            }
            Err(_) => break,
        }
    }
    if let Some(response) = client.responses.remove(&honest)
        && (response.status != 200 || response.body != HONEST_CONTENT)
    {
        return Err(format!("the next request gets {response:?}"));
    }
    if let Some((code, _, _)) = &client.goaway {
        end = End::Goaway(ERRORS[*code as usize].to_owned());
    }
    let streams = client.responses.into_iter().filter_map(outcome).collect();
    Ok(Expected { streams, end })
}

fn outcome((stream, response): (u32, Response)) -> Option<(u32, (Outcome, bool))> {
    let outcome = match (response.status, response.reset) {
        // A response that ends so lets the client stop to send (RFC 9113, section 8.1).
        (status @ 1.., None | Some(0)) if response.is_whole => Outcome::Status(status),
        (_, Some(code)) => Outcome::Reset(ERRORS[code as usize].to_owned()),
        // It does not end, as the connection does.
        _ => return None,
    };
    Some((stream, (outcome, true)))
}

/// Whether what came is what the case expects.
fn judge(case: &Case, came: &Expected) -> Result<(), String> {
    let wanted = wanted(&case.expected, came);
    match *came == wanted || case.others.iter().any(|other| *came == self::wanted(other, came)) {
        true => Ok(()),
        false => Err(format!("expected {wanted:?}\n  came     {came:?}")),
    }
}

/// What is expected, with what may come or not as it came.
fn wanted(expected: &Expected, came: &Expected) -> Expected {
    let mut wanted = BTreeMap::new();
    for (stream, (outcome, must_come)) in &expected.streams {
        if *must_come || came.streams.contains_key(stream) {
            wanted.insert(*stream, (outcome.clone(), true));
        }
    }
    Expected { streams: wanted, end: expected.end.clone() }
}

/// Checks all cases, several at a time, and tells of all that do not hold.
fn check_each(check: impl Fn(&Case) -> Result<(), String> + Sync) {
    let cases = corpus();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(what) = check(case) {
                        failures.lock().unwrap().push(format!("{}\n  {what}", case.name));
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

#[test]
fn hostile_frames_get_what_http2_says() {
    let server = start();
    check_each(|case| judge(case, &send(&server, case, Cut::Whole)?));
}

#[test]
fn hostile_frames_get_the_same_however_they_are_split() {
    let server = start();
    check_each(|case| {
        for cut in [Cut::Bytes, Cut::Random(1), Cut::Random(0x9e37_79b9)] {
            judge(case, &send(&server, case, cut)?).map_err(|what| format!("{cut:?}: {what}"))?;
        }
        Ok(())
    });
}

/// The judge is tried on itself: what goes wrong is noticed.
#[test]
fn case_that_goes_wrong_is_noticed() {
    let server = start();
    let judged = |text: &str| {
        let cases = corpus::read::<Case>("test", text).unwrap();
        judge(&cases[0], &send(&server, &cases[0], Cut::Whole)?)
    };
    let get = "# case\n> GET 1 /hello.txt\n";
    assert_eq!(judged(&format!("{get}= 1:200 open")), Ok(()));
    assert_eq!(judged(&format!("{get}= 1:200 3:404? open")), Ok(()));
    for wrong in ["= 1:404 open", "= open", "= 1:200 3:200 open", "= 1:CANCEL open", "= closed"] {
        assert!(judged(&format!("{get}{wrong}")).is_err(), "{wrong}");
    }
    assert_eq!(judged(&format!("{get}= 1:404 open\n= 1:200 open")), Ok(()));
    assert!(judged(&format!("{get}= 1:404 open\n= open")).is_err());
    let bad = "# case\n> PING 1 - 12345678\n";
    assert_eq!(judged(&format!("{bad}= goaway PROTOCOL_ERROR")), Ok(()));
    for wrong in ["= open", "= closed", "= goaway NO_ERROR", "= 1:200 goaway PROTOCOL_ERROR"] {
        assert!(judged(&format!("{bad}{wrong}")).is_err(), "{wrong}");
    }
    for text in ["# case\n> GET", "# case\n> NONE 1\n= open", "# case\n= 1:WHAT open"] {
        assert!(corpus::read::<Case>("test", text).is_err(), "{text}");
    }
}
