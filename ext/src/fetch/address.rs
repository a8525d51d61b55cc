//! Classification of IP addresses: special ranges, and embedded IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns the address, and the IPv4 address that it may embed.
pub(super) fn spellings(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(address) = address {
        all.extend(embedded(address).map(IpAddr::V4));
    }
    all
}

/// Returns the IPv4 address embedded in a mapped, compatible, NAT64, 6to4, Teredo or ISATAP address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // ::ffff:0:0/96 mapped, ::/96 compatible, ::ffff:0:0:0/96 translated
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => Some(pair(a, b)),
        [0, 0, 0, 0, 0, 0, a, b] if (a, b) != (0, 0) && (a, b) != (0, 1) => Some(pair(a, b)),
        // 64:ff9b::/96; the local-use prefix 64:ff9b:1::/48 is rejected entirely
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => Some(pair(a, b)),
        [0x2002, a, b, ..] => Some(pair(a, b)),
        // Teredo embeds the client's address with inverted bits
        [0x2001, 0, _, _, _, _, a, b] => Some(pair(!a, !b)),
        [_, _, _, _, 0 | 0x200, 0x5efe, a, b] => Some(pair(a, b)),
        _ => None,
    }
}

/// Returns the name of the special range that contains an address; `None` for a public address.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "unspecified",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "carrier-grade NAT",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local (metadata)",
        [192, 0, 0, _] | [192, 88, 99, _] => "reserved",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [198, 18..=19, ..] => "benchmarking",
        [224..=239, ..] => "multicast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("unspecified");
    }
    if address.is_loopback() {
        return Some("loopback");
    }
    Some(match address.segments() {
        [0xfc00..=0xfdff, ..] => "private (unique local)",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "site-local",
        [0xff00..=0xffff, ..] => "multicast",
        [0x100, 0, 0, 0, ..] => "discard-only",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x64, 0xff9b, 0 | 1, ..] => return special_nat64(address),
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => return special_tunnel(address),
        [0x2000..=0x3fff, ..] => return None,
        // Mapped, compatible and translated addresses are classified by the embedded one.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, ..] if embedded(address).is_some() => return None,
        // All global unicast addresses are in 2000::/3.
        _ => "reserved",
    })
}

fn special_nat64(address: Ipv6Addr) -> Option<&'static str> {
    if embedded(address).is_some() {
        None
    } else {
        Some("private (local NAT64)")
    }
}

/// 6to4 and Teredo are classified by the embedded address; the rest of 2001::/23 is protocol assignments.
fn special_tunnel(address: Ipv6Addr) -> Option<&'static str> {
    if embedded(address).is_some() {
        None
    } else {
        Some("reserved")
    }
}
