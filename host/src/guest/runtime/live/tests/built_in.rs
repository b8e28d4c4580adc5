//! The guests that come with innkeeper.

use super::{Both, engine, request};
use crate::guest::{DEFAULT_GUEST, RULES_GUEST};

#[test]
fn built_in_guests_decide_as_fresh_ones() {
    let engine = engine();
    let table = innkeeper_guest::rules::Table {
        country_field: Some("x-country".to_owned()),
        ..Default::default()
    };
    let data = table.to_data();
    for (guest, data) in [(DEFAULT_GUEST, None), (&*RULES_GUEST, Some(&data[..]))] {
        let both = Both::of(&engine, guest, data);
        for line in [
            "GET / HTTP/1.1",
            "GET /a/b/c.html HTTP/1.1",
            "HEAD /%41%42/x?y=z HTTP/1.0",
            "GET /../x HTTP/1.1",
            "POST / HTTP/1.1",
            "nonsense",
            "",
            "GET * HTTP/1.1",
        ] {
            for fields in
                [&[][..], &[("host", "a.example"), ("x-country", "CH"), ("cookie", "a=b")]]
            {
                assert!(both.compare(&request(line, fields), line), "{line} is decided fresh");
            }
        }
        let long = format!("GET /{} HTTP/1.1", "a".repeat(20_000));
        assert!(both.compare(&request(&long, &[]), "a long line"));
        let too_long = format!("GET /{} HTTP/1.1", "a".repeat(70_000));
        assert!(!both.compare(&request(&too_long, &[]), "a line that has no room"));
    }
}
