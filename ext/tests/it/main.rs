//! The I/O bindings as scripts see them, against real servers and databases.

mod bodies;
mod codings;
mod common;
mod fetch;
mod guard;
mod io;
mod postgres;
mod sockets;
mod sockets_tls;
mod sqlite;
mod sqlite_hostile;
mod sqlite_near;
mod stores;
mod stores_nats;
mod stores_r2;
