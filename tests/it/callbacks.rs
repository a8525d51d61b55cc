//! Script functions passed to Rust, through the embedded pool.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join_all;
use http_body_util::BodyExt as _;
use isopod::{
    Arguments, Body, Callback, CallbackError, Limits, NativeBinding, NativeFunction, Options, Outcome, Script,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::pools::{TestPool, build, one_thread};
use crate::process::until;

fn pool_of<const N: usize>(source: &str, limits: Limits, functions: [(&str, NativeFunction); N]) -> TestPool {
    let pool = build(one_thread());
    let named = functions.map(|(name, function)| (name.to_owned(), function));
    let script = Script::builder("s")
        .source(format!("import {{ env }} from 'isopod:workers';\n{source}"))
        .limits(limits)
        .binding("N", NativeBinding::from(named));
    pool.deploy("s", script.build().expect("a script"), &Options::default())
        .expect("deployed");
    pool
}

/// A Rust function that keeps the callback it receives.
fn keeper() -> (NativeFunction, Arc<Mutex<Option<Callback>>>) {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let function = NativeFunction::new(move |(callback,): (Callback,)| {
        *keep.lock().unwrap() = Some(callback);
        async { Ok(()) }
    });
    (function, kept)
}

#[derive(Deserialize)]
struct Visit {
    items: Vec<u32>,
    each: Callback,
    done: Option<Callback>,
}

#[test]
fn functions_in_values_are_callable_from_rust() {
    let visit = NativeFunction::new(|(visit, prefix): (Visit, String)| async move {
        let mut all = Vec::new();
        for item in visit.items {
            all.push(visit.each.call::<_, String>((prefix.clone(), item)).await?);
        }
        if let Some(done) = visit.done {
            done.call::<_, ()>(()).await?;
        }
        Ok(all)
    });
    let source = "export const f = async () => {
            let done = 0;
            const each = async (prefix, item) => { await null; return prefix + item; };
            const first = await env.N.visit({ items: [1, 2, 3], each, done: () => { done++; } }, '#');
            return [...first, ...await env.N.visit({ items: [4], each: (_, item) => `${item}` }, ''), String(done)];
        };";
    let pool = pool_of(source, Limits::default(), [("visit", visit)]);
    let all: Vec<String> = block_on(pool.call("s", "f", ())).expect("what was visited");
    assert_eq!(all, ["#1", "#2", "#3", "4", "1"]);
}

#[test]
fn errors_of_callbacks_keep_class_message_stack_and_cause() {
    let told: Arc<Mutex<Vec<CallbackError>>> = Arc::default();
    let tell = told.clone();
    let ask = NativeFunction::new(move |(callback,): (Callback,)| {
        let tell = tell.clone();
        async move {
            let error = callback.call::<_, u32>(()).await.expect_err("it throws");
            tell.lock().unwrap().push(error);
            Ok(())
        }
    });
    let source = "class Broke extends Error { name = 'Broke' }
        function broken() { throw new Broke('no', { cause: new RangeError('deep') }); }
        export const f = async () => { for (const g of [broken, async () => broken(), () => 'text']) await env.N.ask(g); };";
    let pool = pool_of(source, Limits::default(), [("ask", ask)]);
    block_on(pool.call::<_, ()>("s", "f", ())).expect("its own errors are not the script's");
    let told = told.lock().unwrap();
    for error in &told[..2] {
        let CallbackError::Threw(thrown) = error else {
            panic!("{error:?}")
        };
        assert_eq!((&*thrown.class, &*thrown.message), ("Broke", "no"));
        assert!(thrown.stack.as_ref().is_some_and(|stack| stack.contains("at broken (")));
        assert_eq!(
            thrown.source().map(ToString::to_string).as_deref(),
            Some("RangeError: deep")
        );
    }
    assert!(matches!(&told[2], CallbackError::Value(text) if text.contains("cannot convert the script's value")));
}

#[test]
fn a_callback_of_an_ended_event_is_an_error() {
    let (keep, kept) = keeper();
    let pool = pool_of(
        "export const f = (n) => env.N.keep(() => n); export const g = () => new Promise((r) => setTimeout(r, 1e6));",
        Limits::default(),
        [("keep", keep)],
    );
    block_on(pool.call::<_, ()>("s", "f", (1,))).expect("kept");
    let callback = kept.lock().unwrap().take().expect("a callback");
    let late = block_on(callback.call::<_, u32>(()));
    assert!(matches!(late, Err(CallbackError::Ended)), "{late:?}");
    block_on(pool.shutdown(Duration::ZERO));
    let later = block_on(callback.call::<_, u32>(()));
    assert!(matches!(later, Err(CallbackError::Ended)), "{later:?}");
}

#[test]
fn an_event_waits_for_its_lent_functions() {
    let (keep, kept) = keeper();
    let pool = pool_of(
        "export const f = () => new Promise((resolve) => { env.N.keep(resolve); });",
        Limits::default(),
        [("keep", keep)],
    );
    for calls in [true, false] {
        let waiting = pool.call::<_, u32>("s", "f", ());
        let host = std::thread::spawn({
            let kept = kept.clone();
            move || {
                let callback = until("a function is lent", || kept.lock().unwrap().take());
                if calls {
                    block_on(callback.call::<_, ()>((7,))).expect("called");
                }
            }
        });
        let answer = block_on(waiting);
        host.join().expect("the host");
        match (calls, answer) {
            (true, answer) => assert_eq!(answer, Ok(7)),
            (false, answer) => assert!(answer.expect_err("dropped").message.contains("will never answer")),
        }
    }
}

#[test]
fn a_function_that_a_call_answers_keeps_its_event_open_until_it_is_dropped() {
    let source = "export const counter = (n) => () => n++;";
    let pool = pool_of(source, Limits::default(), []);
    let counter: Callback = block_on(pool.call("s", "counter", (5,))).expect("a function");
    let other = std::thread::spawn({
        let counter = counter.clone();
        move || block_on(counter.call::<_, u32>(()))
    });
    assert!(matches!(other.join().expect("a thread"), Ok(5)));
    assert!(matches!(block_on(counter.call::<_, u32>(())), Ok(6)));
    assert_eq!(pool.stats().scripts["s"].in_flight, 1);
    drop(counter);
    until("the event ends", || {
        (pool.stats().scripts["s"].in_flight == 0).then_some(())
    });
    assert_eq!(pool.stats().scripts["s"].outcomes.get("ok"), Some(&1));
}

#[test]
fn many_calls_at_once_wait_for_their_turn() {
    let double = NativeFunction::new(|(callback,): (Callback,)| async move {
        let calls = (0..3000_u32).map(|n| callback.call::<_, u32>((n,)));
        let doubled = join_all(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(doubled
            .into_iter()
            .enumerate()
            .all(|(n, doubled)| doubled as usize == 2 * n))
    });
    let source = "export const f = () => env.N.double((n) => new Promise((r) => setTimeout(r, 1, 2 * n)));";
    let pool = pool_of(source, Limits::default(), [("double", double)]);
    assert_eq!(block_on(pool.call::<_, bool>("s", "f", ())), Ok(true));
}

#[test]
fn streams_and_functions_are_arguments_of_a_callback_and_a_stream_its_value() {
    let through = NativeFunction::new(|(callback,): (Callback,)| async move {
        let upper = NativeFunction::new(|(text,): (String,)| async move { Ok(text.to_uppercase()) });
        let arguments = Arguments::new().value("> ").stream(Body::from("body")).function(upper);
        let body: Body = callback.call(arguments).await?;
        let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    });
    let source = "export const f = () => env.N.through(async (prefix, stream, upper) =>
            new Response(await upper(prefix + await new Response(stream).text())).body);";
    let pool = pool_of(source, Limits::default(), [("through", through)]);
    assert_eq!(block_on(pool.call::<_, String>("s", "f", ())).as_deref(), Ok("> BODY"));
}

/// Panics when it is serialized.
struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("not to be written");
    }
}

#[test]
fn a_panic_while_arguments_are_written_is_an_error_of_the_call() {
    let ask = NativeFunction::new(|(callback,): (Callback,)| async move {
        let error = callback
            .call::<_, ()>((Broken,))
            .await
            .expect_err("it cannot be written");
        assert!(
            matches!(&error, CallbackError::Value(text) if text.contains("panicked")),
            "{error:?}"
        );
        Ok(callback.call::<_, u32>(()).await?)
    });
    let source = "export const f = () => env.N.ask(() => 7);";
    let pool = pool_of(source, Limits::default(), [("ask", ask)]);
    assert_eq!(block_on(pool.call::<_, u32>("s", "f", ())), Ok(7));
}

#[test]
fn an_endless_callback_ends_at_the_limit_of_its_event() {
    let (keep, kept) = keeper();
    let limits = Limits::default().cpu(Duration::from_millis(100));
    let source = "export const f = () => new Promise(() => { env.N.keep(() => { for (;;) {} }); });";
    let pool = pool_of(source, limits, [("keep", keep)]);
    let host = std::thread::spawn(move || {
        let callback = until("a function is lent", || kept.lock().unwrap().take());
        block_on(callback.call::<_, ()>(()))
    });
    let failure = block_on(pool.call::<_, ()>("s", "f", ())).expect_err("it loops");
    assert_eq!(failure.outcome, Outcome::ExceededCpu);
    let endless = host.join().expect("the host");
    assert!(matches!(endless, Err(CallbackError::Ended)), "{endless:?}");
}

#[test]
fn values_that_are_not_functions_are_refused() {
    let (keep, _kept) = keeper();
    let source = "export const f = async () => {
            const seen = [];
            for (const wrong of [1, {}, null]) await env.N.keep(wrong).catch((error) => seen.push(error.message));
            return seen;
        };";
    let pool = pool_of(source, Limits::default(), [("keep", keep)]);
    let seen: Vec<String> = block_on(pool.call("s", "f", ())).expect("errors");
    assert!(
        seen.len() == 3 && seen.iter().all(|text| text.contains("expected a function")),
        "{seen:?}"
    );
}
