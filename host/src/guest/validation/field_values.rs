//! The values that a guest is checked with, of the fields and facts that it reads: what clients
//! send, and what comes near it.

use std::borrow::Cow;

use innkeeper_cases::Fact;
use innkeeper_cases::facts::{DEFAULT_TIME_S, floor};

/// Bytes of a long value. A head may have four of them.
const LONG: usize = 8 << 10;

/// Lines of one name, where a client sends several.
const SEVERAL: usize = 20;

/// Values of one field: those of one request are lines of the same name.
pub(super) type Lines = Vec<Cow<'static, [u8]>>;

/// Values that clients send in the field with this name, in lower case. A few usual ones first.
pub(super) fn usual(name: &str) -> &'static [&'static str] {
    match name {
        "accept" => &[
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "application/json",
            "*/*",
        ],
        "accept-encoding" => &["gzip, deflate, br, zstd", "identity;q=0, *;q=0.1", ""],
        "accept-language" => &["de", "en-GB,en;q=0.9,fr-CA;q=0.8,*;q=0.5", "zh-Hant-TW"],
        "access-control-request-headers" => &["content-type, x-a"],
        "access-control-request-method" => &["PUT", "GET"],
        "authorization" | "proxy-authorization" => {
            &["Basic YWxpY2U6c2VjcmV0", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"]
        }
        "cache-control" => &["no-cache", "max-age=0"],
        "content-length" => &["0", "12"],
        "content-type" => {
            &["application/x-www-form-urlencoded", "multipart/form-data; boundary=\"a\""]
        }
        "cookie" => &[
            "session=0123456789abcdef",
            "theme=dark; session=c2lnbmVk.MTIz; _ga=GA1.1.123456789.1735689600",
            "a=\"b c\"; lang=de",
        ],
        "forwarded" => &["for=192.0.2.1;proto=https", "for=\"[2001:db8::1]:4711\", for=unknown"],
        "from" => &["a@example.org"],
        "host" => &["example.org", "www.example.org:8080", "[2001:db8::1]:8080", "192.0.2.1"],
        "if-match" | "if-none-match" => &["\"a\", W/\"b\"", "*"],
        "if-modified-since" | "if-unmodified-since" | "date" => &["Wed, 01 Jan 2025 00:00:00 GMT"],
        "origin" => &["https://example.org", "null"],
        "range" => &["bytes=0-499", "bytes=-500,0-"],
        "referer" => &["https://example.org/a%20b?c=d", "android-app://org.example/"],
        "sec-fetch-dest" => &["document", "empty"],
        "sec-fetch-mode" => &["navigate", "cors"],
        "sec-fetch-site" => &["same-origin", "cross-site", "none"],
        "sec-gpc" | "dnt" | "upgrade-insecure-requests" | "sec-fetch-user" => &["1", "?1"],
        "user-agent" => &[
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "curl/8.14.1",
        ],
        "x-forwarded-for" | "x-real-ip" | "x-client-ip" | "cf-connecting-ip" => {
            &["192.0.2.1", "2001:db8::1", "2001:db8::1, 198.51.100.7, 192.0.2.1"]
        }
        "x-forwarded-proto" => &["https", "http"],
        "x-forwarded-host" => &["example.org", "[2001:db8::1]"],
        _ => &["1", "a", "a=b; c=\"d\", e/f"],
    }
}

/// Values that come near those of a field.
fn malformed(name: &str) -> &'static [&'static str] {
    match name {
        "accept" | "accept-encoding" | "accept-language" => {
            &["*", ";q=1", "en;q=x", "en;q=1.5,,;", "-", "en_US.UTF-8", "de;q=0.12345"]
        }
        "authorization" | "proxy-authorization" => &[
            "Basic",
            "Basic ",
            "basic  YWxpY2U6c2VjcmV0",
            "Basic YWxpY2U",
            "Basic YWxpY2U=",
            "Basic !!!!",
            "Basic /////w==",
            "Basic Og==",
            "Bearer",
            "Bearer a.b",
            "Digest username=\"alice\", nonce=",
        ],
        "cookie" => &[
            "session",
            "session=",
            "=session",
            ";",
            "session=a;",
            "session=a; ; session=b",
            "session=\"",
            "session=%zz%",
            "session=%ff%fe",
            "session=e30=.e30=",
            "session={\"a\":1}",
        ],
        "content-length" | "dnt" => &["-1", "1e3", "18446744073709551616"],
        "forwarded" => &["for", "for=", "for=\"", ";", "for=_hidden;for="],
        "if-modified-since" | "if-unmodified-since" | "date" => &["0", "Wed, 32 Jan 2025"],
        "origin" | "referer" => &["//", "https://", "a:b", "http://[::1"],
        "range" => &["bytes", "bytes=", "bytes=a-b", "bytes=9-1"],
        "x-forwarded-for" | "x-real-ip" | "x-client-ip" | "cf-connecting-ip" => &[
            "unknown",
            "192.0.2.1:80",
            "[2001:db8::1]:80",
            "999.0.0.1",
            ":::",
            ",",
            "fe80::1%eth0",
        ],
        _ => &[],
    }
}

/// What may be in any field, and seldom is.
const ODD: [&[u8]; 16] = [
    b"",
    b"\xff\xfe",
    b"caf\xe9",
    b"a\xc3\xa9=\xe4\xb8\xad\xe6\x96\x87",
    b"\xed\xa0\x80",
    b"%",
    b"%zz",
    b"%ff",
    b"\"",
    b",",
    b"=",
    b"-1",
    b"99999999999999999999",
    b"a\tb",
    b"../../etc/passwd",
    b"__proto__",
];

/// Values of a field that are not usual, each for a request of its own: empty, malformed, not
/// UTF-8, long, and several of them.
pub(super) fn unusual(name: &str) -> Vec<Lines> {
    // The host refuses requests with another value, or with several.
    if name == "host" {
        return vec![vec![Cow::Borrowed(b"")]];
    }
    let usual = usual(name);
    let bytes = |value: &&'static str| Cow::Borrowed(value.as_bytes());
    let one = |value| vec![value];
    let mut all: Vec<Lines> = malformed(name).iter().map(bytes).map(one).collect();
    all.extend(ODD.map(Cow::Borrowed).map(one));
    all.extend(
        [b"a".as_slice(), b"=;", b", ", b"\xc3\xa9"]
            .map(|repeated| one(Cow::Owned(repeated.repeat(LONG / repeated.len())))),
    );
    let first = usual.first().copied().unwrap_or_default();
    all.push(one(Cow::Owned(first.repeat(LONG / first.len().max(1)).into_bytes())));
    all.push(usual.iter().map(bytes).collect());
    all.push(vec![Cow::Borrowed(b""), bytes(&first)]);
    all.push(vec![bytes(&first); SEVERAL]);
    all
}

/// Values that a fact may have.
pub(super) fn of_fact(fact: Fact) -> Vec<Cow<'static, str>> {
    let times = [0, 951_782_400, DEFAULT_TIME_S, 4_102_444_800];
    match fact {
        Fact::ClientAddress => {
            ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", "10.1.2.3"].map(Cow::from).into()
        }
        Fact::Scheme | Fact::Protocol | Fact::TlsVersion => {
            fact.choices().iter().copied().map(Cow::from).collect()
        }
        Fact::TlsServerName => ["example.org", "www.example.org"].map(Cow::from).into(),
        Fact::ClientCertificate => vec!["0123456789abcdef".repeat(4).into()],
        Fact::ClientName => {
            ["alice", "a@example.org", "https://example.org/a", "\u{e9}\"\\%zz \u{4e2d}"]
                .map(Cow::from)
                .into()
        }
        Fact::Time(grain_s) => times.map(|time| floor(time, grain_s).to_string().into()).into(),
        Fact::ClientBucket(buckets) => {
            vec![
                "0".into(),
                (buckets.get() / 2).to_string().into(),
                (buckets.get() - 1).to_string().into(),
            ]
        }
    }
}
