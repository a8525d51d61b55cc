//! Service bindings: requests of workers to workers, without a socket.

mod callers;
mod fetch;
mod program;
mod rpc;
mod rpc_ends;
mod rpc_transcript;
mod sockets;

use futures::executor::block_on;
use http_body_util::BodyExt;
use isopod::{Body, Failure, FetcherBinding, Meta, Options, Pool, Script, ScriptBuilder};
use serde_json::Value;

pub(crate) fn pool(threads: usize) -> Pool {
    crate::pools::builder().threads(threads).build().expect("a pool")
}

pub(crate) fn deploy(pool: &Pool, name: &str, script: ScriptBuilder) {
    deploy_with(pool, name, script, &Options::default());
}

pub(crate) fn deploy_with(pool: &Pool, name: &str, script: ScriptBuilder, options: &Options) {
    pool.deploy(name, script.build().expect("a script"), options)
        .expect("a running pool");
}

pub(crate) fn script(name: &str, source: &str) -> ScriptBuilder {
    Script::builder(name).source(source)
}

/// A worker whose handler is the body of an async function of `(request, env, ctx)`, with `API` bound to another.
pub(crate) fn front(pool: &Pool, service: &str, body: &str) -> ScriptBuilder {
    let source = format!(
        "const thrown = async (f) => {{ try {{ await f() }} catch (e) {{ return e }} throw new Error('did not throw') }};
         export default {{ async fetch(request, env, ctx) {{ {body} }} }};"
    );
    script("front", &source).binding("API", FetcherBinding::new(pool.fetcher(service)))
}

pub(crate) fn get(path: &str) -> http::Request<Body> {
    http::Request::get(format!("https://front.example{path}"))
        .body(Body::empty())
        .expect("a request")
}

pub(crate) async fn text(response: http::Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

pub(crate) fn ask(pool: &Pool, request: http::Request<Body>) -> Result<String, Failure> {
    block_on(async { Ok(text(pool.fetch("front", request, Meta::default()).await?).await) })
}

pub(crate) fn json_of(pool: &Pool, request: http::Request<Body>) -> Value {
    let text = ask(pool, request).expect("an answer");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// Deploys `api` and `front` on a pool, and returns `front`'s response.
pub(crate) fn between(api: &str, front_body: &str) -> Value {
    let pool = pool(2);
    deploy(&pool, "api", script("api", api));
    deploy(&pool, "front", front(&pool, "api", front_body));
    json_of(&pool, get("/"))
}
