//! The network guard: no spelling of a special address passes, and public addresses do.
//!
//! The reference is the registries of special-purpose addresses (RFC 6890 and its successors) as a table, and a parser
//! of addresses like that of C libraries. Neither shares code with the guard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use deno_core::url::{Host, Url};
use isopod_ext::fetch::{NetPolicy, Rule};
use proptest::prelude::*;
use proptest::sample::select;

use crate::engine::Target;
use crate::mutate::mutated;

const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001:1::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// Networks that embed an IPv4 address, and the number of bits before it.
const WRAPPED: &[(&str, u32)] = &[
    ("::/96", 96),
    ("::ffff:0:0/96", 96),
    ("::ffff:0:0:0/96", 96),
    ("64:ff9b::/96", 96),
    ("2002::/16", 16),
];

/// A network: an address, and how many of its bits count.
#[derive(Clone, Copy)]
struct Net {
    address: IpAddr,
    bits: usize,
}

impl Net {
    /// Reads `address/bits`, or an address alone.
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unzip();
        let address: IpAddr = address.unwrap_or(text).parse().ok()?;
        let width = octets(address).len() * 8;
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok())?;
        (bits <= width).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let (own, other) = (octets(self.address), octets(address));
        let bit = |octets: &[u8], at: usize| octets[at / 8] >> (7 - at % 8) & 1;
        own.len() == other.len() && (0..self.bits).all(|at| bit(&own, at) == bit(&other, at))
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn net(text: &str) -> Net {
    Net::read(text).expect("a network")
}

fn is_special(address: IpAddr) -> bool {
    let listed = |address| SPECIAL.iter().any(|special| net(special).contains(address));
    if listed(address) {
        return true;
    }
    let IpAddr::V6(six) = address else { return false };
    let bits = u128::from(six);
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
    let inside = |before: u32| IpAddr::from(Ipv4Addr::from((bits >> (96 - before)) as u32));
    let wrapped = WRAPPED.iter().find(|(prefix, _)| net(prefix).contains(address));
    if let Some((_, before)) = wrapped {
        return listed(inside(*before));
    }
    // Teredo embeds its client's address with inverted bits.
    if net("2001::/32").contains(address) {
        let IpAddr::V4(turned) = inside(96) else { return true };
        return listed(IpAddr::from(Ipv4Addr::from(!u32::from(turned))));
    }
    // All public addresses are in 2000::/3.
    !net("2000::/3").contains(address)
}

/// A number in C's notation: `0x` for hexadecimal, a leading `0` for octal.
fn c_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    valid.then(|| u64::from_str_radix(digits, radix).ok()).flatten()
}

/// `inet_aton`: one to four numbers, of which the last fills the remaining bytes.
fn c_address(text: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u64>> = text.split('.').map(c_number).collect();
    let parts = parts.filter(|parts| parts.len() <= 4)?;
    let (last, head) = parts.split_last()?;
    let room = 32 - 8 * u32::try_from(head.len()).ok()?;
    if head.iter().any(|part| *part > 255) || *last >= 1 << room {
        return None;
    }
    let high = head.iter().fold(0, |bits, part| (bits << 8) | part);
    u32::try_from((high << room) | last).ok().map(Ipv4Addr::from)
}

/// The address that any client would connect to, if the URL determines it.
fn target(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            c_address(name).map(IpAddr::V4).or_else(|| name.parse().ok())
        }
    }
}

fn check_url(text: &str) {
    let Ok(url) = text.parse::<Url>() else { return };
    let passes = NetPolicy::default().check_url(&url).is_ok();
    assert!(!passes || matches!(url.scheme(), "http" | "https"), "{url}");
    if let Some(address) = target(&url)
        && matches!(url.scheme(), "http" | "https")
    {
        assert_eq!(passes, !is_special(address), "{text:?} leads to {address}");
    }
}

const WORDS: &[&str] = &[
    "127.0.0.1",
    "0x7f",
    "0177",
    "2130706433",
    "1",
    ".",
    "::",
    "ffff:",
    "[",
    "]",
    "@",
    ":",
    "/",
    "\\",
    "%31",
    "１",
    "。",
    "localhost",
    "64:ff9b::",
    "2002:7f00:1::",
    "http://",
    "https:",
    "0",
    "00",
    "0x",
    "a.",
    "#",
    "?",
    "\t",
    "fe80::1%25eth0",
    "169.254.169.254",
];

#[test]
fn guard_urls() {
    Target::new("guard_urls").run(|corpus| mutated(corpus, WORDS), check_url);
}

fn special_v4() -> impl Strategy<Value = Ipv4Addr> {
    let nets = SPECIAL.iter().filter_map(|text| match net(text) {
        Net {
            address: IpAddr::V4(first),
            bits,
        } => Some((u32::from(first), u32::MAX >> bits)),
        _ => None,
    });
    (select(nets.collect::<Vec<_>>()), any::<u32>())
        .prop_map(|((first, rest), bits)| Ipv4Addr::from(first | (bits & rest)))
}

/// A number in one of C's notations, with digits that are equivalent in Unicode.
fn spelled(number: u32, how: u8) -> String {
    match how % 7 {
        0 => number.to_string(),
        1 => format!("{number:#x}"),
        2 => format!("0X{number:X}"),
        3 => format!("0{number:o}"),
        4 => format!("000{number:o}"),
        5 => number
            .to_string()
            .chars()
            .map(|c| char::from_u32(c as u32 + 0xfee0).unwrap_or(c))
            .collect(),
        _ => number.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect(),
    }
}

/// An address in one of the forms permitted in `http` URLs.
fn host(address: Ipv4Addr, form: u8, how: [u8; 4]) -> String {
    let [a, b, c, d] = address.octets().map(u32::from);
    let bits = u32::from(address);
    let (high, low) = (bits >> 16, bits & 0xffff);
    let six = |text: String| format!("[{text}]");
    let [w, x, y, z] = how;
    match form % 12 {
        0 | 1 => format!(
            "{}.{}.{}.{}",
            spelled(a, w),
            spelled(b, x),
            spelled(c, y),
            spelled(d, z)
        ),
        2 => format!("{}.{}.{}", spelled(a, w), spelled(b, x), spelled(low, y)),
        3 => format!("{}.{}", spelled(a, w), spelled(bits & 0x00ff_ffff, x)),
        4 => spelled(bits, w),
        5 => format!(
            "{}。{}．{}.{}.",
            spelled(a, w),
            spelled(b, x),
            spelled(c, y),
            spelled(d, z)
        ),
        6 => six(format!("::ffff:{address}")),
        7 => six(format!("0:0:0:0:0:FFFF:{high:x}:{low:04X}")),
        8 => six(format!("64:ff9b::{high:x}:{low:x}")),
        9 => six(format!("2002:{high:x}:{low:x}::{}", w)),
        10 => six(Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !(high as u16), !(low as u16)).to_string()),
        _ => six(format!("2607:f8b0::5efe:{address}")),
    }
}

/// A text is an address and a URL that spells it.
fn spelling() -> impl Strategy<Value = String> {
    let around = select(vec![
        ("http://", "/"),
        ("https://", ""),
        ("http:\\\\", "\\x"),
        ("HTTP://user:pw@", ":80/"),
        ("http:////", "/?q#f"),
        (" ht\ntp://", "/ "),
        ("http://example.com@", "/"),
    ]);
    (special_v4(), any::<u8>(), any::<[u8; 4]>(), around).prop_map(|(address, form, how, (before, after))| {
        format!("{address} {before}{}{after}", host(address, form, how))
    })
}

fn check_spelling(text: &str) {
    let (_, url) = text.split_once(' ').expect("an address and a URL");
    let Ok(url) = url.parse::<Url>() else { return };
    let refused = NetPolicy::default().check_url(&url);
    assert!(refused.is_err(), "{text:?} passes as {url}");
}

#[test]
fn guard_spellings() {
    Target::new("guard_spellings").run(|_| spelling(), check_spelling);
}

/// A text is a rule and an address: the rule matches if its network contains the address.
fn check_rule(text: &str) {
    let (rule, address) = text.split_once(' ').unwrap_or((text, "10.0.0.1"));
    let (Ok(rule), Ok(address)) = (rule.parse::<Rule>(), address.parse::<IpAddr>()) else {
        return;
    };
    let text = text.split(' ').next().unwrap_or_default();
    let policy = NetPolicy::default().allow_private(true).deny(vec![rule]);
    let Some(network) = Net::read(text).filter(|network| network.address.is_ipv4() == address.is_ipv4()) else {
        return;
    };
    // An IPv6 address is also denied for the IPv4 address it embeds, but not by a rule of this kind.
    let denied = policy.check_answer("name", address, Some(80)).is_err();
    assert_eq!(denied, network.contains(address), "{text} and {address}");
}

#[test]
fn guard_rules() {
    let words = &[
        "/", "0", "/32", "/128", ":", "*.", "[", "]", ":80", "10.0.0.0", "fd00::", "::ffff:", "host", "-", " ", "/8",
    ];
    Target::new("guard_rules").run(|corpus| mutated(corpus, words), check_rule);
}
