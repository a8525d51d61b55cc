//! Lookups for `node:dns`. The network guard of `fetch` decides the names that may be queried and the addresses that are
//! returned.
//!
//! Addresses of a host come from the resolver of `fetch`, the system's or the embedder's. Other records come from the
//! system's name servers; an embedder's resolver has none.

mod error;
mod records;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use deno_core::url::Host;
use deno_core::{CancelFuture, CancelHandle, OpState, op2};
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::name_server::TokioConnectionProvider;
use hickory_resolver::proto::rr::{Record as Resolved, RecordType};
use hickory_resolver::{Name, ResolveError, ResolverBuilder, TokioResolver};

use self::error::{DnsError, DnsFailed};
use self::records::Record;
use super::target::parse;
use crate::context::end_with_event;
use crate::event::{EventEnded, EventKey};
use crate::fetch::{self, FetchConfig, NetworkCall, NetworkReply, Refused, charge_event, permitted};
use crate::io::{Bound, Io};
use crate::quotas::Usage;
use crate::unwind;

/// Time for one of two attempts with each name server.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Resolves a host, as for a connection.
#[op2]
#[serde]
pub(super) async fn op_isopod_dns_lookup(
    state: Rc<RefCell<OpState>>,
    #[smi] event: EventKey,
    #[string] name: String,
) -> Result<Vec<String>, DnsError> {
    unwind::catch_async(ask(
        &state,
        event,
        &name,
        async |config: FetchConfig, io: Rc<Io>| match asked(&config, || NetworkCall::Lookup(name.clone())).await? {
            None => addresses(&config, &io, &name).await,
            Some(NetworkReply::Addresses(addresses)) => Ok(addresses),
            Some(_) => Err(DnsFailed::NoData.into()),
        },
    ))
    .await?
}

/// Returns the addresses of a host that a script may see.
pub(super) async fn addresses(config: &FetchConfig, io: &Io, name: &str) -> Result<Vec<String>, DnsError> {
    check(config, name)?;
    let resolving = io.bound(()).run({
        let (resolver, name) = (config.connection.resolver.clone(), name.to_owned());
        move |()| async move { resolver.resolve(&name).await }
    });
    let answers = resolving.await?.map_err(|cause| DnsFailed::Lookup(Arc::new(cause)))?;
    Ok(permitted_of(config, name, answers)?
        .iter()
        .map(IpAddr::to_string)
        .collect())
}

/// Asks the process with the network; `None` if that is this one.
async fn asked(config: &FetchConfig, question: impl FnOnce() -> NetworkCall) -> Result<Option<NetworkReply>, DnsError> {
    let Some(remote) = config.network.remote() else {
        return Ok(None);
    };
    let elsewhere = |message, code| DnsFailed::Elsewhere { message, code };
    match fetch::ask(Arc::clone(remote), &question(), None).await {
        Ok((NetworkReply::Failed { message, code }, _)) => Err(elsewhere(message, code).into()),
        Ok((told, _)) => Ok(Some(told)),
        Err(error) => Err(elsewhere(error, None).into()),
    }
}

/// Converts an error for another process.
pub(super) fn failed(error: &DnsError) -> NetworkReply {
    let code = match error {
        DnsError::Failed(failed) => Some(failed.code().into_owned()),
        _ => None,
    };
    NetworkReply::Failed {
        message: error.to_string(),
        code,
    }
}

/// Looks up the records of a name with the type `kind`.
#[op2]
#[serde]
pub(super) async fn op_isopod_dns_records(
    state: Rc<RefCell<OpState>>,
    #[smi] event: EventKey,
    #[string] name: String,
    #[string] kind: String,
) -> Result<Vec<Record>, DnsError> {
    unwind::catch_async(ask(
        &state,
        event,
        &name,
        async |config: FetchConfig, io: Rc<Io>| match asked(&config, || {
            NetworkCall::Records(name.clone(), kind.clone())
        })
        .await?
        {
            None => records(&config, &io, &name, &kind).await,
            Some(NetworkReply::Records(json)) => Ok(serde_json::from_str(&json).map_err(|_| DnsFailed::NoData)?),
            Some(_) => Err(DnsFailed::NoData.into()),
        },
    ))
    .await?
}

/// Returns the records of a name that a script may see.
pub(super) async fn records(config: &FetchConfig, io: &Io, name: &str, kind: &str) -> Result<Vec<Record>, DnsError> {
    check(config, name)?;
    let kind: RecordType = kind.parse().map_err(|_| DnsFailed::Type(kind.to_owned()))?;
    if !config.connection.resolver.is_system() {
        return addresses_of(config, io, name, kind).await;
    }
    let mut question = Name::from_utf8(name).map_err(|_| DnsFailed::Name(name.to_owned()))?;
    // Names are fully qualified; the system's search list is for hosts.
    question.set_fqdn(true);
    let answers = client(io)?.run(move |resolver| records_of(resolver, question, kind));
    permitted_records(config, name, answers.await??)
}

/// Queries the name servers.
async fn records_of(resolver: TokioResolver, question: Name, kind: RecordType) -> Result<Vec<Record>, DnsFailed> {
    let answers = resolver.lookup(question, kind).await.map_err(DnsFailed::of)?;
    // Answers also contain the aliases.
    let of_kind = |record: &&_| kind == RecordType::ANY || Resolved::record_type(record) == kind;
    Ok(answers.record_iter().filter(of_kind).filter_map(Record::of).collect())
}

/// Checks, charges and runs a query, which ends with its event.
async fn ask<T>(
    state: &RefCell<OpState>,
    event: EventKey,
    name: &str,
    answer: impl AsyncFnOnce(FetchConfig, Rc<Io>) -> Result<T, DnsError>,
) -> Result<T, DnsError> {
    let (config, io, usage, ended) = {
        let state = state.borrow();
        let usage = Usage::of(&state);
        let config = state.try_borrow::<FetchConfig>().cloned().unwrap_or_default();
        check(&config, name)?;
        charge_event(&state, event, &usage)?;
        let ended = CancelHandle::new_rc();
        end_with_event(&state, event, &ended)?;
        let io = state.try_borrow::<Rc<Io>>().ok_or(DnsError::NoIo)?.clone();
        (config, io, usage, ended)
    };
    let _slot = usage.begin_op()?;
    answer(config, io).or_cancel(&ended).await.map_err(|_| EventEnded)?
}

/// Checks a name or an address with the guard.
fn check(config: &FetchConfig, name: &str) -> Result<(), Refused> {
    let lower = name.to_ascii_lowercase();
    let host = match parse(name) {
        Some(Host::Ipv4(address)) => Host::Ipv4(address),
        Some(Host::Ipv6(address)) => Host::Ipv6(address),
        // Includes names that are not host names, such as `_sip._tcp.example.com`.
        _ => Host::Domain(lower.trim_end_matches('.')),
    };
    config.policy.check_host(&host, None)
}

/// Returns the addresses that a script may see, because it may connect to them.
fn permitted_of(config: &FetchConfig, name: &str, answers: Vec<IpAddr>) -> Result<Vec<IpAddr>, DnsError> {
    let answers = answers.into_iter().map(|address| SocketAddr::new(address, 0));
    let found = permitted(&config.policy, name, None, answers).map_err(|error| withheld(error, name))?;
    if found.is_empty() {
        return Err(DnsFailed::NotFound.into());
    }
    Ok(found.iter().map(SocketAddr::ip).collect())
}

/// Replaces the guard's error about an address, which would reveal the address.
fn withheld(error: Refused, name: &str) -> DnsError {
    match error {
        Refused::Special { .. } => DnsError::Withheld(name.to_owned()),
        error => error.into(),
    }
}

/// Returns address records from an embedder's resolver.
async fn addresses_of(config: &FetchConfig, io: &Io, name: &str, kind: RecordType) -> Result<Vec<Record>, DnsError> {
    if !matches!(kind, RecordType::A | RecordType::AAAA) {
        return Err(DnsFailed::AddressesOnly.into());
    }
    let (resolver, asked) = (config.connection.resolver.clone(), name.to_owned());
    let resolving = io
        .bound(())
        .run(move |()| async move { resolver.resolve(&asked).await });
    let answers = resolving.await?.map_err(|cause| DnsFailed::Lookup(Arc::new(cause)))?;
    let of_kind = answers
        .into_iter()
        .filter(|address| address.is_ipv4() == (kind == RecordType::A));
    let addresses = permitted_of(config, name, of_kind.collect())?;
    Ok(addresses
        .into_iter()
        .map(|address| Record::address(address, 0))
        .collect())
}

/// Removes addresses that the guard does not permit. Fails if it permits none.
fn permitted_records(config: &FetchConfig, name: &str, records: Vec<Record>) -> Result<Vec<Record>, DnsError> {
    let mut refused = None;
    let mut kept = Vec::new();
    for record in records {
        match record
            .ip()
            .map(|address| config.policy.check_answer(name, address, None))
        {
            Some(Err(error)) => refused = Some(error),
            _ => kept.push(record),
        }
    }
    match (refused, kept.is_empty()) {
        (Some(error), true) => Err(withheld(error, name)),
        (None, true) => Err(DnsFailed::NoData.into()),
        _ => Ok(kept),
    }
}

/// Returns the thread's client of the system's name servers. It has no cache, because timing would reveal other workers' queries.
fn client(io: &Io) -> Result<Bound<TokioResolver>, DnsError> {
    io.client(&(), |()| Ok(built(TokioResolver::builder_tokio()?)))
        .map_err(|error: ResolveError| DnsFailed::Client(Arc::new(error)).into())
}

fn built(mut builder: ResolverBuilder<TokioConnectionProvider>) -> TokioResolver {
    let options = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = ATTEMPT;
    options.attempts = 2;
    builder.build()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::RData;
    use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, TXT};
    use hickory_resolver::proto::xfer::Protocol;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    /// Returns the answers of the test's name server.
    fn answers(asked: &Name, kind: RecordType) -> Result<Vec<RData>, ResponseCode> {
        match (asked.to_utf8().as_str(), kind) {
            ("a.example.", RecordType::MX) => Ok(vec![RData::MX(MX::new(5, name("mail.example.")))]),
            ("a.example.", RecordType::TXT) => Ok(vec![RData::TXT(TXT::new(vec!["one".into(), "two".into()]))]),
            ("a.example.", RecordType::A) => Ok(vec![
                RData::CNAME(CNAME(name("b.example."))),
                RData::A(A::new(192, 0, 2, 1)),
            ]),
            ("a.example.", _) => Ok(Vec::new()),
            ("failing.example.", _) => Err(ResponseCode::ServFail),
            ("refused.example.", _) => Err(ResponseCode::Refused),
            _ => Err(ResponseCode::NXDomain),
        }
    }

    /// Starts a name server, and returns a client of it.
    fn resolver() -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let query = question.queries()[0].clone();
                let mut answer = Message::new();
                answer.set_id(question.id()).set_message_type(MessageType::Response);
                answer.set_recursion_available(true).add_query(query.clone());
                match answers(query.name(), query.query_type()) {
                    Ok(data) => answer.add_answers(
                        data.into_iter()
                            .map(|data| Resolved::from_rdata(query.name().clone(), 60, data)),
                    ),
                    Err(code) => answer.set_response_code(code),
                };
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        let mut config = ResolverConfig::new();
        config.add_name_server(NameServerConfig::new(address, Protocol::Udp));
        built(TokioResolver::builder_with_config(
            config,
            TokioConnectionProvider::default(),
        ))
    }

    #[tokio::test]
    async fn records_come_from_name_servers() {
        let resolver = resolver();
        let records = async |text: &str, kind| records_of(resolver.clone(), name(text), kind).await;
        let json = |records: Vec<Record>| serde_json::to_value(records).unwrap();
        assert_eq!(
            json(records("a.example.", RecordType::MX).await.unwrap()),
            serde_json::json!([{ "type": "MX", "exchange": "mail.example", "priority": 5 }])
        );
        assert_eq!(
            json(records("a.example.", RecordType::TXT).await.unwrap()),
            serde_json::json!([{ "type": "TXT", "entries": ["one", "two"] }])
        );
        assert_eq!(
            json(records("a.example.", RecordType::A).await.unwrap()),
            serde_json::json!([{ "type": "A", "address": "192.0.2.1", "ttl": 60 }])
        );
        for (text, expected) in [
            ("a.example.", "the name has no such records"),
            ("none.example.", "there is no such name"),
            ("failing.example.", "the name server failed"),
            ("refused.example.", "the name server"),
        ] {
            let error = records(text, RecordType::SRV).await.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
