use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use deno_core::url::Url;
use proptest::prelude::*;

use super::{NetPolicy, Refused, special};
use crate::fetch::Rule;

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn check(policy: &NetPolicy, url: &str) -> Result<(), Refused> {
    policy.check_url(&url.parse::<Url>().unwrap())
}

// row 29
#[test]
fn every_spelling_of_a_special_address_is_refused() {
    let policy = NetPolicy::default();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.0.0.1.",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "１２７.０.０.１",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:1:2:3:4:80ff:fffe]",
        "[2607:f8b0::5efe:127.0.0.1]",
        "[fd00:ec2::254]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        "[4000::1]",
        "localhost",
        "LOCALHOST.",
        "a.b.localhost",
        "ｌｏｃａｌｈｏｓｔ",
    ] {
        let refused = check(&policy, &format!("http://{host}/"));
        assert!(matches!(refused, Err(Refused::Special { .. })), "{host}: {refused:?}");
    }
}

#[test]
fn public_addresses_and_names_pass() {
    let policy = NetPolicy::default();
    for host in [
        "1.1.1.1",
        "172.32.0.1",
        "100.128.0.1",
        "example.com",
        "[2606:4700::1111]",
        "[64:ff9b::8.8.8.8]",
    ] {
        assert_eq!(check(&policy, &format!("https://{host}/")), Ok(()), "{host}");
    }
}

#[test]
fn only_http_and_https_pass() {
    for url in [
        "file:///etc/passwd",
        "ftp://example.com/",
        "ws://example.com/",
        "unix:/run/x.sock",
    ] {
        assert!(
            matches!(check(&NetPolicy::default(), url), Err(Refused::Scheme(_))),
            "{url}"
        );
    }
}

#[test]
fn an_allow_rule_is_an_exception_for_its_host_and_port() {
    let policy = NetPolicy {
        allow: rules(&["127.0.0.1:8080", "*.internal", "10.0.0.0/8"]),
        ..NetPolicy::default()
    };
    assert!(check(&policy, "http://127.1:8080/").is_ok());
    assert!(check(&policy, "http://[::ffff:127.0.0.1]:8080/").is_ok());
    assert!(check(&policy, "http://127.0.0.1:8081/").is_err());
    assert!(check(&policy, "http://10.255.0.1/").is_ok());
    assert!(check(&policy, "http://11.0.0.1/").is_ok());
    let private = IpAddr::from([192, 168, 0, 1]);
    assert!(policy.check_answer("db.internal", private, None).is_ok());
    assert!(policy.check_answer("internal", private, None).is_err());
    assert!(policy.check_answer("evilinternal", private, None).is_err());
    assert_eq!(
        (policy.port_class(Some(8080)), policy.port_class(Some(80))),
        (Some(8080), None)
    );
}

#[test]
fn a_deny_rule_takes_precedence() {
    let policy = NetPolicy {
        allow_private: true,
        deny: rules(&["169.254.0.0/16", "bad.example", "*:25"]),
        allow: rules(&["0.0.0.0/0"]),
        only: Some(rules(&["*"])),
    };
    assert!(check(&policy, "http://127.0.0.1/").is_ok());
    assert!(matches!(
        check(&policy, "http://169.254.169.254/"),
        Err(Refused::Denied(_))
    ));
    assert!(matches!(
        check(&policy, "http://[::ffff:169.254.169.254]/"),
        Err(Refused::Denied(_))
    ));
    assert!(matches!(
        check(&policy, "http://BAD.example./"),
        Err(Refused::Denied(_))
    ));
    assert!(
        policy
            .check_answer("fine.example", IpAddr::from([169, 254, 1, 1]), None)
            .is_err()
    );
    assert!(matches!(check(&policy, "http://1.1.1.1:25/"), Err(Refused::Denied(_))));
    assert!(matches!(
        check(&policy, "http://fine.example:25/"),
        Err(Refused::Denied(_))
    ));
}

#[test]
fn an_only_list_excludes_all_other_hosts() {
    let policy = NetPolicy {
        only: Some(rules(&["api.example:443", "*.cdn.example", "8.8.0.0/16:53"])),
        ..NetPolicy::default()
    };
    let listed = |url| !matches!(check(&policy, url), Err(Refused::NotListed(_)));
    assert!(listed("https://api.example/") && listed("http://a.cdn.example/") && listed("http://8.8.4.4:53/"));
    assert!(!listed("http://api.example/") && !listed("http://cdn.example/") && !listed("http://8.8.4.4/"));
    assert!(!listed("https://other.example/") && !listed("https://1.1.1.1/"));
    // A name in no rule may resolve into a listed network, at its port.
    assert!(listed("http://dns.example:53/"));
    let answer = |address: [u8; 4]| policy.check_answer("dns.example", address.into(), Some(53));
    assert!(answer([8, 8, 8, 8]).is_ok());
    assert_eq!(answer([1, 1, 1, 1]), Err(Refused::NotListed("dns.example".to_owned())));
    assert_eq!(policy.port_class(Some(53)), Some(53));
    // The list only restricts.
    let private = policy.check_answer("a.cdn.example", [10, 0, 0, 1].into(), None);
    assert!(matches!(private, Err(Refused::Special { .. })), "{private:?}");
    let nothing = NetPolicy {
        allow_private: true,
        only: Some(Vec::new()),
        ..NetPolicy::default()
    };
    assert!(check(&nothing, "https://example.com/").is_err() && check(&nothing, "http://127.0.0.1/").is_err());
}

#[test]
fn localhost_is_loopback_by_either_address() {
    for allowed in ["localhost", "127.0.0.1", "::1"] {
        let policy = NetPolicy {
            allow: rules(&[allowed]),
            ..NetPolicy::default()
        };
        assert_eq!(check(&policy, "http://localhost:8080/"), Ok(()), "{allowed}");
    }
    assert_eq!(check(&NetPolicy::default(), "http://localhost.example/"), Ok(()));
}

proptest! {
    /// All spellings and embeddings of an IPv4 address are treated like the address itself.
    #[test]
    fn wrapping_an_address_changes_nothing(bits: u32) {
        let policy = NetPolicy::default();
        let address = Ipv4Addr::from(bits);
        let [a, b, c, d] = address.octets();
        let refused = special(address.into()).is_some();
        let (high, low) = ((bits >> 16) as u16, bits as u16);
        let wrapped = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 9, 9, 9, 9, !high, !low),
        ];
        for address in wrapped {
            prop_assert_eq!(policy.check_answer("name", address.into(), None).is_err(), refused, "{}", address);
        }
        for host in [format!("{bits}"), format!("{bits:#x}"), format!("{a}.{b}.{c}.{d}"), format!("0{a:o}.{b}.{}", u32::from(c) << 8 | u32::from(d))] {
            prop_assert_eq!(check(&policy, &format!("http://{host}/")).is_err(), refused, "{}", host);
        }
    }

    #[test]
    fn a_rule_for_everything_allows_everything_and_denies_everything(bits: u128) {
        let address = IpAddr::from(Ipv6Addr::from(bits));
        let open = NetPolicy { allow: rules(&["::/0"]), ..NetPolicy::default() };
        prop_assert!(open.check_answer("name", address, None).is_ok());
        let closed = NetPolicy { allow_private: true, deny: rules(&["::/0"]), ..NetPolicy::default() };
        prop_assert!(closed.check_answer("name", address, None).is_err());
    }
}
