//! The addresses of this machine that others can use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

/// Addresses that are told at most: machines with containers have dozens.
const MOST: usize = 8;

/// The addresses of interfaces that are up, without those that only this machine or its link can
/// use; those of IPv4 first. Empty where the system does not tell.
pub(super) fn addresses() -> Vec<IpAddr> {
    let mut all = of_interfaces();
    all.retain(|address| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    });
    all.sort_by_key(IpAddr::is_ipv6);
    all.truncate(MOST);
    all
}

#[expect(unsafe_code, reason = "no library that we have lists the addresses of interfaces")]
fn of_interfaces() -> Vec<IpAddr> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: getifaddrs(3) writes a list to this address, or fails and writes nothing.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: each entry is null or one of the list, which is freed below and changed by nobody.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        let is_up = entry.ifa_flags & libc::IFF_UP.cast_unsigned() != 0;
        // SAFETY: the address is null, or one whose family tells how long it is; it lives as long
        // as the list.
        found.extend(unsafe { address(entry.ifa_addr) }.filter(|_| is_up));
    }
    // SAFETY: the list is the one that getifaddrs made, and nothing of it is used from now on.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// # Safety
///
/// The address is null, or one of its family.
#[expect(unsafe_code, reason = "the family of an address tells its type")]
unsafe fn address(of: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: it is null or an address, which has a family at least.
    let family = unsafe { of.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: what is of this family is of this type; it may be less aligned.
            let v4 = unsafe { of.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the same.
            let v6 = unsafe { of.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{addresses, of_interfaces};
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn addresses_that_only_this_machine_has_are_left_out() {
        assert!(of_interfaces().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "loopback is down");
        assert!(addresses().iter().all(|address| !address.is_loopback()));
    }
}
