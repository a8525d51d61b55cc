//! What the limits do to scripts that break them, and to what comes after.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{call, fetch, get, on_worker_thread, script};
use isopod_runtime::handlers::FaultKind;
use isopod_runtime::{BootOptions, Limits, Worker};
use serde_json::json;

fn quick() -> Limits {
    Limits {
        cpu: Duration::from_millis(50),
        boot_cpu: Duration::from_millis(50),
        ..Limits::default()
    }
}

#[test]
fn an_endless_loop_in_a_handler_ends_at_the_cpu_limit() {
    for body in [
        "for (;;) {}",
        "(function f() { Promise.resolve().then(f) })(); return new Promise(() => {});",
        "[3, 1, 2].sort(() => { for (;;) {} })",
        "JSON.stringify({ toJSON() { for (;;) {} } })",
        "/(a+)+b/.test('a'.repeat(40))",
    ] {
        let spin = script(&format!("export default {{ fetch() {{ {body} }} }}")).limits(quick());
        assert_eq!(
            fetch(spin, get("/")).unwrap_err().kind,
            FaultKind::ExceededCpu,
            "{body}"
        );
    }
}

#[test]
fn an_endless_loop_at_the_top_level_fails_the_start_and_the_thread_lives() {
    let bad = Arc::new(script("for (;;) {}").limits(quick()).build().unwrap());
    let good = Arc::new(script("export default {}").build().unwrap());
    on_worker_thread(move |thread| async move {
        let fault = Worker::boot(&thread, &bad, BootOptions::default()).await.err().unwrap();
        assert_eq!(fault.kind, FaultKind::BootFailed);
        assert!(fault.message.contains("top-level code ran for"), "{}", fault.message);
        assert!(Worker::boot(&thread, &good, BootOptions::default()).await.is_ok());
    });
}

#[test]
fn a_full_heap_ends_the_script_and_not_the_process() {
    for body in [
        "const all = []; for (;;) all.push(new Array(1000).fill(1.5))",
        "let s = 'a'; const a = []; for (;;) a.push(s += 'b' + Math.random())",
    ] {
        let limits = Limits {
            heap_bytes: 32 << 20,
            ..Limits::default()
        };
        let greedy = script(&format!("export default {{ fetch() {{ {body} }} }}")).limits(limits);
        assert_eq!(fetch(greedy, get("/")).unwrap_err().kind, FaultKind::ExceededMemory);
    }
}

#[test]
fn deep_recursion_and_deep_json_are_range_errors() {
    let deep = "export function recurse() { const f = () => f(); try { f() } catch (e) { return e.name } }
        export function json() { let o = {}; for (let i = 0; i < 1e6; i++) o = { o };
            try { return JSON.stringify(o).length } catch (e) { return e.name } }";
    assert_eq!(call(script(deep), "recurse", vec![]).unwrap(), json!("RangeError"));
    // V8 writes JSON without recursion: the answer is its length, or a RangeError, and never a crash.
    assert!(call(script(deep), "json", vec![]).is_ok());
}

#[test]
fn many_rejections_are_one_bounded_report() {
    let reject = script(
        "export default { fetch() { for (let i = 0; i < 1e5; i++) Promise.reject(new Error('no')); return new Response('ok') } }",
    );
    assert_eq!(fetch(reject, get("/")).unwrap().1, "ok");
}

#[test]
fn overridden_builtins_neither_panic_nor_lift_limits() {
    let tampered = script(
        "Object.prototype.then = function () { for (;;) {} };
         Array.prototype[Symbol.iterator] = () => { throw 1 };
         globalThis.Promise = class {}; Function.prototype.toString = () => 'class';
         export default { fetch() { for (;;) {} } }",
    );
    assert_eq!(
        fetch(tampered.limits(quick()), get("/")).unwrap_err().kind,
        FaultKind::ExceededCpu
    );
}
