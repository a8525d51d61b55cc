//! The JavaScript APIs of Isopod: the web platform of the deno crates, the handler interface, `fetch` on thread-local
//! clients, SQL bindings and modules for commands. Each has a folder with its Rust and JavaScript sides.
//!
//! It knows nothing of pools and servers. Clients that are bound to a Tokio runtime are only accessible through [`io`].
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

pub mod bindings;
pub mod cache;
pub mod coding;
pub mod commonjs;
pub mod context;
pub mod event;
pub mod fetch;
pub mod fetcher;
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handlers;
mod html;
pub mod io;
pub mod ledger;
pub mod native;
pub mod network;
#[cfg(feature = "sql")]
pub mod objects;
pub mod process;
pub mod publish;
pub mod quotas;
pub mod remote;
pub mod rpc;
pub mod sockets;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(not(feature = "sql"))]
#[path = "no_sql.rs"]
pub mod sql;
pub mod storage;
#[doc(hidden)]
pub mod unwind;
pub mod values;
pub mod web;
pub mod websocket;
pub mod written;

use deno_core::Extension;

pub use isopod_assets as assets;
#[doc(hidden)]
pub use isopod_outcome::setters;

pub use self::unwind::take_panicked;

/// All extensions, in the order required by the snapshot and the workers created from it.
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
            &["ext:deno_web/01_urlpattern.js", "ext:deno_web/13_message_port.js"],
        ),
        deno_fetch::deno_fetch::init(deno_fetch::Options::default()),
        deno_crypto::deno_crypto::init(None),
        quotas::isopod_quotas::init(),
        context::isopod_context::init(),
        fetch::isopod_fetch::init(),
        #[cfg(feature = "sql")]
        sql::isopod_sql::init(),
        handlers::isopod_handlers::init(),
        websocket::isopod_web_socket::init(),
        sockets::isopod_sockets::init(),
        html::isopod_html::init(),
        publish::isopod_publish::init(),
        cache::extension::isopod_cache::init(),
        native::isopod_native::init(),
        rpc::isopod_rpc::init(),
        fetcher::isopod_fetcher::init(),
        #[cfg(feature = "sql")]
        objects::extension::isopod_objects::init(),
        bindings::kv::extension::isopod_kv::init(),
        bindings::queue::extension::isopod_queue::init(),
        bindings::r2::extension::isopod_r2::init(),
        bindings::rate_limit::extension::isopod_rate_limit::init(),
        bindings::hyperdrive::extension::isopod_hyperdrive::init(),
        bindings::secrets_store::extension::isopod_secrets_store::init(),
        bindings::analytics::extension::isopod_analytics::init(),
        process::isopod_process::init(),
        files::isopod_files::init(),
        commonjs::isopod_commonjs::init(),
        web::isopod_web::init(),
    ]
}

/// An extension without some of its scripts, which another extension replaces.
fn without(mut extension: Extension, specifiers: &[&str]) -> Extension {
    let scripts = extension.lazy_loaded_js_files.to_mut();
    scripts.retain(|script| !specifiers.contains(&script.specifier));
    extension
}
