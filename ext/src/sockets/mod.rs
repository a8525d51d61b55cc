//! TCP connections of scripts: the module `cloudflare:sockets`.
//! <https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/>
//!
//! A connection belongs to the event that opened it, and ends with it. A task on the thread's I/O runtime (`transport`) owns
//! its socket and exchanges chunks over bounded channels with the worker's `Connection`. The network guard of `fetch`
//! (`target`) and bindings that permit an address (`granted`) decide its destination.

mod connection;
mod dns;
mod elsewhere;
mod error;
mod granted;
mod pinned;
mod served;
mod slots;
mod target;
mod tls;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{CancelFuture, CancelHandle, OpState, Resource, ResourceId, op2, v8};

use self::connection::Connection;
use self::error::ConnectError;
pub(crate) use self::granted::{Granted, is_granted};
pub(crate) use self::served::{serve_connect, serve_lookup, serve_records};
use self::slots::{Slot, Slots};
use self::target::Target;
use self::tls::{Secured, TlsKey, TlsSettings, server_name};
use self::transport::Options;
use crate::context::{current_event, end_with_event, is_open};
use crate::event::{EventEnded, EventKey};
use crate::fetch::{FetchConfig, charge_event};
use crate::io::Io;
use crate::quotas::Usage;
use crate::unwind;

/// A connection to be opened.
struct Pending {
    ask: RefCell<Option<Ask>>,
    cancel: Rc<CancelHandle>,
}

struct Ask {
    target: Target,
    tls: Tls,
    allow_half_open: bool,
    event: EventKey,
    slot: Slot,
}

/// The use of TLS, as numbered in `sockets.js`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Off,
    On,
    /// TLS may be started later.
    Start,
}

impl Resource for Pending {
    fn close(self: Rc<Self>) {
        self.cancel.cancel();
    }
}

/// Checks an address and the limits, without network access. Returns the resource of the attempt.
#[op2(fast)]
#[smi]
fn op_isopod_connect(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[string] hostname: &str,
    #[smi] port: u16,
    #[smi] tls: u32,
    allow_half_open: bool,
) -> Result<ResourceId, ConnectError> {
    let usage = Usage::of(state);
    usage.room_for_handle(state)?;
    let config = state.try_borrow::<FetchConfig>().cloned().unwrap_or_default();
    let is_granted = Granted::has(state, hostname, port);
    let target = Target::new(hostname, port, config, is_granted)?;
    let event = current_event(scope);
    let slot = Slots::of(state).take(event, &usage.quotas)?;
    charge_event(state, event, &usage)?;
    let cancel = CancelHandle::new_rc();
    end_with_event(state, event, &cancel)?;
    let tls = match tls {
        0 => Tls::Off,
        1 => Tls::On,
        _ => Tls::Start,
    };
    let ask = Ask {
        target,
        tls,
        allow_half_open,
        event,
        slot,
    };
    Ok(state.resource_table.add(Pending {
        ask: RefCell::new(Some(ask)),
        cancel,
    }))
}

/// Checks the syntax of a host, so that the caller's stack shows an invalid one.
#[op2(fast)]
fn op_isopod_check_host(#[string] hostname: &str) -> bool {
    target::parse(hostname).is_some()
}

/// An open connection: its resource, and its addresses.
#[derive(deno_core::ToV8)]
struct Opened {
    rid: ResourceId,
    remote_address: String,
    local_address: String,
}

#[op2]
async fn op_isopod_connect_opened(state: Rc<RefCell<OpState>>, #[smi] rid: ResourceId) -> Result<Opened, ConnectError> {
    unwind::catch_async(async {
        let pending = state.borrow_mut().resource_table.get::<Pending>(rid)?;
        let ask = pending.ask.borrow_mut().take().ok_or(ConnectError::Closed)?;
        let Ask {
            target,
            tls,
            allow_half_open,
            event,
            slot,
        } = ask;
        let usage = Usage::of(&state.borrow());
        let _op = usage.begin_op()?;
        let io = state.borrow().try_borrow::<Rc<Io>>().ok_or(ConnectError::NoIo)?.clone();
        let connection = target.config.connection.clone();
        let options = Options {
            allow_half_open,
            idle_timeout: usage.quotas.connection_idle,
            handshake_timeout: connection.connect_timeout,
            ledger: usage.ledger().clone(),
            tls: None,
        };
        let (ports, worker_ports) = transport::ports();
        let key = TlsKey {
            roots: (tls != Tls::Off).then_some(connection.extra_roots),
        };
        let opening = io.client(&key, TlsKey::build)?.run(move |config| {
            let options = Options { tls: config, ..options };
            transport::open(target, tls == Tls::On, options, ports)
        });
        let opened = opening.or_cancel(pending.cancel.clone()).await;
        drop(state.borrow_mut().resource_table.take_any(rid));
        let addresses = match opened {
            Err(_) if is_open(&state.borrow(), event) => return Err(ConnectError::Closed),
            Err(_) => return Err(EventEnded.into()),
            Ok(opened) => opened??,
        };
        let mut state = state.borrow_mut();
        let connection = Rc::new(Connection::new(worker_ports, Rc::new(slot), event));
        end_with_event(&state, event, &connection)?;
        Ok(Opened {
            rid: state.resource_table.add_rc(connection),
            remote_address: addresses.remote.to_string(),
            local_address: addresses.local.to_string(),
        })
    })
    .await?
}

/// Waits for the end of a connection.
#[op2]
async fn op_isopod_connection_ended(state: Rc<RefCell<OpState>>, #[smi] rid: ResourceId) -> Result<(), ConnectError> {
    let connection = state.borrow().resource_table.get::<Connection>(rid)?;
    connection.ended().await
}

/// Starts TLS on a connection, whose resource the returned one replaces.
#[op2]
#[serde]
async fn op_isopod_start_tls(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
    #[string] hostname: String,
    #[serde] settings: Option<TlsSettings>,
) -> Result<Secured, ConnectError> {
    unwind::catch_async(async {
        let connection = state.borrow().resource_table.get::<Connection>(rid)?;
        let name = server_name(&hostname)?;
        let settings = settings.unwrap_or_default();
        let client = settings.client(&extra_roots(&state.borrow()))?;
        let (upgraded, handshaken) = connection.start_tls(name, client).await?;
        let upgraded = Rc::new(upgraded);
        let mut state = state.borrow_mut();
        end_with_event(&state, upgraded.event(), &upgraded)?;
        Ok(handshaken.secured(state.resource_table.add_rc(upgraded)))
    })
    .await?
}

/// Checks certificates and keys, so that the caller's stack shows invalid ones.
#[op2]
fn op_isopod_check_tls(#[serde] settings: TlsSettings) -> Result<(), ConnectError> {
    unwind::catch(|| settings.client(&[]).map(drop))?
}

/// Returns the certificate authorities that connections trust besides the public ones.
fn extra_roots(state: &OpState) -> Vec<Vec<u8>> {
    let config = state.try_borrow::<FetchConfig>();
    config
        .map(|config| config.connection.extra_roots.clone())
        .unwrap_or_default()
}

deno_core::extension!(
    isopod_sockets,
    deps = [deno_web, isopod_fetch],
    ops = [
        op_isopod_connect,
        op_isopod_check_host,
        op_isopod_check_tls,
        op_isopod_connect_opened,
        op_isopod_connection_ended,
        op_isopod_start_tls,
        dns::op_isopod_dns_lookup,
        dns::op_isopod_dns_records,
    ],
    lazy_loaded_js = [dir "src/sockets", "link.js", "sockets.js"],
    synthetic_esm = ["cloudflare:sockets" = "ext:isopod_sockets/sockets.js"],
);
