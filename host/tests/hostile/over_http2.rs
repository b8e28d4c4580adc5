//! The corpus over HTTP/2: what has a meaning there gets the same response, or none.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Case;
use super::corpus;
use crate::as_http2::{Message, Own, next_message};

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
        assert!(
            why.is_none_or(|why| case.own.iter().any(|own| own == why)),
            "{}: {why:?}",
            case.name
        );
        found.extend(why.map(str::to_owned));
        (left_out, all) = (left_out + usize::from(why.is_some()), all + 1);
    }
    for (place, (marked, found)) in blocks {
        assert_eq!(marked, found, "{place}");
    }
    assert!(left_out * 5 < all, "{left_out} of {all} cases are of HTTP/1 alone");
}
