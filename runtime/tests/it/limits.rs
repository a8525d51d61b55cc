//! What the limits do to scripts that break them, and to what comes after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{call, drive, fetch, get, on_worker_thread, script};
use isopod_runtime::handlers::{Event, EventKind, Fault, FaultKind};
use isopod_runtime::values::IntoArguments;
use isopod_runtime::{BootOptions, Limits, ScriptBuilder, Worker};
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
        assert!(fault.message.contains("top-level code used"), "{}", fault.message);
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

// row 19
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

const BURN: &str = "
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const burn = (ms) => { for (const until = performance.now() + ms; performance.now() < until;); };";

#[test]
fn an_event_pays_for_all_its_turns_together() {
    let source = format!("{BURN} export async function nibble() {{ for (;;) {{ burn(2); await sleep(1); }} }}");
    let start = Instant::now();
    let fault = call(script(&source).limits(quick()), "nibble", vec![]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::ExceededCpu, "{fault}");
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_start_pays_for_all_its_turns_together() {
    let source = format!("{BURN} for (;;) {{ burn(2); await sleep(1); }}");
    let fault = call(script(&source).limits(quick()), "none", vec![]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BootFailed);
    assert!(fault.message.contains("top-level code used"), "{fault}");
}

#[test]
fn waiting_is_not_charged() {
    let source = format!("{BURN} export async function wait() {{ for (let i = 0; i < 40; i++) await sleep(5); }}");
    assert_eq!(
        call(script(&source).limits(quick()), "wait", vec![]).unwrap(),
        json!(null)
    );
}

#[test]
fn of_interleaved_events_the_one_that_burns_is_blamed_and_the_others_may_come_again() {
    // Each of them goes on in turns of the event loop, where nothing but the code itself says whose it is.
    for burner in [
        "for (;;) { burn(3); await sleep(1); }",
        "await sleep(20); for (;;);",
        "await sleep(20); JSON.stringify({ toJSON() { for (;;); } });",
    ] {
        let source = format!(
            "{BURN} export async function quiet() {{ for (;;) await sleep(1); }}
             export async function loud() {{ {burner} }}"
        );
        let ends = ends_of(script(&source).limits(quick()), &["quiet", "loud", "quiet"]);
        let kinds: Vec<_> = ends.iter().map(|fault| fault.kind).collect();
        let lost = FaultKind::WorkerLost;
        assert_eq!(kinds, [lost, FaultKind::ExceededCpu, lost], "{burner}");
        assert!(ends[0].retry_after.is_some() && ends[1].retry_after.is_none());
        assert!(ends[0].message.contains("can be tried again"), "{}", ends[0]);
    }
}

#[test]
fn the_event_that_fills_the_heap_is_blamed_and_the_others_may_come_again() {
    let source = format!(
        "{BURN} export async function quiet() {{ for (;;) await sleep(1); }}
         export async function loud() {{
             await sleep(20); const all = []; for (;;) all.push(new Array(1000).fill(1.5));
         }}"
    );
    let limits = Limits {
        heap_bytes: 32 << 20,
        ..Limits::default()
    };
    let ends = ends_of(script(&source).limits(limits), &["quiet", "loud"]);
    assert_eq!(ends[0].kind, FaultKind::WorkerLost, "{}", ends[0]);
    assert_eq!(ends[1].kind, FaultKind::ExceededMemory, "{}", ends[1]);
}

#[test]
fn a_script_is_told_before_its_cpu_time_is_over() {
    let source = format!(
        "{BURN} let heard; addEventListener('softlimit', (event) => {{ heard = event; }});
         export default {{ async fetch(request, env, ctx) {{
             ctx.signal.throwIfAborted();
             while (!ctx.signal.aborted) {{ burn(2); await sleep(1); }}
             const {{ limit, used, max }} = heard.detail;
             return Response.json([limit, max, used >= 80 && used < max, ctx.signal.reason.name, heard.isTrusted]);
         }} }}"
    );
    let limits = Limits {
        cpu: Duration::from_millis(200),
        cpu_soft: Some(Duration::from_millis(80)),
        ..Limits::default()
    };
    let (_, body) = fetch(script(&source).limits(limits), get("/")).unwrap();
    assert_eq!(body, r#"["cpu",200,true,"QuotaExceededError",true]"#);
}

/// How the calls of these functions end, held by one worker at the same time.
fn ends_of(script: ScriptBuilder, functions: &'static [&'static str]) -> Vec<Fault> {
    let script = Arc::new(script.build().unwrap());
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let mut answers: Vec<_> = functions
            .iter()
            .map(|function| {
                let (reply, answer) = isopod_runtime::values::answer::<serde_json::Value>();
                worker.begin(Event {
                    entrypoint: None,
                    kind: EventKind::Call {
                        function: (*function).to_owned(),
                        arguments: Vec::<serde_json::Value>::new().into_arguments(),
                        reply,
                    },
                });
                answer
            })
            .collect();
        let mut ends = Vec::new();
        for answer in &mut answers {
            ends.push(
                drive(&mut worker, || answer.try_recv().ok().flatten())
                    .await
                    .unwrap_err(),
            );
        }
        assert!(worker.is_condemned());
        ends
    })
}
