//! `node:dns` over the resolver of an embedder. The checks are in the folder `node`; answers of name servers are tested in
//! isopod-ext.

use std::io;
use std::net::IpAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_runtime::Limits;
use isopod_runtime::fetch::{ConnectionOptions, FetchConfig, ResolveHost, Resolver};
use isopod_runtime::quotas::Quotas;
use serde_json::json;

use crate::common::{call, script};

const DNS: &str = concat!(include_str!("web/checks.js"), include_str!("node/dns.js"));

/// The addresses of this test.
struct Known;

impl ResolveHost for Known {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = match name {
            "a.example" => Ok(vec!["2606:4700::1", "1.2.3.4", "10.0.0.1"]),
            "private.example" => Ok(vec!["10.0.0.1"]),
            "none.example" => Ok(vec![]),
            _ => Err(io::Error::other("no such name")),
        };
        let answer = answer.map(|texts| texts.into_iter().map(|text| text.parse().unwrap()).collect());
        async move { answer }.boxed()
    }
}

fn with_resolver() -> isopod_runtime::ScriptBuilder {
    let connection = ConnectionOptions::default().resolver(Resolver::new(Known));
    script(DNS).fetch(FetchConfig::default().connection(connection))
}

#[test]
fn names_are_looked_up_by_the_resolver_of_fetch() {
    assert_eq!(call(with_resolver(), "lookups", vec![]).unwrap(), json!([]));
}

#[test]
fn forbidden_addresses_are_not_revealed() {
    assert_eq!(call(with_resolver(), "guarded", vec![]).unwrap(), json!([]));
}

#[test]
fn each_question_is_charged_to_its_event() {
    let limited = with_resolver().limits(Limits::default().quotas(Quotas::default().subrequests(2)));
    assert_eq!(call(limited, "charged", vec![]).unwrap(), json!([]));
}
