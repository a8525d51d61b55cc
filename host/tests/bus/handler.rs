//! Handlers: one call for each message, independent of earlier failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isopod_host::bus::{Bus, HandlerContext, HandlerOptions, HandlerStats, Message, PublishError, SubscribeOptions};
use isopod_host::supervise::BoxError;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{topic, waiting};

/// The handle of the test's runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own runtime is the one that is meant"
)]
fn here() -> Handle {
    Handle::current()
}

#[tokio::test(start_paused = true)]
async fn errors_panics_and_timeouts_are_counted_and_do_not_stop_a_handler() {
    let bus = Bus::new();
    let act = |ctx: HandlerContext| {
        // The panic comes before there is a future.
        assert_ne!(ctx.message().payload.as_json(), Some(&json!("panic early")));
        async move {
            match ctx.message().payload.as_json().and_then(Value::as_str) {
                Some("fail") => Err("no"),
                Some("panic") => panic!("lost my head"),
                Some("hang") => std::future::pending().await,
                _ => Ok(()),
            }
        }
    };
    let handler = bus
        .on(&here(), "do.*", HandlerOptions::default(), act)
        .expect("a handler");
    for what in ["fine", "fail", "panic", "hang", "panic early", "fine"] {
        bus.publish(Message::new(topic("do.it"), json!(what)))
            .expect("published");
    }
    bus.close();
    while handler.stats().handled < 2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let HandlerStats {
        handled,
        failed,
        panicked,
        timed_out,
        missed,
        ..
    } = handler.stats();
    assert_eq!((handled, failed, panicked, timed_out, missed), (2, 1, 2, 1, 0));
    handler.finished().await;
}

#[tokio::test]
async fn cyclic_handlers_end_at_the_maximum_depth() {
    let bus = Bus::builder().depth_max(4).build();
    let mut seen = bus.subscribe("*", SubscribeOptions::default()).expect("a subscription");
    let (tell, told) = flume::bounded(1);
    let pass_on = |to: &'static str| {
        let tell = tell.clone();
        move |ctx: HandlerContext| {
            let tell = tell.clone();
            async move {
                if let Err(error) = ctx.publish(Message::new(topic(to), ())) {
                    let _ = tell.send(error.clone());
                    return Err(BoxError::from(error));
                }
                Ok(())
            }
        }
    };
    let ping = bus
        .on(&here(), "ping", HandlerOptions::default(), pass_on("pong"))
        .expect("a handler");
    let pong = bus
        .on(&here(), "pong", HandlerOptions::default(), pass_on("ping"))
        .expect("a handler");
    bus.publish(Message::new(topic("ping"), ())).expect("published");
    let error = told.recv_async().await.expect("an error");
    assert!(matches!(error, PublishError::TooDeep { depth_max: 4, .. }));
    assert!(
        error.to_string().contains("ping → pong → ping → pong → ping → pong;"),
        "{error}"
    );
    assert_eq!(waiting(&mut seen), ["ping", "pong", "ping", "pong", "ping"]);
    bus.close();
    assert_eq!(ping.stats().handled + pong.stats().handled, 4);
    ping.finished().await;
}

#[tokio::test]
async fn a_handler_that_is_dropped_unsubscribes() {
    let (bus, calls) = (Bus::new(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    let count = move |_: HandlerContext| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, BoxError>(()) }
    };
    let handler = bus
        .on(&here(), "a", HandlerOptions::default(), count)
        .expect("a handler");
    assert_eq!(bus.subscribers(), 1);
    drop(handler);
    while bus.subscribers() > 0 {
        tokio::task::yield_now().await;
    }
    bus.publish(Message::new(topic("a"), ())).expect("published");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}
