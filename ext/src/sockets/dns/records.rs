//! DNS records, in the shape of `node:dns`:
//! <https://nodejs.org/api/dns.html#dnsresolveanyhostname-callback>

use std::net::IpAddr;

use hickory_resolver::Name;
use hickory_resolver::proto::rr::rdata::caa::CAA;
use hickory_resolver::proto::rr::rdata::tlsa::TLSA;
use hickory_resolver::proto::rr::{RData, Record as Resolved};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(in crate::sockets) enum Record {
    A {
        address: String,
        ttl: u32,
    },
    #[serde(rename = "AAAA")]
    Aaaa {
        address: String,
        ttl: u32,
    },
    #[serde(rename = "CAA")]
    Caa {
        critical: u8,
        tag: String,
        value: String,
    },
    #[serde(rename = "CNAME")]
    Cname {
        value: String,
    },
    #[serde(rename = "MX")]
    Mx {
        exchange: String,
        priority: u16,
    },
    #[serde(rename = "NAPTR")]
    Naptr {
        flags: String,
        service: String,
        regexp: String,
        replacement: String,
        order: u16,
        preference: u16,
    },
    #[serde(rename = "NS")]
    Ns {
        value: String,
    },
    #[serde(rename = "PTR")]
    Ptr {
        value: String,
    },
    #[serde(rename = "SOA")]
    Soa {
        nsname: String,
        hostmaster: String,
        serial: u32,
        refresh: i32,
        retry: i32,
        expire: i32,
        minttl: u32,
    },
    #[serde(rename = "SRV")]
    Srv {
        name: String,
        port: u16,
        priority: u16,
        weight: u16,
    },
    #[serde(rename = "TLSA")]
    Tlsa {
        cert_usage: u8,
        selector: u8,
        #[serde(rename = "match")]
        matching: u8,
        data: ByteBuf,
    },
    #[serde(rename = "TXT")]
    Txt {
        entries: Vec<String>,
    },
}

impl Record {
    /// Creates an address record.
    pub(super) fn address(address: IpAddr, ttl: u32) -> Self {
        let text = address.to_string();
        match address {
            IpAddr::V4(_) => Self::A { address: text, ttl },
            IpAddr::V6(_) => Self::Aaaa { address: text, ttl },
        }
    }

    /// Returns the address of an address record.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::A { address, .. } | Self::Aaaa { address, .. } => address.parse().ok(),
            _ => None,
        }
    }

    /// Converts a record; `None` for a type that `node:dns` does not support.
    pub(super) fn of(record: &Resolved) -> Option<Self> {
        let ttl = record.ttl();
        Some(match record.data() {
            RData::A(address) => Self::address(address.0.into(), ttl),
            RData::AAAA(address) => Self::address(address.0.into(), ttl),
            RData::CAA(caa) => authorization(caa),
            RData::CNAME(name) => Self::Cname { value: text(&name.0) },
            RData::MX(mx) => Self::Mx {
                exchange: text(mx.exchange()),
                priority: mx.preference(),
            },
            RData::NAPTR(naptr) => Self::Naptr {
                flags: lossy(naptr.flags()),
                service: lossy(naptr.services()),
                regexp: lossy(naptr.regexp()),
                replacement: text(naptr.replacement()),
                order: naptr.order(),
                preference: naptr.preference(),
            },
            RData::NS(name) => Self::Ns { value: text(&name.0) },
            RData::PTR(name) => Self::Ptr { value: text(&name.0) },
            RData::SOA(soa) => Self::Soa {
                nsname: text(soa.mname()),
                hostmaster: text(soa.rname()),
                serial: soa.serial(),
                refresh: soa.refresh(),
                retry: soa.retry(),
                expire: soa.expire(),
                minttl: soa.minimum(),
            },
            RData::SRV(srv) => Self::Srv {
                name: text(srv.target()),
                port: srv.port(),
                priority: srv.priority(),
                weight: srv.weight(),
            },
            RData::TLSA(tlsa) => association(tlsa),
            RData::TXT(txt) => Self::Txt {
                entries: txt.iter().map(|entry| lossy(entry)).collect(),
            },
            _ => return None,
        })
    }
}

fn authorization(caa: &CAA) -> Record {
    Record::Caa {
        critical: if caa.issuer_critical() { 128 } else { 0 },
        tag: caa.tag().as_str().to_owned(),
        value: lossy(caa.raw_value()),
    }
}

fn association(tlsa: &TLSA) -> Record {
    Record::Tlsa {
        cert_usage: tlsa.cert_usage().into(),
        selector: tlsa.selector().into(),
        matching: tlsa.matching().into(),
        data: ByteBuf::from(tlsa.cert_data()),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns a name without its trailing dot.
fn text(name: &Name) -> String {
    let mut text = name.to_utf8();
    if text.ends_with('.') && text.len() > 1 {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{HINFO, MX, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    #[test]
    fn records_have_the_shape_of_node() {
        let record = |data| Record::of(&Resolved::from_rdata(name("a.example."), 60, data));
        let json = |data| serde_json::to_value(record(data).unwrap()).unwrap();
        assert_eq!(
            json(RData::MX(MX::new(10, name("mail.example.")))),
            serde_json::json!({ "type": "MX", "exchange": "mail.example", "priority": 10 })
        );
        assert_eq!(
            json(RData::TXT(TXT::new(vec!["a".into(), "b".into()]))),
            serde_json::json!({ "type": "TXT", "entries": ["a", "b"] })
        );
        assert_eq!(
            json(RData::A("192.0.2.1".parse().unwrap())),
            serde_json::json!({ "type": "A", "address": "192.0.2.1", "ttl": 60 })
        );
        assert_eq!(record(RData::HINFO(HINFO::new("a".into(), "b".into()))), None);
    }
}
