//! Tests of the server over real sockets, with a worker in Rust.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has one runtime, and its tasks belong on it"
)]

mod admin;
mod connection_thread;
mod frames;
mod framing;
mod http2;
mod limits;
mod location;
mod responses;
mod shutdown;
mod smuggling;
mod starting;
mod support;
mod transport;
