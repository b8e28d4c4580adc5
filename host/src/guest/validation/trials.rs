//! The requests that a guest is checked with for the sake of what it reads besides their lines:
//! each field and fact absent, with usual values, and with others. A guest that fails whenever
//! there is a cookie would serve until the first visitor logs in.

use std::borrow::Cow;

use innkeeper_cases::{Fact, Facts};

use super::field_values::{Lines, of_fact, unusual, usual};
use crate::guest::decision::interests::Interests;
use crate::guest::decision::request::{Request, StatedFacts};
use crate::guest::decision_cache::Key;
use crate::http::Field;

/// Requests of these at most. One field makes some 40; who reads 64 gets the first ones of each.
const MAX_TRIALS: usize = 1_000;

/// Lines that fields are tried on, of what clients requested, of the cases, and of ours.
const LINES: usize = 8;

/// Usual values that are tried on each of those lines.
const USUAL: usize = 3;

/// Of recent requests the first are tried once more with the fields that the guest reads and the one before
/// it did not.
const COMPLETED: usize = 50;

const OUR_LINES: [&[u8]; 4] = [
    b"GET / HTTP/1.1",
    b"GET /a/b.html HTTP/1.1",
    b"GET /a%20b/?c=d%zz&e HTTP/1.1",
    b"POST /a HTTP/1.1",
];

/// What a guest reads, by name.
struct Interest<'a> {
    name: &'a str,
    fact: Option<Fact>,
}

/// A request to be made up.
#[derive(Clone, Default)]
struct Trial<'a> {
    fields: Vec<(&'a str, Lines)>,
    facts: Facts,
}

impl<'a> Trial<'a> {
    /// The same with the usual value of this number for a field or fact.
    fn with_usual(mut self, interest: &Interest<'a>, number: usize) -> Trial<'a> {
        match interest.fact {
            Some(fact) => {
                let values = of_fact(fact);
                // Two times may contradict each other; one of them is enough.
                let _ = self.facts.state(fact, &values[number % values.len()]);
            }
            None => {
                let values = usual(interest.name);
                let value = Cow::Borrowed(values[number % values.len()].as_bytes());
                self.fields.push((interest.name, vec![value]));
            }
        }
        self
    }

    /// The request that the guest is shown.
    fn on(&self, line: &[u8], read: &Interests) -> Request {
        let fields = self.fields.iter();
        let fields =
            fields.flat_map(|(name, lines)| lines.iter().map(move |value| (*name, &**value)));
        read.request(line, fields, StatedFacts::from(&self.facts).lend())
    }
}

/// Requests for a guest that reads this: those that clients made lately, by another guest's cache of decisions, and
/// then those with values of what the guest reads, the usual ones first.
pub(super) fn trials<'a>(
    read: &Interests,
    recent: &[Key<'_>],
    case_lines: impl Iterator<Item = &'a [u8]>,
) -> Vec<Request> {
    let interests: Vec<_> =
        read.names().map(|name| Interest { name, fact: Fact::from_name(name).ok() }).collect();
    let mut requests: Vec<Request> = recent.iter().map(Key::request).collect();
    let recent_lines: Vec<_> = requests.iter().map(|request| request.line.clone()).collect();
    complete(&mut requests, read, &interests);
    if interests.is_empty() {
        return requests;
    }
    let known = recent_lines.into_iter().take(LINES / 2);
    let (first, last) = OUR_LINES.split_at(2);
    let ours = |lines: &'static [&'static [u8]]| lines.iter().map(|line| line.to_vec());
    let mut lines = Vec::new();
    for line in ours(first).chain(known).chain(case_lines.map(<[u8]>::to_vec)).chain(ours(last)) {
        if lines.len() < LINES && !lines.contains(&line) {
            lines.push(line);
        }
    }
    let of_all = (0..USUAL).map(|number| {
        interests.iter().fold(Trial::default(), |all, interest| all.with_usual(interest, number))
    });
    let of_one: Vec<_> = interests.iter().map(alone).collect();
    let begun = requests.len();
    for trial in of_all {
        requests.extend(lines.iter().map(|line| trial.on(line, read)));
    }
    // In turns, so that each field has its share of the limit.
    let longest = of_one.iter().map(Vec::len).max().unwrap_or_default();
    for number in 0..longest {
        for trial in of_one.iter().filter_map(|trials| trials.get(number)) {
            let line = &lines[number % lines.len()];
            requests.push(trial.on(line, read));
        }
    }
    requests.truncate(begun + MAX_TRIALS);
    requests
}

/// Requests in which one field or fact alone is stated, with each of its values.
fn alone<'a>(interest: &Interest<'a>) -> Vec<Trial<'a>> {
    let count =
        interest.fact.map_or_else(|| usual(interest.name).len(), |fact| of_fact(fact).len());
    let usual = (0..count).map(|number| Trial::default().with_usual(interest, number));
    let unusual = match interest.fact {
        Some(_) => Vec::new(),
        None => unusual(interest.name),
    };
    let with = |lines| Trial { fields: vec![(interest.name, lines)], facts: Facts::default() };
    usual.chain(unusual.into_iter().map(with)).collect()
}

/// Makes requests that another guest was shown those that this one would have been shown. What it
/// reads besides is not known: such a field is absent, and in one more request there.
fn complete(requests: &mut Vec<Request>, read: &Interests, interests: &[Interest<'_>]) {
    let mut completed = Vec::new();
    for (number, request) in requests.iter_mut().enumerate() {
        let Request { line, fields } = request;
        fields.retain(|field| interests.iter().any(|known| known.name == field.name));
        let missing: Vec<_> = interests
            .iter()
            .filter(|interest| !fields.iter().any(|field| field.name == interest.name))
            .collect();
        let with = |trial: &Trial<'_>| {
            let mut all = trial.on(line, read).fields;
            all.retain(|field| missing.iter().any(|interest| interest.name == field.name));
            // Facts come first.
            let at = all.iter().take_while(|field| field.name.starts_with(':')).count();
            let more: Vec<Field> = all.split_off(at);
            all.extend(fields.iter().cloned());
            all.extend(more);
            Request { line: line.clone(), fields: all }
        };
        let plain = with(&Trial::default());
        if !missing.is_empty() && number < COMPLETED {
            let usual =
                missing.iter().fold(Trial::default(), |all, one| all.with_usual(one, number));
            completed.push(with(&usual));
        }
        *request = plain;
    }
    requests.extend(completed);
}
