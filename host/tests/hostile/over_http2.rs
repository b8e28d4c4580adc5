//! The corpus over HTTP/2: what has a meaning there gets the same response, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;

use innkeeper::http2::Http2;

use super::case::Case;
use super::{HONEST_CONTENT, SECRET, check_each, corpus, start_with};
use crate::as_http2::{Message, Own, next_message, reply, send};
use crate::fixture::{Stream, TestServer};
use crate::http2_client::{ERRORS, Http2Client, Response};

/// A request that gets its response unless another took it away.
const HONEST: &[u8] = b"GET /honest.txt HTTP/1.1\r\nHost: honest\r\n\r\n";

/// The requests of a case up to the first that has no meaning, and why that has none.
fn messages(case: &Case) -> (Vec<Message>, Option<&'static str>) {
    let (mut raw, mut messages) = (&case.raw[..], Vec::new());
    loop {
        match next_message(&mut raw) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(Own(why)) => return (messages, Some(why)),
        }
    }
}

/// Why a case has no meaning in HTTP/2.
fn own(case: &Case) -> Option<&'static str> {
    match messages(case) {
        (messages, why) if messages.is_empty() => Some(why.unwrap_or("nothing to send")),
        _ => None,
    }
}

/// No case is left out in silence: what has no meaning is marked, with the reason, and what is
/// marked has none.
#[test]
fn what_is_of_http1_alone_is_marked() {
    let mut blocks: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    let (mut left_out, mut all) = (0, 0);
    for case in corpus() {
        let place = case.name.split(' ').next().unwrap().to_owned();
        let (marked, found) = blocks.entry(place).or_default();
        marked.extend(case.own.iter().cloned());
        let why = own(&case);
        let is_marked = why.is_none_or(|why| case.own.iter().any(|own| own == why));
        assert!(is_marked, "{}: {why:?}", case.name);
        found.extend(why.map(str::to_owned));
        (left_out, all) = (left_out + usize::from(why.is_some()), all + 1);
    }
    for (place, (marked, found)) in blocks {
        assert_eq!(marked, found, "{place}");
    }
    assert!(left_out * 5 < all, "{left_out} of {all} cases are of HTTP/1 alone");
}

/// What comes on one stream, in words: a status, `reset by` an error, or `ended by` that of the
/// connection.
fn outcome(client: &mut Http2Client<Stream>, stream: u32) -> (String, Option<Response>) {
    match client.try_response(stream) {
        None => (format!("ended by {}", client.ended_by().unwrap_or("nothing")), None),
        Some(Response { status: 0, reset: Some(code), .. }) => {
            (format!("reset by {}", ERRORS[code as usize]), None)
        }
        Some(response) => (response.status.to_string(), Some(response)),
    }
}

/// Fields of a connection, which HTTP/2 does not have (RFC 9113, section 8.2.2).
fn is_of_connections(message: &Message) -> bool {
    let names: [&[u8]; 5] =
        [b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"];
    message.fields.iter().any(|(name, value)| {
        names.contains(&&name[..]) || name == b"te" && !value.eq_ignore_ascii_case(b"trailers")
    })
}

/// What may come for a request that HTTP/1 responds to with this status.
fn expected(case: &Case, nth: usize, message: &Message, status: u16) -> Vec<String> {
    const MALFORMED: &str = "reset by PROTOCOL_ERROR";
    if nth == 0 && !case.http2.is_empty() {
        return case.http2.clone();
    }
    const UNREADABLE: &str = "ended by PROTOCOL_ERROR";
    let expected: &[&str] = match status {
        _ if is_of_connections(message) => &[MALFORMED, UNREADABLE],
        // Where it is not the service that refuses it.
        400 => &["400", MALFORMED, UNREADABLE],
        _ => &[],
    };
    match expected {
        [] => vec![status.to_string()],
        expected => expected.iter().map(|&text| text.to_owned()).collect(),
    }
}

/// What is wrong with a response that has the status that it should.
fn judge_first(server: &TestServer, case: &Case, response: &Response) -> Result<(), String> {
    if response.status.to_string() != case.expected.answers[0].status.to_string() {
        return Ok(());
    }
    for (name, value) in &case.fields {
        if response.field(name) != Some(value) {
            return Err(format!("{name} is {:?}, not {value}", response.field(name)));
        }
    }
    for name in &case.absent {
        if let Some(value) = response.field(name) {
            return Err(format!("{name} is {value}, and should not be there"));
        }
    }
    let Some(file) = &case.content else { return Ok(()) };
    match response.body == fs::read(server.root().join(file)).unwrap() {
        true => Ok(()),
        false => Err(format!("the first response is not {file}: {response:?}")),
    }
}

/// Each request of a case on a stream of its own, and an honest one behind them. What the
/// connection ends with is the same for all.
fn check(server: &TestServer, case: &Case, stream: Stream) -> Result<String, String> {
    let (messages, _) = messages(case);
    let mut client = Http2Client::new(stream);
    let mut first = String::new();
    for (nth, message) in messages.iter().enumerate().take(case.expected.answers.len().max(1)) {
        let stream = send(&mut client, message);
        let Some(answer) = case.expected.answers.get(nth) else { break };
        let (came, response) = outcome(&mut client, stream);
        let wanted = expected(case, nth, message, answer.status);
        if !wanted.contains(&came) {
            return Err(format!("request {}: expected {wanted:?}, came {came}", nth + 1));
        }
        if let Some(response) = response {
            if response.body.windows(SECRET.len()).any(|window| window == SECRET) {
                return Err("the file outside is shown".to_owned());
            }
            if nth == 0 {
                judge_first(server, case, &response)?;
            }
            reply(response);
        }
        if nth == 0 {
            first.clone_from(&came);
        }
        if came.starts_with("ended") {
            return Ok(first);
        }
    }
    let honest = next_message(&mut &HONEST[..]).unwrap().unwrap();
    let stream = send(&mut client, &honest);
    match outcome(&mut client, stream) {
        (_, Some(response)) if response.body == HONEST_CONTENT => Ok(first),
        (came, _) => Err(format!("the next request gets {came}")),
    }
}

/// What a place in the corpus tells that may come, and what came.
type Outcomes = (BTreeSet<String>, BTreeSet<String>);

#[test]
fn every_hostile_request_gets_its_response_over_http2() {
    let http2 = Http2 { prior_knowledge: true, ..Http2::default() };
    let server = start_with(http2);
    let used: Mutex<BTreeMap<String, Outcomes>> = Mutex::default();
    check_each(&corpus(), |case| {
        let first = check(&server, case, server.http2_stream())?;
        if !case.http2.is_empty() {
            let place = case.name.split(' ').next().unwrap().to_owned();
            let mut used = used.lock().unwrap();
            let (told, came) = used.entry(place).or_default();
            told.extend(case.http2.iter().cloned());
            came.insert(first);
        }
        Ok(())
    });
    // What is told of HTTP/2 comes for some of its cases.
    for (place, (told, came)) in used.into_inner().unwrap() {
        assert_eq!(told, came, "{place}");
    }
}
