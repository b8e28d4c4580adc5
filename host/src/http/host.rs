//! What `Host` may hold, and the authority of a target in absolute-form: `uri-host
//! [ ":" port ]` (RFC 9110, sections 4.2.1 and 7.2; without user information: section
//! 4.2.4).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether the value is a host that is not empty, with an optional port
/// (RFC 9110, section 4.2.1; RFC 3986, sections 3.2.2 and 3.2.3).
pub fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let (is_host, port) = match value.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            // Without a zone, which means nothing to another machine (RFC 6874,
            // section 1), and without addresses of the future.
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let end = value.find(':').unwrap_or(value.len());
            let (host, port) = value.split_at(end);
            (!host.is_empty() && host.bytes().all(is_name_byte), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some("") => true,
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
    };
    is_host && is_port
}

/// The host of an authority, without its port: of `[::1]:80` it is `[::1]`.
pub fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        // The colons of an address are within brackets.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}

/// Whether a host without its port is an address, and no name (RFC 3986, section 3.2.2).
pub fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

/// Characters of a DNS name (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// Whether the text is a DNS name, in A-labels and without a final dot: labels of letters, digits, `-`
/// and `_`, which names of hosts have in practice.
pub fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(is_byte)
    };
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

/// Whether the byte may stand in a host's name (RFC 3986, section 3.2.2), without two
/// that no name has which can be looked up: the comma would make a list of two hosts,
/// and behind a `%` anything can hide.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{is_address, is_host, without_port};

    #[test]
    fn hosts_in_brackets_and_dotted_numbers_are_addresses() {
        for (host, expected) in [
            ("[::1]", true),
            ("192.0.2.1", true),
            ("h", false),
            ("192.0.2", false),
            ("192.0.2.1.example", false),
        ] {
            assert_eq!(is_address(host), expected, "{host}");
        }
    }

    #[test]
    fn port_is_taken_from_an_authority() {
        for (authority, host) in [
            ("h", "h"),
            ("h:", "h"),
            ("h:80", "h"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
        ] {
            assert_eq!(without_port(authority), host);
        }
    }

    #[test]
    fn hosts() {
        for host in [
            "h",
            "h:80",
            "h:",
            "127.0.0.1:7890",
            "[::1]",
            "[::1]:80",
            "a_b.example",
            "H.",
            "h:00080",
        ] {
            assert!(is_host(host.as_bytes()), "{host:?}");
        }
        for host in [
            "",
            ":80",
            "h, g",
            "h/x",
            "h:8a",
            "h:65536",
            "[::1",
            "[::1]x",
            "[x]",
            "u@h",
            "a b",
            "::1",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "a%20b",
            "%",
            "a%zz",
            "h:+80",
            "h:80:80",
            "h?x",
            "h#x",
            "\u{e9}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host:?}");
        }
    }
}
