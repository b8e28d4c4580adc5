//! Which site a request is for: its host, looked up among those of all sites.
//!
//! A lookup goes through the host once, from its end to its beginning, and allocates nothing: the
//! hash that it has at the dot behind the first label is that of the wildcard. A name counts before
//! a wildcard, and a wildcard stands for one label, as in certificates (RFC 9525, section 6.3).

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv6Addr;

use crate::http::HostPattern;
use crate::http::host::{is_address, without_port};

/// The hosts of all sites.
#[derive(Debug, Default)]
pub struct HostTable {
    /// By hash, with linear probing: numbers of names, from 1. At least half are 0, which is none.
    slots: Box<[u32]>,
    names: Vec<Name>,
    /// Those in brackets are compared as addresses: they have several texts.
    addresses: Vec<(Ipv6Addr, u32)>,
    default: Option<u32>,
}

/// The hosts of a site, as they are asked for.
#[derive(Clone, Debug, Default)]
pub struct SiteHosts {
    /// Names and wildcards.
    pub patterns: Vec<HostPattern>,
    /// Whether it also serves what no other site is for.
    pub is_default: bool,
}

#[derive(Debug)]
struct Name {
    hash: u64,
    /// In lower case; of a wildcard, from the dot on.
    text: Box<str>,
    is_wildcard: bool,
    site: u32,
}

/// Two sites that have the same host, by their numbers; or that are both the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The host; `None` if it is the default.
    pub host: Option<HostPattern>,
    /// Both sites.
    pub sites: [usize; 2],
}

/// What several sites have of which one alone can have it, in their order.
pub fn conflicts<'a>(sites: impl IntoIterator<Item = &'a SiteHosts>) -> Vec<Conflict> {
    let (mut all, mut of_host, mut default) = (Vec::new(), HashMap::new(), None);
    for (number, site) in sites.into_iter().enumerate() {
        for host in &site.patterns {
            let first = *of_host.entry(host).or_insert(number);
            if first != number {
                all.push(Conflict { host: Some(host.clone()), sites: [first, number] });
            }
        }
        if site.is_default {
            let first = *default.get_or_insert(number);
            if first != number {
                all.push(Conflict { host: None, sites: [first, number] });
            }
        }
    }
    all
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.sites.map(|number| number + 1);
        match &self.host {
            Some(host) => write!(f, "sites {one} and {other} both have the host {host}"),
            None => write!(f, "sites {one} and {other} are both the default"),
        }
    }
}

impl std::error::Error for Conflict {}

impl HostTable {
    /// Those of sites, which are numbered in this order.
    pub fn new<'a>(
        sites: impl Iterator<Item = &'a SiteHosts> + Clone,
    ) -> Result<HostTable, Conflict> {
        if let Some(conflict) = conflicts(sites.clone()).into_iter().next() {
            return Err(conflict);
        }
        let mut hosts = HostTable::default();
        for (number, site) in (0..).zip(sites) {
            if site.is_default {
                hosts.default = Some(number);
            }
            for pattern in &site.patterns {
                hosts.names.extend(name(pattern, number));
                hosts.addresses.extend(address_of(pattern).map(|address| (address, number)));
            }
        }
        hosts.fill();
        Ok(hosts)
    }

    /// The number of the site that a request for this authority is for: a host with or without a
    /// port, in either case and with or without the final dot; `None` where a client names none.
    pub fn site(&self, authority: Option<&str>) -> Option<usize> {
        let named = authority.and_then(|authority| self.named(without_port(authority)));
        named.or(self.default).map(|number| number as usize)
    }

    fn named(&self, host: &str) -> Option<u32> {
        if let Some(address) = bracketed(host) {
            let found = self.addresses.iter().find(|(own, _)| *own == address);
            return found.map(|(_, site)| *site);
        }
        if self.slots.is_empty() {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let (whole, behind_label) = hashes(host.as_bytes());
        self.find(whole, host, false).or_else(|| {
            let (hash, dot) = behind_label?;
            // A label is not empty, and an address has none.
            let has_label = dot > 0 && !is_address(host);
            has_label.then(|| self.find(hash, &host[dot..], true))?
        })
    }

    fn find(&self, hash: u64, text: &str, is_wildcard: bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = place(hash, mask);
        loop {
            let number = (self.slots[slot] as usize).checked_sub(1)?;
            let name = &self.names[number];
            if name.hash == hash
                && name.is_wildcard == is_wildcard
                && name.text.eq_ignore_ascii_case(text)
            {
                return Some(name.site);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Puts the names in their slots. No two sites have the same.
    fn fill(&mut self) {
        if self.names.is_empty() {
            return;
        }
        self.slots = vec![0; (2 * self.names.len()).next_power_of_two()].into();
        for (number, name) in (1..).zip(&self.names) {
            let mask = self.slots.len() - 1;
            let mut slot = place(name.hash, mask);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = number;
        }
    }
}

/// Where the search for a hash begins.
fn place(hash: u64, mask: usize) -> usize {
    // Of a product the upper bits are the mixed ones.
    (hash >> 32) as usize & mask
}

fn name(pattern: &HostPattern, site: u32) -> Option<Name> {
    let (text, is_wildcard) = match pattern {
        HostPattern::Exact(host) if bracketed(host).is_some() => return None,
        HostPattern::Exact(host) => (host.to_ascii_lowercase(), false),
        HostPattern::Wildcard(domain) => (format!(".{}", domain.to_ascii_lowercase()), true),
    };
    let (hash, _) = hashes(text.as_bytes());
    Some(Name { hash, text: text.into(), is_wildcard, site })
}

fn address_of(pattern: &HostPattern) -> Option<Ipv6Addr> {
    match pattern {
        HostPattern::Exact(host) => bracketed(host),
        HostPattern::Wildcard(_) => None,
    }
}

/// The address in brackets.
fn bracketed(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The hash of a host in lower case, and of what begins with its first dot, with the place of that.
///
/// FNV-1a. No client chooses the names in the table, so none can make them collide; one that asks
/// for a host with the hash of another finds that it is none.
fn hashes(host: &[u8]) -> (u64, Option<(u64, usize)>) {
    let (mut hash, mut behind_label) = (0xcbf2_9ce4_8422_2325_u64, None);
    for (at, byte) in host.iter().enumerate().rev() {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
        if *byte == b'.' {
            behind_label = Some((hash, at));
        }
    }
    (hash, behind_label)
}

#[cfg(test)]
mod tests {
    use super::{Conflict, HostTable, SiteHosts};
    use crate::http::HostPattern;
    use crate::http::host_pattern::comparable;

    fn pattern(text: &str) -> HostPattern {
        HostPattern::parse(text).expect("a host")
    }

    fn site(hosts: &[&str], is_default: bool) -> SiteHosts {
        let patterns = hosts.iter().map(|host| pattern(host)).collect();
        SiteHosts { patterns, is_default }
    }

    #[test]
    fn host_is_found_in_any_case_and_without_port_and_final_dot() {
        let sites = [
            site(&["a.example", "127.0.0.1", "[2001:db8::1]"], false),
            site(&["*.a.example", "b.example"], false),
            site(&["x.a.example"], false),
        ];
        let hosts = HostTable::new(sites.iter()).expect("no conflict");
        for (authority, expected) in [
            ("a.example", Some(0)),
            ("A.Example.:80", Some(0)),
            ("a.example:", Some(0)),
            ("127.0.0.1:8080", Some(0)),
            ("[2001:DB8:0::1]:443", Some(0)),
            ("w.a.example", Some(1)),
            ("X.A.EXAMPLE", Some(2)),
            ("v.w.a.example", None),
            (".a.example", None),
            ("a.example..", None),
            ("b.example.evil", None),
            ("ab.example", None),
            ("9.0.0.1", None),
            ("[2001:db8::2]", None),
            ("2001:db8::1", None),
            ("", None),
            (".", None),
            (":80", None),
        ] {
            assert_eq!(hosts.site(Some(authority)), expected, "{authority}");
        }
        assert_eq!(hosts.site(None), None);
    }

    #[test]
    fn default_site_serves_what_no_other_is_for() {
        let sites = [site(&["a.example"], false), site(&["b.example"], true)];
        let hosts = HostTable::new(sites.iter()).expect("no conflict");
        let found = [Some("a.example"), Some("b.example"), Some("c.example"), Some("[::1]"), None]
            .map(|host| hosts.site(host));
        assert_eq!(found, [Some(0), Some(1), Some(1), Some(1), Some(1)]);
    }

    #[test]
    fn host_of_two_sites_is_a_conflict() {
        for (one, other, host) in [
            ("a.example", "A.example", Some("a.example")),
            ("*.a.example", "*.a.example", Some("*.a.example")),
            ("[::1]", "[0:0::1]", Some("[::1]")),
        ] {
            let sites = [site(&[one, one], false), site(&[], false), site(&[other], false)];
            let conflict = HostTable::new(sites.iter()).expect_err("a conflict");
            assert_eq!(conflict, Conflict { host: host.map(pattern), sites: [0, 2] });
        }
        let conflict = HostTable::new([site(&[], true), site(&[], true)].iter());
        assert_eq!(conflict.expect_err("a conflict"), Conflict { host: None, sites: [0, 1] });
    }

    /// The slow and obvious one.
    fn naive(sites: &[SiteHosts], host: &str) -> Option<usize> {
        let host = comparable(host);
        let exact = |pattern: &HostPattern| {
            matches!(pattern, HostPattern::Exact(_)) && pattern.matches(&host)
        };
        let any = |pattern: &HostPattern| pattern.matches(&host);
        let of = |is_it: &dyn Fn(&HostPattern) -> bool| {
            sites.iter().position(|site| site.patterns.iter().any(is_it))
        };
        of(&exact).or_else(|| of(&any))
    }

    #[test]
    fn lookup_finds_what_the_naive_one_finds() {
        let labels = ["a", "b", "ab", "aa", "xn--bcher-kva"];
        let mut names: Vec<String> = labels.map(str::to_owned).into();
        for _ in 0..2 {
            let longer =
                names.iter().flat_map(|name| labels.map(|label| format!("{label}.{name}")));
            names = names.iter().cloned().chain(longer).collect();
            names.sort();
            names.dedup();
        }
        // Each name, and each wildcard, is of some site, or of none, in many mixtures.
        let mut random = 1_u64;
        for _ in 0..200 {
            let mut sites = vec![SiteHosts::default(); 7];
            for name in &names {
                for text in [name.clone(), format!("*.{name}")] {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let choice = usize::try_from(random >> 33).expect("31 bits") % 20;
                    if let Some(site) = sites.get_mut(choice) {
                        site.patterns.push(pattern(&text));
                    }
                }
            }
            let hosts = HostTable::new(sites.iter()).expect("no conflict");
            for name in &names {
                for host in [name.clone(), name.to_ascii_uppercase() + ".", format!("c.{name}:1")] {
                    assert_eq!(hosts.site(Some(&host)), naive(&sites, &host), "{host}");
                }
            }
        }
    }

    #[test]
    fn thousand_sites_are_found() {
        let sites: Vec<_> =
            (0..1_000).map(|number| site(&[&format!("s{number}.example")], false)).collect();
        let hosts = HostTable::new(sites.iter()).expect("no conflict");
        for number in 0..1_000 {
            assert_eq!(hosts.site(Some(&format!("S{number}.example"))), Some(number));
        }
        // Few are looked at for one that is not there.
        assert_eq!(hosts.site(Some("s1000.example")), None);
    }
}
