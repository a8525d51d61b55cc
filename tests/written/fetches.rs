//! HTTP requests and their answers in written form: heads, bodies as streams in both directions, and how they break off.

use std::time::Duration;

use bytes::Bytes;
use futures::executor::block_on;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use isopod::{Body, BodyError, BoxError, Failure, Meta, Outcome, RequestCf, RequestUrl};

use crate::pools::{TestPool, pool_of};
use crate::process::until;

fn fetch(pool: &TestPool, request: http::Request<Body>) -> Result<http::Response<Body>, Failure> {
    block_on(pool.fetch("s", request, Meta::default()))
}

fn post(body: Body) -> http::Request<Body> {
    let request = http::Request::post("http://example.com/a?b=c").header("x-one", "1");
    request.body(body).expect("a request")
}

fn text(body: Body) -> Result<String, BodyError> {
    let bytes = block_on(body.collect())?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn chunks(chunks: Vec<Result<&'static str, BoxError>>) -> Body {
    let frames = chunks.into_iter();
    let frames = frames.map(|chunk| chunk.map(|text| http_body::Frame::data(Bytes::from_static(text.as_bytes()))));
    Body::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())))
}

#[test]
fn heads_round_trip() {
    let pool = pool_of(
        "export default { async fetch(request) {
            const seen = [request.method, request.url, request.headers.get('x-one'), request.cf?.httpProtocol,
                request.cf?.tlsCipher, await request.text()];
            const headers = new Headers({ seen: JSON.stringify(seen) });
            headers.append('set-cookie', 'a=1'); headers.append('set-cookie', 'b=2');
            return new Response(null, { status: 418, headers });
        } };",
        vec![],
    );
    let mut cf = RequestCf::default();
    cf.http_protocol = Some("HTTP/2".into());
    cf.tls_cipher = Some("a cipher".to_owned());
    let mut request = post("body".into());
    request.extensions_mut().insert(cf);
    request
        .extensions_mut()
        .insert(RequestUrl("https://shown.example/x".to_owned()));
    let response = fetch(&pool, request).expect("a response");
    assert_eq!(response.status(), 418);
    let wanted = r#"["POST","https://shown.example/x","1","HTTP/2","a cipher","body"]"#;
    assert_eq!(response.headers()["seen"], wanted);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(text(response.into_body()).expect("no body"), "");
}

#[test]
fn streams_cross_both_ways_and_large_bodies_are_streams() {
    let pool = pool_of(
        "export default { fetch(request) { return new Response(request.body) } };",
        vec![],
    );
    let echoed = fetch(&pool, post(chunks(vec![Ok("one "), Ok("two "), Ok("three")]))).expect("a response");
    assert_eq!(text(echoed.into_body()).expect("the body"), "one two three");
    let large = "0123456789".repeat(100_000);
    let echoed = fetch(&pool, post(large.clone().into())).expect("a response");
    assert_eq!(text(echoed.into_body()).expect("the body"), large);
}

#[test]
fn a_body_in_memory_keeps_its_length() {
    let pool = pool_of(
        "export default { fetch: () => new Response('x'.repeat(200_000)) };",
        vec![],
    );
    let response = fetch(&pool, post(Body::empty())).expect("a response");
    let exact = http_body::Body::size_hint(response.body()).exact();
    assert_eq!(exact, Some(200_000));
    assert_eq!(text(response.into_body()).expect("the body").len(), 200_000);
}

#[test]
fn the_error_of_a_cut_request_body_reaches_the_script() {
    let pool = pool_of(
        "export default { async fetch(request) {
            try { return new Response(await request.text()) } catch (error) { return new Response(`${error.message}`) }
        } };",
        vec![],
    );
    let broken = chunks(vec![Ok("part"), Err("the line was cut".into())]);
    let response = fetch(&pool, post(broken)).expect("a response");
    let told = text(response.into_body()).expect("the body");
    assert!(told.contains("the line was cut"), "{told}");
}

#[test]
fn a_broken_response_reports_its_reason() {
    let pool = pool_of(
        "export default { fetch: () => new Response(new ReadableStream({
            start(to) { to.enqueue(new TextEncoder().encode('part')) },
            async pull(to) { to.error(new TypeError('no more')) } })) };",
        vec![],
    );
    let response = fetch(&pool, post(Body::empty())).expect("a head");
    let error = text(response.into_body()).expect_err("it breaks off");
    let failure = error.into_inner().downcast::<Failure>().expect("a failure");
    assert_eq!(failure.outcome, Outcome::Exception);
    assert!(failure.message.contains("no more"), "{failure}");
}

#[test]
fn a_script_is_notified_of_a_client_that_leaves_an_idle_stream() {
    let pool = pool_of(
        "let left = false; export const hasLeft = () => left;
        export default { fetch: () => new Response(new ReadableStream({
            start(to) { to.enqueue(new TextEncoder().encode('first')) },
            cancel() { left = true } })) };",
        vec![],
    );
    let response = fetch(&pool, post(Body::empty())).expect("a head");
    let mut body = response.into_body();
    let first = block_on(body.frame()).expect("a chunk").expect("no error");
    assert_eq!(first.into_data().expect("bytes"), "first");
    drop(body);
    until("the script is told", || {
        let left: bool = block_on(pool.call("s", "hasLeft", ())).expect("an answer");
        left.then_some(())
    });
}

#[test]
fn a_failure_keeps_its_kind_and_its_error() {
    let pool = pool_of(
        "export default { fetch() { throw new RangeError('too far') } };",
        vec![],
    );
    let failure = fetch(&pool, post(Body::empty())).expect_err("it throws");
    assert_eq!(
        (failure.outcome, &*failure.message),
        (Outcome::Exception, "RangeError: too far")
    );
    let endless = pool_of(
        "export default { fetch: () => new Promise(() => setTimeout(() => {}, 60_000)) };",
        vec![],
    );
    let meta = Meta::default().deadline(std::time::Instant::now() + Duration::from_secs(2));
    let failure = block_on(endless.fetch("s", post(Body::empty()), meta)).expect_err("its time is over");
    assert_eq!(failure.outcome, Outcome::ExceededWall);
}
