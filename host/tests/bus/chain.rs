//! Chains: one is woken by another's results.

use isopod_host::bus::{
    AnnounceError, Bus, Chain, ChainContext, Handler, HandlerOptions, PublishError, ResultError, Results, Source,
};
use isopod_host::supervise::BoxError;
use serde_json::{Value, json};
use tokio::runtime::Handle;

#[expect(
    clippy::disallowed_methods,
    reason = "the test's own runtime is the one that is meant"
)]
fn here() -> Handle {
    Handle::current()
}

fn options(source: &str) -> HandlerOptions {
    HandlerOptions::default().source(Source::native(source))
}

/// Announces one more than the number it is woken with.
fn add_one(bus: &Bus, results: &Results, from: &str, to: &str, tell: flume::Sender<AnnounceError>) -> Handler {
    let target = move |ctx: ChainContext| {
        let tell = tell.clone();
        async move {
            let number = ctx.read()?.as_json().and_then(Value::as_u64).ok_or("no number")?;
            if let Err(error) = ctx.announce("number", json!(number + 1)) {
                let _ = tell.send(error.clone());
                return Err(BoxError::from(error));
            }
            Ok(())
        }
    };
    Chain::new(from.parse().expect("a pattern"), options(to), target)
        .start(&here(), bus, results)
        .expect("a chain")
}

#[tokio::test]
async fn results_pass_down_a_chain_and_are_read_on_demand() {
    let (bus, results) = (Bus::new(), Results::new());
    let (tell, _errors) = flume::bounded(1);
    let _second = add_one(&bus, &results, "results.scan", "second", tell.clone());
    let _third = add_one(&bus, &results, "results.second", "third", tell);
    let (to, got) = flume::bounded(1);
    let last = move |ctx: ChainContext| {
        let to = to.clone();
        async move {
            let woken = (
                ctx.source().name().to_owned(),
                ctx.name().to_owned(),
                ctx.depth(),
                ctx.read()?,
            );
            to.send(woken).map_err(BoxError::from)
        }
    };
    let _last = Chain::new("results.third".parse().expect("a pattern"), options("last"), last)
        .start(&here(), &bus, &results)
        .expect("a chain");
    results
        .announce(&bus, Source::native("scan"), "number", json!(1))
        .expect("announced");
    let (source, name, depth, payload) = got.recv_async().await.expect("woken");
    assert_eq!(
        (&*source, &*name, depth, payload.as_json()),
        ("third", "number", 2, Some(&json!(3)))
    );
}

#[tokio::test]
async fn a_cycle_of_chains_ends_with_an_error() {
    let (bus, results) = (Bus::builder().depth_max(6).build(), Results::new());
    let (tell, errors) = flume::bounded(1);
    let _one = add_one(&bus, &results, "results.b", "a", tell.clone());
    let _two = add_one(&bus, &results, "results.a", "b", tell);
    results
        .announce(&bus, Source::native("a"), "number", json!(0))
        .expect("announced");
    let error = errors.recv_async().await.expect("an error");
    assert!(
        matches!(error, AnnounceError::Publish(PublishError::TooDeep { .. })),
        "{error:?}"
    );
    assert_eq!(results.stats().count, 7);
}

#[tokio::test]
async fn an_evicted_result_is_an_error_for_its_reader() {
    let (bus, results) = (Bus::new(), Results::builder().count_max(1).build());
    let (to, got) = flume::bounded(2);
    let target = move |ctx: ChainContext| {
        let to = to.clone();
        async move {
            to.send(ctx.read().map(|_| ctx.name().to_owned()))
                .map_err(BoxError::from)
        }
    };
    let chain = Chain::new("results.*".parse().expect("a pattern"), options("reader"), target)
        .start(&here(), &bus, &results)
        .expect("a chain");
    for name in ["first", "second"] {
        results.announce(&bus, Source::Host, name, ()).expect("announced");
    }
    let read: Vec<_> = [got.recv_async().await, got.recv_async().await]
        .into_iter()
        .flatten()
        .collect();
    assert!(matches!(&read[0], Err(ResultError::Expired { name, .. }) if &**name == "first"));
    assert_eq!(read[1].as_deref(), Ok("second"));
    drop(chain);
}
