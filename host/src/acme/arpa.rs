//! Addresses as names: a TLS handshake that proves an address asks for the name that DNS has for
//! it in reverse (RFC 8738, section 6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of such a name.
pub(super) fn address(name: &str) -> Option<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        let bytes: Vec<u8> = reversed.rsplit('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let bytes: [u8; 4] = bytes.try_into().ok()?;
        return Some(Ipv4Addr::from(bytes).into());
    }
    let reversed = name.strip_suffix(".ip6.arpa")?;
    let digits: Vec<&str> = reversed.rsplit('.').collect();
    let is_digit = |digit: &&str| digit.len() == 1 && digit.as_bytes()[0].is_ascii_hexdigit();
    if digits.len() != 32 || !digits.iter().all(is_digit) {
        return None;
    }
    let bits = u128::from_str_radix(&digits.concat(), 16).ok()?;
    Some(Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn reversed_name_is_an_address() {
        assert_eq!(address("1.0.0.127.in-addr.arpa"), "127.0.0.1".parse().ok());
        let zeros = "0.".repeat(23);
        let six = format!("1.{zeros}8.b.d.0.1.0.0.2.ip6.arpa");
        assert_eq!(address(&six), "2001:db8::1".parse().ok());
        for name in ["a.example", "1.0.127.in-addr.arpa", "256.0.0.127.in-addr.arpa", "1.ip6.arpa"]
        {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
