//! What `Host` and the authority of a target may hold (RFC 9110, sections 7.2 and 4.2.1;
//! RFC 3986, section 3.2.2): a host with an optional port. Without the comma and escapes in names, and without addresses of the
//! future.

/// Whether the value is a host that is not empty, with an optional port.
pub fn is_host(value: &[u8]) -> bool {
    if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|&byte| byte == b']') else { return false };
        return is_ipv6(&value[1..end]) && is_port(&value[end + 1..]);
    }
    let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
    end > 0 && is_name(&value[..end]) && is_port(&value[end..])
}

/// Nothing, or `:` and a number of 16 bits, or `:` alone.
fn is_port(port: &[u8]) -> bool {
    let [b':', digits @ ..] = port else { return port.is_empty() };
    let mut number = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return false;
        }
        number = (number * 10 + u32::from(digit - b'0')).min(100_000);
    }
    number <= 65_535
}

/// `reg-name`: unreserved characters and sub-delimiters.
fn is_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~', rest @ ..] => {
                rest
            }
            [b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=', rest @ ..] => {
                rest
            }
            _ => return false,
        };
    }
}

/// `IPv6address`: eight groups, of which one run may be left out, and of which the last
/// two may be an IPv4 address.
fn is_ipv6(address: &[u8]) -> bool {
    let mut halves = Vec::new();
    let mut rest = address;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"::") {
        halves.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    halves.push(rest);
    match halves.as_slice() {
        [all] => groups(all, true) == Some(8),
        [before, after] => {
            matches!((groups(before, false), groups(after, true)), (Some(a), Some(b)) if a + b < 8)
        }
        _ => false,
    }
}

/// How many groups of 16 bits these are.
fn groups(part: &[u8], is_end: bool) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    let parts: Vec<&[u8]> = part.split(|&byte| byte == b':').collect();
    let mut count = 0;
    for (index, group) in parts.iter().enumerate() {
        let is_group = (1..=4).contains(&group.len()) && group.iter().all(u8::is_ascii_hexdigit);
        count += match is_group {
            true => 1,
            false if is_end && index + 1 == parts.len() && is_ipv4(group) => 2,
            false => return None,
        };
    }
    Some(count)
}

fn is_ipv4(address: &[u8]) -> bool {
    let octets: Vec<&[u8]> = address.split(|&byte| byte == b'.').collect();
    octets.len() == 4
        && octets.iter().all(|octet| {
            matches!(
                octet,
                [b'0'..=b'9']
                    | [b'1'..=b'9', b'0'..=b'9']
                    | [b'1', b'0'..=b'9', b'0'..=b'9']
                    | [b'2', b'0'..=b'4', b'0'..=b'9']
                    | [b'2', b'5', b'0'..=b'5']
            )
        })
}
