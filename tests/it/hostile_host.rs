//! Bugs in the host's own code that occur while a script runs.

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use isopod::{Body, Meta, Options, Outcome, Pool, Script};

/// A request whose body panics when read, inside an op.
pub(crate) fn panics_when_read() -> http::Request<Body> {
    let stream = futures::stream::poll_fn(|_| -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        panic!("the body is broken");
    });
    http::Request::post("http://localhost/")
        .body(Body::new(StreamBody::new(stream)))
        .expect("a request")
}

// row 22
#[test]
fn an_op_that_panics_fails_its_event_and_the_process_lives() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let source = "let served = 0;
        export const count = () => ++served;
        export default { fetch: async (request) => new Response(await request.text()) };";
    let script = Script::builder("reads").source(source).build().expect("a script");
    pool.deploy("reads", script, &Options::default())
        .expect("a pool that runs");
    let count = || futures::executor::block_on(pool.call::<_, u32>("reads", "count", &())).expect("an answer");
    assert_eq!((count(), count()), (1, 2));
    let failure =
        futures::executor::block_on(pool.fetch("reads", panics_when_read(), Meta::default())).expect_err("no response");
    assert_eq!(failure.outcome, Outcome::Exception, "{failure:?}");
    // Answered by another worker: the old one may be in any state.
    assert_eq!(count(), 1);
    assert_eq!(pool.stats().threads.lost, 0);
}
