//! One worker at a time, on its own thread, with real V8.

mod async_context;
mod breaches;
mod code_in_strings;
mod common;
mod commonjs;
mod commonjs_limits;
mod connections;
mod deadlines;
mod extend;
mod handlers;
mod in_memory;
mod limits;
mod module_time;
mod modules;
mod node;
mod node_dns;
mod node_http;
mod node_limits;
mod node_net;
mod quotas;
mod reach;
mod surface;
mod web;
mod workers_module;
