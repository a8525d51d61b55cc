//! The JavaScript APIs of Isopod: the web platform of the deno crates, and beyond it the handler interface, `fetch` on
//! thread-local clients, SQL bindings and the process module. One folder each, with its Rust and its JavaScript face.
//!
//! It must not know of pools or servers. What is bound to a Tokio runtime is reached through [`io`] alone.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

pub mod bindings;
mod coding;
pub mod context;
pub mod event;
pub mod fetch;
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handlers;
pub mod io;
pub mod ledger;
pub mod native;
pub mod process;
pub mod publish;
pub mod quotas;
mod setters;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(not(feature = "sql"))]
#[path = "no_sql.rs"]
pub mod sql;
mod unwind;
pub mod values;
pub mod web;

use deno_core::Extension;

pub use self::unwind::take_panicked;

/// Every extension, in the order in which both the snapshot and the workers made from it list them.
pub fn extensions() -> Vec<Extension> {
    vec![
        deno_webidl::deno_webidl::init(),
        without(
            deno_web::deno_web::init(
                deno_web::BlobStore::default_arc(),
                None,
                false,
                deno_web::InMemoryBroadcastChannel::default(),
            ),
            "ext:deno_web/13_message_port.js",
        ),
        deno_fetch::deno_fetch::init(deno_fetch::Options::default()),
        deno_crypto::deno_crypto::init(None),
        quotas::isopod_quotas::init(),
        context::isopod_context::init(),
        fetch::isopod_fetch::init(),
        #[cfg(feature = "sql")]
        sql::isopod_sql::init(),
        handlers::isopod_handlers::init(),
        publish::isopod_publish::init(),
        native::isopod_native::init(),
        bindings::rate_limit::isopod_rate_limit::init(),
        process::isopod_process::init(),
        files::isopod_files::init(),
        web::isopod_web::init(),
    ]
}

/// An extension without one of its scripts, which another extension has in its place.
fn without(mut extension: Extension, specifier: &str) -> Extension {
    let scripts = extension.lazy_loaded_js_files.to_mut();
    scripts.retain(|script| script.specifier != specifier);
    extension
}
