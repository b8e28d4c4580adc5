//! What a guest must pass before its first request.
//!
//! - It decides on each of a set of request lines, of every form and of none,
//!   within its limits.
//! - It passes its cases.
//! - It is a function: asked again, on other instances and in another order, it
//!   decides the same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use innkeeper_cases::{Case, Mismatch};

use super::warnings::{self, TEMPTING_TARGETS, Warning};
use crate::guest::cases::{CaseFile, GuestRequest};
use crate::guest::decision::request::Facts;
use crate::guest::decision::{Decision, Kind};
use crate::guest::digest::Digest;
use crate::guest::failure::Failure;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::runtime::compile::LoadError;
use crate::guest::runtime::decision_cost::cpu_time;
use crate::helper::GiveUp;
use crate::text;

/// The longest request line that a guest is asked about, in bytes. The default of
/// what the host accepts.
const LONGEST_LINE: usize = 8 << 10;

/// Characters that are shown of a decision that is not the same again.
const SHOWN_OF_DECISIONS: usize = 300;

/// What a guest was asked, and passed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Request lines of the built-in set on which it decided.
    pub lines: usize,
    /// Cases that it passed.
    pub cases: usize,
    /// How many of all those decisions were of each kind.
    pub kinds: BTreeMap<Kind, usize>,
    /// What it had better not decide: of each kind the first, in one line.
    pub warnings: Vec<String>,
    /// What a decision took of a core's time, on average.
    pub average: Duration,
    /// Whether all this was found before, by this version, of the same guest with the same
    /// cases and limits: a pure function that passed once passes again.
    pub is_known: bool,
}

/// Where all requests of a check come from.
pub const FACTS: Facts =
    Facts { client: IpAddr::V4(Ipv4Addr::LOCALHOST), scheme: crate::http::Scheme::Http };

/// Checks a guest. The error tells in one line what it did not pass first.
pub fn check(guest: &LoadedGuest, cases: &[CaseFile]) -> Result<Report, String> {
    check_unless(guest, cases, &GiveUp::default()).map_err(|error| error.to_string())
}

/// The same, unless it is given up.
pub(in crate::guest) fn check_unless(
    guest: &LoadedGuest,
    cases: &[CaseFile],
    give_up: &GiveUp,
) -> Result<Report, LoadError> {
    let lines = request_lines();
    let mut report = Report { lines: lines.len(), ..Report::default() };
    let asked = lines.iter().map(|line| GuestRequest { line, fields: &[], facts: FACTS });
    let in_cases = cases.iter().flat_map(|file| &file.cases).map(GuestRequest::from);
    let asked: Vec<_> = asked.chain(in_cases).collect();
    let (mut verdict, mut warned) = (Verdict::new(cases), BTreeMap::new());
    let before = cpu_time();
    decide_twice(
        &asked,
        give_up,
        |asked| asked.decide(guest),
        |number, decision| {
            *report.kinds.entry(decision.kind()).or_default() += 1;
            let line = asked[number].line;
            if let Some(warning) = warnings::of(line, decision) {
                warned.entry(warning).or_insert_with(|| warn(line, decision, warning));
            }
            if number >= lines.len() {
                verdict.judge(decision);
            }
        },
    )?;
    // Each was decided twice.
    let count = u32::try_from(2 * asked.len()).unwrap_or(u32::MAX);
    report.average = cpu_time().saturating_sub(before) / count;
    guest.cost().begin_with(report.average);
    report.warnings = warned.into_values().collect();
    report.cases = verdict.told().map_err(LoadError::Unfit)?;
    Ok(report)
}

/// A warning, with the request that it was found with.
fn warn(line: &[u8], decision: &Decision, warning: Warning) -> String {
    format!("on {} it decides {}: {warning}", shown(line), shown_of(decision))
}

/// Whether cases pass, while they are decided one after the other.
struct Verdict<'a, I> {
    cases: I,
    judged: usize,
    mismatches: usize,
    first: Option<(&'a CaseFile, &'a Case, Mismatch)>,
}

impl<'a> Verdict<'a, ()> {
    fn new(cases: &'a [CaseFile]) -> Verdict<'a, impl Iterator<Item = (&'a CaseFile, &'a Case)>> {
        let cases = cases.iter().flat_map(|file| file.cases.iter().map(move |case| (file, case)));
        Verdict { cases, judged: 0, mismatches: 0, first: None }
    }
}

impl<'a, I: Iterator<Item = (&'a CaseFile, &'a Case)>> Verdict<'a, I> {
    /// Compares the decision of the next case.
    fn judge(&mut self, decision: &Decision) {
        let Some((file, case)) = self.cases.next() else { return };
        self.judged += 1;
        if let Err(mismatch) = case.judge(&decision.lend()) {
            self.mismatches += 1;
            self.first.get_or_insert((file, case, mismatch));
        }
    }

    /// Counts the cases, if all of them passed.
    fn told(self) -> Result<usize, String> {
        let Some((file, case, mismatch)) = self.first else { return Ok(self.judged) };
        Err(format!(
            "{} of {} cases failed, first {}:{}: {case}: expected {}, got {}",
            self.mismatches,
            self.judged,
            file.path.display(),
            case.line_number,
            mismatch.expected,
            mismatch.got
        ))
    }
}

/// Asks for all decisions, and for all of them again, from the last to the first. What is
/// decided is seen once, with its number, and is not kept: a guest may reply with a MiB on
/// each line.
fn decide_twice(
    asked: &[GuestRequest<'_>],
    give_up: &GiveUp,
    decide: impl Fn(&GuestRequest<'_>) -> Result<Decision, Failure>,
    mut see: impl FnMut(usize, &Decision),
) -> Result<(), LoadError> {
    let decide = |asked: &GuestRequest<'_>| {
        if give_up.is_wanted() {
            return Err(LoadError::GivenUp);
        }
        decide(asked)
            .map_err(|failure| LoadError::Unfit(format!("on {} {failure}", shown(asked.line))))
    };
    // Of each, what tells it from others and what is shown of it.
    let mut firsts: Vec<(Digest, Box<str>)> = Vec::with_capacity(asked.len());
    for (number, asked) in asked.iter().enumerate() {
        let decision = decide(asked)?;
        see(number, &decision);
        firsts.push((decision.digest(), shown_of(&decision).into()));
    }
    for (asked, (digest, first)) in asked.iter().zip(&firsts).rev() {
        let second = decide(asked)?;
        if second.digest() != *digest {
            return Err(LoadError::Unfit(format!(
                "it is no function: on {} it decides {first}, and then {}",
                shown(asked.line),
                shown_of(&second)
            )));
        }
    }
    Ok(())
}

/// The beginning of a decision, for a message.
fn shown_of(decision: &Decision) -> String {
    text::beginning(&decision.to_string(), SHOWN_OF_DECISIONS)
}

/// A request line for a message: escaped, and of a long one the beginning.
fn shown(line: &[u8]) -> String {
    /// Bytes that are shown.
    const SHOWN: usize = 60;
    let rest = line.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(" (and {rest} bytes more)") } else { String::new() };
    format!("\"{}\"{more}", line[..line.len() - rest].escape_ascii())
}

/// Request lines of every form, and what is none: the host would refuse some of
/// them itself, but a policy that fails on them is not to be trusted with others.
fn request_lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = LINES.iter().map(|line| line.to_vec()).collect();
    for repeated in ["a", "/", "/.", "/..", "a/", "%2e", "%2f", "%00", "?", "&a=b", "\u{e9}", " "] {
        let room = LONGEST_LINE - b"GET / HTTP/1.1".len();
        lines.push(format!("GET /{} HTTP/1.1", repeated.repeat(room / repeated.len())).into());
    }
    lines.extend(TEMPTING_TARGETS.map(|target| format!("GET {target} HTTP/1.1").into()));
    lines.push(vec![b'A'; LONGEST_LINE]);
    lines.push(vec![0xff; LONGEST_LINE]);
    lines.push((0..=u8::MAX).collect());
    lines.push(format!("{} / HTTP/1.1", "M".repeat(LONGEST_LINE / 2)).into());
    for byte in (0..=b' ').chain(0x7f..=0xff) {
        lines.push([b"GET /a", &[byte][..], b"b HTTP/1.1"].concat());
    }
    lines
}

/// The forms of RFC 9112, section 3, and what comes near them.
const LINES: [&[u8]; 97] = [
    // Targets of all four forms.
    b"GET / HTTP/1.1",
    b"GET /index.html HTTP/1.1",
    b"GET /a HTTP/1.1",
    b"GET /a/ HTTP/1.1",
    b"GET /a/b/c.css HTTP/1.1",
    b"GET /a?b=c&d HTTP/1.1",
    b"GET /? HTTP/1.1",
    b"GET /a%20b HTTP/1.1",
    b"GET /caf%C3%A9 HTTP/1.1",
    b"GET /a;b=c/d HTTP/1.1",
    b"GET /~user/ HTTP/1.1",
    b"GET http://example.org/ HTTP/1.1",
    b"GET http://example.org:80/a?b HTTP/1.1",
    b"GET https://example.org HTTP/1.1",
    b"CONNECT example.org:443 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    // Methods and versions.
    b"HEAD / HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"PUT /a HTTP/1.1",
    b"DELETE /a HTTP/1.1",
    b"TRACE / HTTP/1.1",
    b"PATCH /a HTTP/1.1",
    b"BREW /pot HTTP/1.1",
    b"get / HTTP/1.1",
    b"M-SEARCH * HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET / HTTP/1.2",
    b"GET / HTTP/0.9",
    b"GET / HTTP/2.0",
    b"PRI * HTTP/2.0",
    // What a policy may keep to itself.
    b"GET /.git/config HTTP/1.1",
    b"GET /.env HTTP/1.1",
    b"GET /a/.htpasswd HTTP/1.1",
    b"GET /.well-known/security.txt HTTP/1.1",
    b"GET /%2egit/config HTTP/1.1",
    // Ways out.
    b"GET /../a HTTP/1.1",
    b"GET /a/../../b HTTP/1.1",
    b"GET /./a/./b HTTP/1.1",
    b"GET /.. HTTP/1.1",
    b"GET /... HTTP/1.1",
    b"GET /%2e%2e/a HTTP/1.1",
    b"GET /%2E%2E%2Fa HTTP/1.1",
    b"GET /..%2f..%2fetc/passwd HTTP/1.1",
    b"GET /%252e%252e%252fa HTTP/1.1",
    b"GET /..%5c..%5ca HTTP/1.1",
    b"GET /..\\..\\a HTTP/1.1",
    b"GET /%c0%ae%c0%ae/a HTTP/1.1",
    b"GET /%c0%af HTTP/1.1",
    b"GET /..;/a HTTP/1.1",
    b"GET //a HTTP/1.1",
    b"GET ///etc/passwd HTTP/1.1",
    b"GET //example.org/.. HTTP/1.1",
    b"GET /etc/passwd HTTP/1.1",
    b"GET /proc/self/environ HTTP/1.1",
    b"GET /C:/a HTTP/1.1",
    b"GET /a%00.html HTTP/1.1",
    b"GET /a%0d%0aSet-Cookie:%20b=c HTTP/1.1",
    b"GET /?a=%0d%0aLocation:%20http://example.org HTTP/1.1",
    b"GET /<script>alert(1)</script> HTTP/1.1",
    b"GET /%3Cscript%3E HTTP/1.1",
    b"GET http://example.org/../a HTTP/1.1",
    b"GET file:///etc/passwd HTTP/1.1",
    b"GET javascript:alert(1) HTTP/1.1",
    // Escapes that are none.
    b"GET /% HTTP/1.1",
    b"GET /%4 HTTP/1.1",
    b"GET /%zz HTTP/1.1",
    b"GET /%%20 HTTP/1.1",
    b"GET /%E9 HTTP/1.1",
    b"GET /%ff%fe HTTP/1.1",
    b"GET /%ed%a0%80 HTTP/1.1",
    b"GET /%f4%90%80%80 HTTP/1.1",
    // Lines that are none.
    b"",
    b" ",
    b"\r",
    b"\n",
    b"\t",
    b"\0",
    b"GET",
    b"GET ",
    b"GET /",
    b"GET / ",
    b" GET / HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET\t/\tHTTP/1.1",
    b"GET / HTTP/1.1\r\nHost: a",
    b"GET / http/1.1",
    b"GET / HTTP/1",
    b"GET / HTTP/11",
    b"GET a HTTP/1.1",
    b"GET ? HTTP/1.1",
    b"GET /a#b HTTP/1.1",
    b"GET http:///a HTTP/1.1",
    b"GET http://[::1 HTTP/1.1",
    b"GET http://a:99999999999999999999/ HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
];

#[cfg(test)]
mod tests {
    use super::{
        FACTS, GiveUp, GuestRequest, LONGEST_LINE, LoadError, decide_twice, request_lines,
    };
    use crate::guest::{Decision, Failure};
    use std::cell::Cell;

    fn asked(lines: &[Vec<u8>]) -> Vec<GuestRequest<'_>> {
        lines.iter().map(|line| GuestRequest { line, fields: &[], facts: FACTS }).collect()
    }

    /// Asks twice, and tells how many decisions were seen.
    fn decided(
        lines: &[Vec<u8>],
        decide: impl Fn(&GuestRequest<'_>) -> Result<Decision, Failure>,
    ) -> Result<usize, LoadError> {
        let mut seen = 0;
        decide_twice(&asked(lines), &GiveUp::default(), decide, |number, _| {
            assert_eq!(number, seen);
            seen += 1;
        })?;
        Ok(seen)
    }

    fn reply(status: u16) -> Decision {
        Decision::Reply { status, fields: crate::http::Fields::new(), body: b"".as_slice().into() }
    }

    #[test]
    fn no_line_is_there_twice_or_too_long() {
        let mut lines = request_lines();
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        let all = lines.len();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), all);
    }

    #[test]
    fn what_depends_on_the_time_or_the_order_is_no_function() {
        let lines = request_lines();
        let calls = Cell::new(0);
        let counts = |_: &GuestRequest<'_>| {
            calls.set(calls.get() + 1);
            Ok(reply(if calls.get() == lines.len() + 3 { 404 } else { 200 }))
        };
        let error = decided(&lines, counts).expect_err("no function").to_string();
        assert!(error.starts_with("it is no function"), "{error}");
        assert!(error.contains("decides reply 200") && error.contains("then reply 404"), "{error}");
        let constant = |_: &GuestRequest<'_>| Ok(reply(200));
        assert_eq!(decided(&lines, constant), Ok(lines.len()));
    }

    #[test]
    fn one_failure_is_enough() {
        let lines = request_lines();
        let fails = |asked: &GuestRequest<'_>| match asked.line {
            b"GET /%zz HTTP/1.1" => Err(Failure::Deadline),
            _ => Ok(reply(200)),
        };
        let error = decided(&lines, fails).expect_err("a failure");
        assert_eq!(
            error.to_string(),
            "on \"GET /%zz HTTP/1.1\" it did not decide before its deadline"
        );
    }

    #[test]
    fn check_that_is_given_up_asks_no_more() {
        let lines = request_lines();
        let (give_up, calls) = (GiveUp::default(), Cell::new(0));
        let decide = |_: &GuestRequest<'_>| {
            calls.set(calls.get() + 1);
            give_up.now();
            Ok(reply(200))
        };
        let outcome = decide_twice(&asked(&lines), &give_up, decide, |_, _| {});
        assert_eq!((outcome, calls.get()), (Err(LoadError::GivenUp), 1));
    }
}
