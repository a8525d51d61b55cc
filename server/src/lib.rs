//! HTTP in and out: listeners, routes, limits on what comes in, and one table from outcome to status code.
//!
//! The server knows nothing of V8 or of pools: whatever answers requests implements [`Dispatch`]. A request's path
//! through the modules: `listener` and `accept` (a connection), `watched`, `inbound` and `chunks` (its bytes), `connection`
//! (its time limits), `traffic` and `cut` (what it may do, and its end), `service` (one request), `client` (who asks), `ingress`
//! (what is refused), `target` and `route` (who answers), [`Dispatch`], `head`, `reply` and `respond` (what is sent back, and its
//! record). `server` decides about starting and stopping; `running` is what its embedder holds
//! meanwhile. `admin` shows health and figures, to whom `access` lets, of this server or of whatever has a [`Status`].
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.
#![deny(missing_docs, unreachable_pub, unsafe_code)]

mod accept;
mod access;
mod admin;
mod chunks;
mod client;
mod clock;
mod config;
mod connection;
mod cut;
mod dispatch;
mod error;
mod head;
mod inbound;
mod ingress;
mod listener;
mod metrics;
mod reply;
mod respond;
mod route;
mod running;
mod server;
mod service;
mod stream;
mod target;
mod tls;
mod traffic;
mod watched;

pub use access::AdminAccess;
pub use admin::{AdminListener, Status};
pub use client::{TrustedProxy, TrustedProxyError};
pub use config::{Address, Limits, Listen, Mode, ServerConfig, TlsFiles};
pub use dispatch::{Body, BoxError, Dispatch, Readiness, RequestId, RequestMeta, Scheme, Tls};
pub use error::StartError;
pub use isopod_pool::{Failure, Outcome};
pub use metrics::{Metric, MetricKind, Sample};
pub use respond::status_of;
pub use route::{RouteError, Routes};
pub use running::{Running, ServerHandle, ShutdownReport};
pub use server::{Bound, Server};
pub use tls::TlsError;
