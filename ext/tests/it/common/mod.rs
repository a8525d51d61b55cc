//! Minimal workers, and a server to talk to.

pub(crate) mod nats;
pub(crate) mod postgres;
pub(crate) mod raw;
pub(crate) mod seaweed;
pub(crate) mod server;

use std::rc::Rc;
use std::time::Duration;

use deno_core::{JsRuntime, OpState, PollEventLoopOptions, RuntimeOptions, v8};
use isopod_ext::io::{Io, IoOptions};
use isopod_ext::ledger::MemoryLedger;
use isopod_ext::quotas::{Quotas, Usage};
use serde_json::Value;

pub(crate) fn io() -> Rc<Io> {
    Rc::new(Io::start(IoOptions::default()).unwrap())
}

deno_core::extension!(
    test_globals,
    deps = [isopod_fetch, isopod_sql, isopod_sockets],
    esm_entry_point = "ext:test_globals/globals.js",
    esm = [dir "tests/it/common", "globals.js"],
    lazy_loaded_js = [
        dir "src/web",
        "ext:deno_net/02_tls.js" = "no_tls.js",
        "ext:isopod_web/bytes.js" = "bytes.js",
    ],
);

/// Runs the body of an async function in a fresh worker: event loop, isolate, script; all are dropped before it
/// returns.
pub(crate) fn run(io: &Rc<Io>, prepare: impl FnOnce(&mut OpState), body: &str) -> Value {
    let event_loop = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let io = io.clone();
    event_loop.block_on(async {
        let mut worker = JsRuntime::new(RuntimeOptions {
            extensions: vec![
                deno_webidl::deno_webidl::init(),
                deno_web::deno_web::init(
                    deno_web::BlobStore::default_arc(),
                    None,
                    false,
                    deno_web::InMemoryBroadcastChannel::default(),
                ),
                deno_fetch::deno_fetch::init(deno_fetch::Options::default()),
                deno_crypto::deno_crypto::init(None),
                isopod_ext::quotas::isopod_quotas::init(),
                isopod_ext::context::isopod_context::init(),
                isopod_ext::fetch::isopod_fetch::init(),
                isopod_ext::sockets::isopod_sockets::init(),
                isopod_ext::sql::isopod_sql::init(),
                test_globals::init(),
            ],
            ..RuntimeOptions::default()
        });
        {
            let state = worker.op_state();
            let mut state = state.borrow_mut();
            state.put(io);
            // Blobs are sliced in its store.
            Usage::new(Quotas::default(), MemoryLedger::default()).install(&mut state);
            prepare(&mut state);
        }
        let script = format!("(async () => JSON.stringify((await (async () => {{ {body} }})()) ?? null))()");
        let promise = worker.execute_script("test.js", script).unwrap();
        let settled = worker.resolve(promise);
        let value = tokio::time::timeout(
            Duration::from_secs(60),
            worker.with_event_loop_promise(settled, PollEventLoopOptions::default()),
        )
        .await
        .expect("the script ends in time")
        .expect("the script does not throw");
        deno_core::scope!(scope, worker);
        let text = v8::Local::new(scope, value).to_rust_string_lossy(scope);
        serde_json::from_str(&text).unwrap()
    })
}
