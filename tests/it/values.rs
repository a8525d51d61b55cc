//! Values, streams, functions and errors between Rust and a script, through the embedded pool.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::executor::block_on;
use http_body_util::BodyExt as _;
use isopod::{
    Arguments, Binding, Body, DetachedBuffer, Failure, NativeBinding, NativeError, NativeFunction, Outcome, Thrown,
    ToJsBuffer,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::pools::{IN_PLACE, pool_of};
use crate::process::until;

fn functions<const N: usize>(functions: [(&str, NativeFunction); N]) -> Arc<dyn Binding> {
    let named = functions.map(|(name, function)| (name.to_owned(), function));
    Arc::new(NativeBinding::from(named))
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Point {
    x: f64,
    y: Option<i64>,
    tags: Vec<String>,
}

#[test]
fn a_struct_goes_to_a_script_and_back_unchanged() {
    let pool = pool_of("export const id = (p) => p;", vec![]);
    let point = Point {
        x: 0.1 + 0.2,
        y: None,
        tags: vec!["Ж".into(), "\u{1F600}".into()],
    };
    let back: Point = block_on(pool.call("s", "id", (point.clone(),))).expect("a point");
    assert_eq!(back, point);
    let same: Point = block_on(pool.call("s", "id", point.clone())).expect("one argument needs no tuple");
    assert_eq!(same, point);
}

#[test]
fn values_that_json_lacks_are_passed_too() {
    let pool = pool_of(
        "export const f = (n) => [n === Infinity, Object.is(n, -0)]; export const g = () => [NaN, -Infinity];",
        vec![],
    );
    let (infinite, _): (bool, bool) = block_on(pool.call("s", "f", (f64::INFINITY,))).expect("flags");
    let (_, negative_zero): (bool, bool) = block_on(pool.call("s", "f", (-0.0,))).expect("flags");
    assert!(infinite && negative_zero);
    let [nan, least]: [f64; 2] = block_on(pool.call("s", "g", ())).expect("numbers");
    assert!(nan.is_nan() && least == f64::NEG_INFINITY);
}

#[test]
fn bytes_are_handed_over_and_not_copied() {
    let source = "let kept; export const sum = (b) => b.reduce((s, x) => s + x, 0);
        export const give = () => kept = new Uint8Array([1, 2, 3]); export const left = () => kept.length;";
    let pool = pool_of(source, vec![]);
    let sum: u32 = block_on(pool.call("s", "sum", (ToJsBuffer::from(vec![7_u8; 1000]),))).expect("a sum");
    assert_eq!(sum, 7000);
    let given: DetachedBuffer = block_on(pool.call("s", "give", ())).expect("bytes");
    assert_eq!(&*given, [1, 2, 3]);
    // The script's buffers are empty now: they were moved.
    let left = if IN_PLACE { 0 } else { 3 };
    assert_eq!(block_on(pool.call::<_, usize>("s", "left", ())), Ok(left));
}

#[test]
fn a_value_of_another_shape_is_an_exception_that_says_so() {
    let pool = pool_of("export const f = () => 'text';", vec![]);
    let failure = block_on(pool.call::<_, u32>("s", "f", ())).expect_err("no number");
    assert_eq!(failure.outcome, Outcome::Exception);
    assert!(
        failure.message.contains("cannot convert the script's value"),
        "{failure}"
    );
    // The caller gets the exception before it is counted.
    until("the exception is counted", || {
        (pool.stats().scripts["s"].outcomes.get("exception") == Some(&1)).then_some(())
    });
}

#[test]
fn a_type_error_names_the_path_and_the_value() {
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "never made: the parts do not fit")]
    struct Order {
        id: u32,
        items: Vec<Item>,
        note: Option<String>,
    }
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "never made: the parts do not fit")]
    struct Item {
        name: String,
        prices: std::collections::BTreeMap<String, f64>,
    }
    let pool = pool_of("export const f = (text) => Function(`return ${text}`)();", vec![]);
    let told = |text: &str| {
        let failure = block_on(pool.call::<_, Order>("s", "f", (text.to_owned(),))).expect_err("another shape");
        failure.message
    };
    let items = |item: &str| format!("({{ id: 1, items: [{{ name: 'a', prices: {{}} }}, {item}] }})");
    for (text, place) in [
        ("7".to_owned(), "found the number 7"),
        ("({ items: [] })".to_owned(), "missing field `id`"),
        (
            "({ id: 'one', items: [] })".to_owned(),
            "at `id`: expected integer, found the string \"one\"",
        ),
        (
            "({ id: 1, items: 'none' })".to_owned(),
            "at `items`: expected array, found the string \"none\"",
        ),
        (
            "({ id: 1, items: [], note: [1, 2] })".to_owned(),
            "at `note`: expected string, found an array of 2",
        ),
        (items("null"), "at `items[1]`: expected object, found null"),
        (
            items("{ name: 5, prices: {} }"),
            "at `items[1].name`: expected string, found the number 5",
        ),
        (
            items("{ name: 'b', prices: { eur: 'x' } }"),
            "at `items[1].prices.eur`: expected number, found the string \"x\"",
        ),
        (
            items("{ name: 'b', prices: { eur: Symbol() } }"),
            "at `items[1].prices.eur`",
        ),
    ] {
        let told = told(&text);
        assert!(told.contains(place), "{text}: {told}");
        assert!(!told.contains("serde_v8"), "{told}");
    }
}

#[test]
fn plain_values_convert_like_json() {
    let pool = pool_of("export const f = (text) => Function(`return ${text}`)();", vec![]);
    let taken = |text: &str| block_on(pool.call::<_, serde_json::Value>("s", "f", (text.to_owned(),)));
    for (text, json) in [
        ("new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("new Date(NaN)", json!(null)),
        ("new URL('http://a/b')", json!("http://a/b")),
        ("({ a: { toJSON: () => [1] }, b: undefined })", json!({ "a": [1] })),
        (
            "new (class A { x = 1; #y = 2; get z() { return 3; } })",
            json!({ "x": 1 }),
        ),
        (
            "[1, -1, 1.5, 2 ** 32, -(2 ** 53 - 1)]",
            json!([1, -1, 1.5, 1_u64 << 32, -9_007_199_254_740_991_i64]),
        ),
        (
            "[1e300, -0, true, null, '\\ud800']",
            json!([1e300, -0.0, true, null, "\u{fffd}"]),
        ),
        (
            "new Map([['a', new Date(0)]])",
            json!({ "a": "1970-01-01T00:00:00.000Z" }),
        ),
        ("Object.create(null)", json!({})),
    ] {
        assert_eq!(
            taken(text).unwrap_or_else(|failure| panic!("{text}: {failure}")),
            json,
            "{text}"
        );
    }
    for (text, place) in [
        ("({ a: [new Set([1])] })", "at `a[0]`: expected object, found a Set"),
        ("({ a: new Error('b') })", "at `a`: expected object, found an Error"),
        (
            "({ a: Object.assign(new TypeError('b'), { code: 1 }) })",
            "at `a`: expected object, found a TypeError",
        ),
        ("({ a: new Blob(['b']) })", "at `a`: expected object, found a Blob"),
        ("({ a: new Headers() })", "at `a`: expected object, found a Headers"),
        ("({ a: /b/ })", "at `a`: expected object, found a RegExp"),
        ("({ a: new WeakMap() })", "at `a`: expected object, found a WeakMap"),
        ("({ a() {} })", "at `a`: expected object, found a function"),
        ("[Symbol()]", "at `[0]`: expected a plain value, found a symbol"),
        ("[1n]", "at `[0]`: expected a plain value, found a bigint"),
        ("[new Uint8Array(1)]", "found a Uint8Array"),
        ("({ a: new Map([[1, 2]]) })", "expected string"),
        (
            "{ const o = {}; o.o = o; return o; }",
            "it is nested deeper than 128 levels",
        ),
        (
            "({ get a() { throw new Error('no') } })",
            "a getter, a proxy or toJSON() threw",
        ),
    ] {
        let text = text
            .strip_prefix("{ ")
            .map_or(text.to_owned(), |body| format!("(() => {{ {body})()"));
        let failure = taken(&text).expect_err(&text);
        assert!(failure.message.contains(place), "{text}: {failure}");
    }
}

/// Numbers keep their meaning.
#[test]
fn numbers_that_the_callers_type_cannot_hold_are_errors() {
    let pool = pool_of("export const f = (text) => Function(`return ${text}`)();", vec![]);
    macro_rules! told {
        ($type:ty, $text:expr) => {
            block_on(pool.call::<_, $type>("s", "f", ($text.to_owned(),))).map_err(|failure| failure.message)
        };
    }
    assert_eq!(told!(u8, "255"), Ok(255));
    assert!(told!(u8, "256").unwrap_err().contains("found the number 256"));
    assert!(told!(u32, "-1").unwrap_err().contains("found the number -1"));
    assert!(told!(i32, "3.5").unwrap_err().contains("found the number 3.5"));
    assert!(told!(u64, "NaN").unwrap_err().contains("found the number NaN"));
    assert_eq!(told!(u64, "2 ** 63"), Ok(1 << 63));
    assert_eq!(told!(i64, "-(2 ** 63)"), Ok(i64::MIN));
    assert!(told!(u64, "2 ** 64").is_err());
    assert_eq!(told!(u64, "2n ** 64n - 1n"), Ok(u64::MAX));
    assert!(told!(u64, "-1n").is_err());
    assert_eq!(told!(f64, "7"), Ok(7.0));
    assert!(
        told!(bool, "'true'")
            .unwrap_err()
            .contains("expected boolean, found the string \"true\"")
    );
    assert!(
        told!((u8, u8), "[1, 2, 3]")
            .unwrap_err()
            .contains("expected array of 2, found an array of 3")
    );
    assert_eq!(told!((), "'anything'"), Ok(()));
}

#[test]
fn an_error_keeps_its_class_message_stack_and_cause() {
    let source = "class Broke extends Error { name = 'Broke' }
        export function f() { throw new Broke('no', { cause: new RangeError('deep') }) }";
    let pool = pool_of(source, vec![]);
    let failure = block_on(pool.call::<_, ()>("s", "f", ())).expect_err("it throws");
    let thrown = failure.source().and_then(|source| source.downcast_ref::<Thrown>());
    let thrown = thrown.expect("the error");
    assert_eq!((&*thrown.class, &*thrown.message), ("Broke", "no"));
    assert!(
        thrown.stack.as_ref().is_some_and(|stack| stack.contains("at f (")),
        "{thrown:?}"
    );
    let cause = thrown.cause.as_deref().expect("its cause");
    assert_eq!((&*cause.class, &*cause.message), ("RangeError", "deep"));
}

async fn read(body: Body) -> String {
    let bytes = body.collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_stream_can_be_argument_and_result() {
    let source = "export const upper = (stream) => stream.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TransformStream({ transform: (c, to) => to.enqueue(c.toUpperCase()) }))
        .pipeThrough(new TextEncoderStream());";
    let pool = pool_of(source, vec![]);
    let arguments = Arguments::new().stream(Body::from("a stream"));
    let body: Body = block_on(pool.call("s", "upper", arguments)).expect("a stream");
    assert_eq!(block_on(read(body)), "A STREAM");
}

#[test]
fn a_function_can_be_lent_for_the_time_of_a_call() {
    let source = "let kept; export async function f(start, tell) { kept = tell; return await tell(start, 2) + 1; }
        export const late = () => kept(1, 1).then(() => 'called', (e) => e.message);";
    let pool = pool_of(source, vec![]);
    let add = NativeFunction::new(|(a, b): (u32, u32)| async move { Ok(a + b) });
    let arguments = Arguments::new().value(40).function(add);
    assert_eq!(block_on(pool.call::<_, u32>("s", "f", arguments)), Ok(43));
    let late: String = block_on(pool.call("s", "late", ())).expect("an answer");
    assert!(late.contains("has ended"), "{late}");
}

#[test]
fn a_native_binding_is_called_with_values_and_may_use_tokio() {
    let price = NativeFunction::new(|(what, count): (String, u32)| async move {
        // The thread's I/O runtime has a timer, and the script's event loop is not blocked.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        Ok(Point {
            x: f64::from(count) * 1.5,
            y: Some(1),
            tags: vec![what],
        })
    });
    let none = NativeFunction::new(|(): ()| async { Ok("none") });
    let source = "export default { async price(what) { return [await this.env?.SHOP ?? 0, what] } };
        export class Shop { constructor(ctx, env) { this.env = env }
            async price(what) { return await this.env.SHOP.price(what, 4) }
            none() { return this.env.SHOP.none() } }";
    let pool = pool_of(source, vec![("SHOP", functions([("price", price), ("none", none)]))]);
    let point: Point = block_on(pool.call("s#Shop", "price", ("tea",))).expect("a price");
    assert_eq!(point.x, 6.0);
    assert_eq!(point.tags, ["tea"]);
    assert_eq!(
        block_on(pool.call::<_, String>("s#Shop", "none", ())).as_deref(),
        Ok("none")
    );
}

#[test]
fn an_error_of_a_native_function_has_its_class_and_its_causes_in_the_script() {
    let fail = NativeFunction::new(|(): ()| async {
        let io = std::io::Error::other("disk");
        Err::<(), _>(NativeError::new("RangeError", "too far").with_cause(NativeError::from(io)))
    });
    let missing =
        NativeFunction::new(|(): ()| async { Err::<(), _>(NativeError::new("DOMExceptionNotFoundError", "no")) });
    let panics = NativeFunction::new(|(): ()| async { panic!("at the disco") as Result<(), _> });
    let wrong = NativeFunction::new(|(n,): (u32,)| async move { Ok(n) });
    let source = "export class S { constructor(ctx, env) { this.n = env.N }
        async f() { const errors = [];
            for (const [name, arg] of [['fail'], ['missing'], ['panics'], ['wrong', 'x']]) {
                try { await (arg ? this.n[name](arg) : this.n[name]()) } catch (e) {
                    errors.push([e.constructor.name, e.name, e.message, e.cause?.message ?? '']) } }
            return errors } }";
    let bound = functions([
        ("fail", fail),
        ("missing", missing),
        ("panics", panics),
        ("wrong", wrong),
    ]);
    let pool = pool_of(source, vec![("N", bound)]);
    let errors: Vec<[String; 4]> = block_on(pool.call("s#S", "f", ())).expect("errors");
    assert_eq!(errors[0], ["RangeError", "RangeError", "too far", "disk"]);
    assert_eq!(errors[1], ["DOMException", "NotFoundError", "no", ""]);
    assert!(errors[2][2].contains("at the disco"), "{errors:?}");
    assert_eq!(errors[3][0], "TypeError");
    assert_eq!(pool.stats().scripts["s"].outcomes.get("worker_lost"), Some(&0));
}

#[test]
fn a_native_function_takes_and_gives_streams() {
    let echo = NativeFunction::with_streams(|(name, _): (String, ()), streams: Vec<Body>| async move {
        let mut text = name;
        for body in streams {
            let bytes = body
                .collect()
                .await
                .map_err(|error| NativeError::new("Error", error.to_string()))?;
            text.push_str(&String::from_utf8_lossy(&bytes.to_bytes()));
        }
        Ok(Body::from(text))
    });
    let source = "export class S { constructor(ctx, env) { this.n = env.N }
        async f() { return await new Response(await this.n.echo('> ', new Response('body').body)).text() } }";
    let pool = pool_of(source, vec![("N", functions([("echo", echo)]))]);
    assert_eq!(
        block_on(pool.call::<_, String>("s#S", "f", ())).as_deref(),
        Ok("> body")
    );
}

#[test]
fn a_native_call_is_dropped_with_the_event_that_made_it() {
    struct Guard(Arc<AtomicU32>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicU32::new(0));
    let seen = dropped.clone();
    let never = NativeFunction::new(move |(): ()| {
        let guard = Guard(seen.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(())
        }
    });
    let source = "export class S { constructor(ctx, env) { this.n = env.N } f() { return this.n.never() } g() {} }";
    let pool = pool_of(source, vec![("N", functions([("never", never)]))]);
    // The deadline is for the call alone, not for starting the worker.
    block_on(pool.call::<_, ()>("s#S", "g", ())).expect("a warm worker");
    let meta = isopod::Meta::default().deadline(std::time::Instant::now() + std::time::Duration::from_millis(500));
    let ended: Result<(), Failure> = block_on(pool.call_with("s#S", "f", (), meta));
    assert_eq!(ended.expect_err("its time was over").outcome, Outcome::ExceededWall);
    until("the future is dropped, with the worker still there", || {
        (dropped.load(Ordering::SeqCst) == 1).then_some(())
    });
    assert_eq!(pool.stats().scripts["s"].workers, 1);
}
