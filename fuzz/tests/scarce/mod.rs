//! Failing allocations. By default, Rust aborts a process whose allocation fails. Data whose size scripts and clients
//! control is therefore allocated by code that handles failure, and the rest of the pool never allocates much at once.

mod allocator;

use std::sync::Mutex;

use futures::executor::block_on;
use http_body_util::BodyExt as _;
use isopod_pool::fake::{Call, Does, FakeEngine, FakeScript};
use isopod_pool::js::handlers::Body;
use isopod_pool::js::{Limits, Pool, Script};
use isopod_pool::{Failure, Meta, Options, Outcome};

use self::allocator::refusing;

/// The allocator is global: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;

const SOURCE: &str = r#"
let kept;
export const keep = (what) => {
  kept = what === "bytes" ? new Uint8Array(40 << 20).fill(120) : what === "text" ? "x".repeat(40 << 20) : "\u00e9".repeat(20 << 20);
  // A string that is a tree of others is flattened when it is read.
  if (typeof kept === "string") kept.charCodeAt(1000);
};
export default { fetch: () => new Response(kept) };
"#;

fn get(pool: &Pool) -> Result<http::Response<Body>, Failure> {
    let request = http::Request::get("http://scarce.example/").body(Body::empty());
    block_on(pool.fetch("scarce", request.expect("a request"), Meta::default()))
}

#[test]
fn a_body_without_memory_fails_its_event_only() {
    let _alone = ALONE.lock();
    let pool = Pool::builder().threads(1).build().expect("a pool");
    // Room for what is kept, its copy, and what was kept before and is not collected yet: nothing but the allocator refuses.
    let limits = Limits::default().memory_bytes(256 * MIB);
    let script = Script::builder("scarce").source(SOURCE).limits(limits).build();
    let script = script.expect("a script");
    pool.deploy("scarce", script, &Options::default())
        .expect("a pool that runs");
    for what in ["bytes", "text", "characters"] {
        block_on(pool.call::<_, ()>("scarce", "keep", (what,))).expect("it is kept");
        let (answered, refused) = refusing(32 * MIB, || get(&pool));
        let failure = answered.map(|_| ()).expect_err("no response without memory");
        assert_eq!(failure.outcome, Outcome::Exception, "{what}: {failure}");
        assert!(failure.message.contains("no memory"), "{what}: {failure}");
        assert_eq!(refused, 1, "{what}");
        // With memory available, the same worker answers.
        let body = get(&pool).expect("a response").into_body();
        let bytes = block_on(body.collect()).expect("a body").to_bytes();
        assert_eq!(bytes.len(), 40 * MIB, "{what}");
    }
    assert_eq!(pool.stats().scripts["scarce"].boots, 1);
}

#[test]
fn the_pool_needs_no_large_allocation() {
    let _alone = ALONE.lock();
    let pool = isopod_pool::Pool::builder(FakeEngine::new()).threads(2).build();
    let pool = pool.expect("threads");
    pool.deploy("fake", std::sync::Arc::new(FakeScript::new()), &Options::default())
        .expect("a running pool");
    let mut sent = Vec::with_capacity(20_000);
    let ((), refused) = refusing(MIB, || {
        // More than the queue holds, so that the pool rejects some.
        sent.extend((0..20_000).filter_map(|number| {
            let (call, reply) = Call::new(Does::Echo(number));
            Some((number, pool.dispatch("fake", call, Meta::default()).ok()?, reply))
        }));
        assert!(sent.len() > 1000);
        for (number, ticket, reply) in sent.drain(..) {
            let answer = reply.recv().expect("every accepted event is answered");
            assert_eq!(answer.ok(), Some(number));
            ticket.detach();
        }
    });
    assert_eq!(refused, 0);
}
