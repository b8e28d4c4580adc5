//! The request lines that a guest is checked with, of every form and of none.

use super::warnings::TEMPTING_TARGETS;

/// The longest of them, in bytes. The default of what the host accepts.
const LONGEST_LINE: usize = 8 << 10;

/// All of them. The host would refuse some itself, but a policy that fails on them is not to be
/// trusted with others.
pub(super) fn request_lines() -> Vec<Vec<u8>> {
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
const LINES: [&[u8]; 103] = [
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
    b"GET /a?% HTTP/1.1",
    b"GET /a?b=%4&%zz=c HTTP/1.1",
    b"GET /a?b=%E9%20%ff HTTP/1.1",
    b"GET /a?b=%ed%a0%80+%00 HTTP/1.1",
    b"GET /a?=&=b&&c==d&e HTTP/1.1",
    b"GET /a?%5B%5D=b&c[d]=%7B%22e%22:1 HTTP/1.1",
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
    use super::{LONGEST_LINE, request_lines};

    #[test]
    fn lines_are_distinct_and_not_too_long() {
        let mut lines = request_lines();
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        let all = lines.len();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), all);
    }
}
