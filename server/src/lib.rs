//! HTTP in and out: listeners, routes, limits on what comes in, and one table from outcome to status code.
//!
//! The server knows nothing of V8 or of pools: whatever answers requests implements [`Dispatch`]. A request's path
//! through the modules: `listener` and `accept` (a connection), `watched` and `connection` (its time limits), `traffic`
//! and `cut` (what it may do, and its end), `service`
//! (one request), `ingress` and `route` (what is refused, who answers), [`Dispatch`], `reply` and `respond` (what is
//! sent back, and its record). `server` decides about starting and stopping; `running` is what its embedder holds
//! meanwhile. `admin` shows health and figures, of this server or of whatever has a [`Status`].
#![deny(missing_docs, unreachable_pub, unsafe_code)]

mod accept;
mod admin;
mod clock;
mod config;
mod connection;
mod cut;
mod dispatch;
mod error;
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
mod tls;
mod traffic;
mod watched;

pub use admin::{AdminListener, Status};
pub use config::{Address, Limits, Listen, Mode, ServerConfig, TlsFiles};
pub use dispatch::{Body, BoxError, Dispatch, Readiness, RequestId, RequestMeta, Scheme};
pub use error::StartError;
pub use isopod_pool::{Failure, Outcome};
pub use metrics::{Metric, MetricKind, Sample};
pub use respond::status_of;
pub use route::{RouteError, Routes};
pub use running::{Running, ServerHandle, ShutdownReport};
pub use server::{Bound, Server};
pub use tls::TlsError;
