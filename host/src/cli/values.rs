//! Parses the value of a flag: a value within its bounds, or a sentence with what to write instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytesize::ByteSize;
use innkeeper_cases::{Fact, Facts};
use ipnet::IpNet;

use super::error::Mistake;
use crate::clients::RateLimit;
use crate::http::UNIX_CLIENT;
use crate::http::token::is_token;
use crate::rules::{self, Cookie, Key, Part};
use crate::service::hsts::{Hsts, HstsError};
use crate::transport::ListenAddress;

/// More threads than any machine has cores for; each has room for instances of
/// the guest.
pub(super) const MAX_WORKERS: NonZeroUsize = NonZeroUsize::new(1024).expect("is not zero");

/// Reads a number of threads.
pub(super) fn workers(text: &str) -> Result<NonZeroUsize, Mistake> {
    text.parse()
        .ok()
        .filter(|&count| count <= MAX_WORKERS)
        .ok_or_else(|| format!("write a number from 1 to {MAX_WORKERS}").into())
}

/// Reads a number of connections. Each takes two descriptors, of which Linux allows a process
/// about a million (fs.nr_open).
pub(super) fn connections(text: &str) -> Result<NonZeroUsize, Mistake> {
    const MOST: NonZeroUsize = NonZeroUsize::new(500_000).expect("is not zero");
    text.parse()
        .ok()
        .filter(|&count| count <= MOST)
        .ok_or_else(|| format!("write a number from 1 to {MOST}").into())
}

/// Reads how many of the last 1,000 decisions may fail.
pub(super) fn rollback_after(text: &str) -> Result<NonZeroU32, Mistake> {
    text.parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= 1_000)
        .ok_or_else(|| Mistake::from("write a number from 1 to 1000"))
}

/// Reads a number of which there is at least one.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroU32, Mistake> {
    text.parse().map_err(|_| format!("write a number from 1 to {}", u32::MAX).into())
}

/// Reads a number of requests per second, or that there may be any.
pub(super) fn rate_limit(text: &str) -> Result<RateLimit, Mistake> {
    match text {
        "off" => Ok(RateLimit::Off),
        _ => text.parse().map(RateLimit::PerSecond).map_err(|_| {
            format!("write a number from 1 to {}, or off for no limit", u32::MAX).into()
        }),
    }
}

/// Reads an address or a network.
pub(super) fn network(text: &str) -> Result<IpNet, Mistake> {
    let address = || text.parse().ok().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    text.parse().ok().or_else(address).ok_or_else(|| {
        Mistake::from("write an address or a network, as in 10.0.0.1, 10.0.0.0/8 or fd00::/8")
    })
}

/// Reads a number of bytes within bounds.
pub(super) fn size<const MIN: u64, const MAX: u64>(text: &str) -> Result<ByteSize, Mistake> {
    let bounds = format!("{} to {}", ByteSize(MIN).display().iec(), ByteSize(MAX).display().iec());
    match text.parse::<ByteSize>() {
        Ok(size) if (MIN..=MAX).contains(&size.as_u64()) => Ok(size),
        Ok(_) => Err(format!("allowed are {bounds}").into()),
        Err(_) => Err(format!("write a size as in 64MiB or 512KiB, from {bounds}").into()),
    }
}

/// Reads a time within bounds, which are milliseconds.
pub(super) fn time<const MIN: u64, const MAX: u64>(text: &str) -> Result<Duration, Mistake> {
    let bounds = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
    let shown = |time: &Duration| humantime::format_duration(*time).to_string();
    let bounds_shown = format!("{} to {}", shown(bounds.start()), shown(bounds.end()));
    match humantime::parse_duration(text) {
        Ok(time) if bounds.contains(&time) => Ok(time),
        Ok(_) => Err(format!("allowed are {bounds_shown}").into()),
        Err(_) => Err(format!("write a time as in 50ms or 1s, from {bounds_shown}").into()),
    }
}

/// Reads the name of a project, which is one for packages of all languages.
pub(super) fn project_name(text: &str) -> Result<String, Mistake> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    if begins_well && text.chars().all(is_plain) && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        Err("write small letters, digits and dashes, and a letter first, as in my-policy".into())
    }
}

/// Reads a header field.
pub(super) fn field(text: &str) -> Result<(String, String), Mistake> {
    match text.split_once(':') {
        Some((name, value)) if is_token(name) => Ok((name.to_owned(), value.trim().to_owned())),
        _ => Err("write 'Name: value'".into()),
    }
}

/// Reads the name of a header field.
pub(super) fn field_name(text: &str) -> Result<String, Mistake> {
    if is_token(text) {
        Ok(text.to_owned())
    } else {
        Err("write a name, as in X-Request-Id".into())
    }
}

/// Reads a fact: its name, with or without its colon, and its value.
pub(super) fn fact(text: &str) -> Result<(Fact, String), Mistake> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Mistake::from("write NAME=VALUE, as in scheme=https"))?;
    let fact = Fact::from_name(&format!(":{}", name.trim_start_matches(':')));
    let fact = fact.map_err(|error| Mistake::from(error.to_string()))?;
    let stated = Facts::default().state(fact, value);
    stated.map(|()| (fact, value.to_owned())).map_err(|error| error.to_string().into())
}

/// Reads rules of one key.
pub(super) fn rules(key: Key, text: &str) -> Result<Part, Mistake> {
    rules::file::parse_flag(key, text).map_err(|problem| problem.message.into())
}

/// Reads a network that passes.
pub(super) fn rule_network(text: &str) -> Result<String, Mistake> {
    rules::file::network(text).map_err(|problem| problem.message.into())
}

/// Reads the name and the value of a cookie.
pub(super) fn cookie(text: &str) -> Result<Cookie, Mistake> {
    Cookie::parse(text).map_err(|problem| problem.message.into())
}

/// Reads the value of `Strict-Transport-Security`.
pub(super) fn hsts(text: &str) -> Result<Hsts, Mistake> {
    text.parse().map_err(|error: HstsError| error.to_string().into())
}

/// Reads the port of the default address.
pub(super) fn port(text: &str) -> Result<u16, Mistake> {
    text.parse().map_err(|_| match text.contains(':') && address(text).is_ok() {
        true => format!("an address is written --listen {text}").into(),
        false => "write a number from 0 to 65535".into(),
    })
}

/// Reads an address to listen on. A port alone is one of this machine, as of `localhost`; behind
/// a colon it is one of all addresses.
pub(super) fn address(text: &str) -> Result<SocketAddr, Mistake> {
    let of = |ip: IpAddr| move |port| SocketAddr::from((ip, port));
    let port = |text: &str| text.parse::<u16>().ok();
    let this_machine = of(Ipv4Addr::LOCALHOST.into());
    let short = match text.rsplit_once(':') {
        None => port(text).map(this_machine),
        Some(("localhost", text)) => port(text).map(this_machine),
        // Any port: of each version it would be another.
        Some(("" | "*", "0")) => Some((Ipv4Addr::UNSPECIFIED, 0).into()),
        Some(("" | "*", text)) => port(text).map(of(Ipv6Addr::UNSPECIFIED.into())),
        Some(_) => None,
    };
    short.map_or_else(|| exact_address(text), Ok)
}

/// Reads an address to listen on, or the path of a Unix socket.
pub(super) fn listen_address(text: &str) -> Result<ListenAddress, Mistake> {
    match text.strip_prefix("unix:") {
        Some(path) => socket_path(path),
        None if text.starts_with(['/', '.']) && text.contains('/') => {
            Err(format!("a socket in the file system is written unix:{text}").into())
        }
        None => address(text).map(ListenAddress::Tcp),
    }
}

fn socket_path(path: &str) -> Result<ListenAddress, Mistake> {
    match path {
        "" => Err("write the path of the socket behind unix:".into()),
        path => Ok(ListenAddress::Unix(path.into())),
    }
}

/// Reads the address or the network of a proxy; `unix` is one at the other end of a Unix socket.
pub(super) fn proxy(text: &str) -> Result<IpNet, Mistake> {
    match text {
        "unix" => Ok(IpNet::from(UNIX_CLIENT)),
        text => network(text).map_err(|mistake| format!("{mistake}, or unix").into()),
    }
}

/// Reads an address to listen on for TLS.
pub(super) fn tls_address(text: &str) -> Result<SocketAddr, Mistake> {
    if text.starts_with("unix:") {
        return Err("a socket in the file system has no TLS: write --listen unix:PATH".into());
    }
    address(text)
}

/// Reads an address and its port.
fn exact_address(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse().map_err(|_| {
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            let example = SocketAddr::from((ip, 7890));
            return Mistake::from(format!("the port is missing; write {example}, for example"));
        }
        let example = match text.rsplit_once(':').map_or(text, |(_, port)| port).parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}, 0.0.0.0:{port} or [::1]:{port}"),
            Err(_) => "127.0.0.1:7890, 0.0.0.0:7890 or [::1]:7890".to_owned(),
        };
        Mistake::from(format!("not an IP address and a port; write {example}"))
    })
}

/// Reads the address of the administration, also in the form in which a server prints it.
pub(super) fn admin_address(text: &str) -> Result<ListenAddress, Mistake> {
    let text = text.strip_prefix("http://").map_or(text, |text| text.trim_end_matches('/'));
    match text.strip_prefix("unix:") {
        Some(path) => socket_path(path),
        // No short forms: one of them is for all addresses.
        None => exact_address(text)
            .map(ListenAddress::Tcp)
            .map_err(|problem| format!("{problem}, or unix:/run/innkeeper/admin").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn port_without_an_address_has_one() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("0", "127.0.0.1:0"),
            (":8080", "[::]:8080"),
            ("*:8080", "[::]:8080"),
            (":0", "0.0.0.0:0"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(address(text).expect("an address").to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_told_the_right_one() {
        for (text, example) in [
            ("example.org:8080", "127.0.0.1:8080"),
            (":", "127.0.0.1:7890"),
            ("localhost", "127.0.0.1:7890"),
            ("99999", "127.0.0.1:7890"),
            ("127.0.0.1", "127.0.0.1:7890"),
            ("::1:x", "[::1]:7890"),
            ("1.2.3.4:99999", "127.0.0.1:7890"),
        ] {
            let error = address(text).expect_err("no address").to_string();
            assert!(error.contains(example), "{text:?}: {error}");
        }
    }
}
