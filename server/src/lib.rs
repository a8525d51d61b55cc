//! HTTP server: listeners, routes, ingress limits, and one table from outcome to status code.
//!
//! A [`Dispatch`] answers the requests; the server knows neither V8 nor pools. The path of a request through the modules:
//! `listener` and `accept` (connections), `location` (their threads), `watched`, `inbound` and `chunks` (bytes),
//! `connection` (time limits), `traffic` and `cut` (abuse limits), `service` (one request, with memory from `reused`),
//! `client`, `ingress` (rejection), `target` and `route` (the worker), [`Dispatch`], `head`, `body`, `reply` and `respond`
//! (the response and its record), or `switch` (a WebSocket). `server` starts and stops, `shared` has the state of all
//! connections, `running` the handles, `counts` the metrics and `metric` their format. `admin` serves health and metrics of
//! this server or of any [`Status`], with access control in `access`.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.
#![deny(missing_docs, unreachable_pub, unsafe_code)]

mod accept;
mod access;
mod admin;
mod body;
mod chunks;
mod client;
mod clock;
mod config;
mod connection;
mod counts;
mod cut;
mod dispatch;
mod error;
mod head;
mod inbound;
mod ingress;
mod listener;
mod location;
mod metric;
mod reply;
mod respond;
mod reused;
mod route;
mod running;
mod server;
mod service;
mod shared;
mod stream;
mod switch;
mod target;
mod tls;
mod traffic;
mod watched;

pub use access::AdminAccess;
pub use admin::{AdminListener, Status};
pub use body::{BoxError, ServerBody};
pub use client::{TrustedProxy, TrustedProxyError};
pub use config::{Address, Limits, Listen, Mode, ServerConfig, TlsFiles};
pub use dispatch::{Dispatch, Readiness, RequestId, RequestMeta, Scheme, Tls};
pub use error::StartError;
pub use isopod_outcome::{Failure, Outcome};
pub use location::{ConnectionThread, Location, MovableConnection};
pub use metric::{Metric, MetricKind, Sample};
pub use respond::status_of;
pub use route::{RouteError, Routes};
pub use running::{Running, ServerHandle, ShutdownReport};
pub use server::{Bound, Server};
pub use tls::TlsError;
