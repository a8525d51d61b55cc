//! Scripts that exceed limits, and the events after them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{call, drive, fetch, get, on_worker_thread, script};
use isopod_runtime::handlers::{Event, EventKind, Fault, FaultKind};
use isopod_runtime::values::IntoArguments;
use isopod_runtime::{BootOptions, Limits, ScriptBuilder, Worker};
use serde_json::json;

fn quick() -> Limits {
    Limits::default()
        .cpu(Duration::from_millis(50))
        .boot_cpu(Duration::from_millis(50))
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
        assert!(fault.message.contains("top-level code exceeded"), "{}", fault.message);
        assert!(Worker::boot(&thread, &good, BootOptions::default()).await.is_ok());
    });
}

#[test]
fn a_full_heap_ends_the_script_and_not_the_process() {
    for body in [
        "const all = []; for (;;) all.push(new Array(1000).fill(1.5))",
        "let s = 'a'; const a = []; for (;;) a.push(s += 'b' + Math.random())",
    ] {
        let limits = Limits::default().memory_bytes(32 << 20);
        let greedy = script(&format!("export default {{ fetch() {{ {body} }} }}")).limits(limits);
        assert_eq!(fetch(greedy, get("/")).unwrap_err().kind, FaultKind::ExceededMemory);
    }
}

#[test]
fn a_script_with_less_memory_than_a_worker_needs_is_not_built() {
    let with = |bytes| {
        let limits = Limits::default().memory_bytes(bytes);
        script("export default {}").limits(limits).build()
    };
    for little in [0, 1024, Limits::MEMORY_BYTES_MIN - 1] {
        let error = with(little).unwrap_err().to_string();
        let (given, remedy) = (
            format!("a memory limit of {little} bytes"),
            "set `memory_bytes` to 16777216 (16 MiB) or more",
        );
        assert!(error.contains(&given) && error.contains(remedy), "{error}");
    }
    assert!(with(Limits::MEMORY_BYTES_MIN).is_ok());
}

#[test]
fn deep_recursion_and_deep_json_are_range_errors() {
    let deep = "export function recurse() { const f = () => f(); try { f() } catch (e) { return e.name } }
        export function json() { let o = {}; for (let i = 0; i < 1e6; i++) o = { o };
            try { return JSON.stringify(o).length } catch (e) { return e.name } }";
    assert_eq!(call(script(deep), "recurse", vec![]).unwrap(), json!("RangeError"));
    // V8 writes JSON without recursion: the result is its length, or a RangeError, and never a crash.
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
    assert!(fault.message.contains("top-level code exceeded"), "{fault}");
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
fn the_burning_interleaved_event_is_blamed() {
    // Each of them continues in turns of the event loop, where only the code itself shows which event it belongs to.
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
        assert!(ends[0].message.contains("retry this one"), "{}", ends[0]);
    }
}

#[test]
fn the_heap_filling_event_is_blamed_and_others_are_retryable() {
    let source = format!(
        "{BURN} export async function quiet() {{ for (;;) await sleep(1); }}
         export async function loud() {{
             await sleep(20); const all = []; for (;;) all.push(new Array(1000).fill(1.5));
         }}"
    );
    let limits = Limits::default().memory_bytes(32 << 20);
    let ends = ends_of(script(&source).limits(limits), &["quiet", "loud"]);
    assert_eq!(ends[0].kind, FaultKind::WorkerLost, "{}", ends[0]);
    assert_eq!(ends[1].kind, FaultKind::ExceededMemory, "{}", ends[1]);
}

#[test]
fn a_soft_limit_warns_before_the_cpu_limit() {
    let source = format!(
        "{BURN} let heard; addEventListener('softlimit', (event) => {{ heard = event; }});
         export default {{ async fetch(request, env, ctx) {{
             ctx.signal.throwIfAborted();
             while (!ctx.signal.aborted) {{ burn(2); await sleep(1); }}
             const {{ limit, used, max }} = heard.detail;
             return Response.json([limit, max, used >= 80 && used < max, ctx.signal.reason.name, heard.isTrusted]);
         }} }}"
    );
    let limits = Limits::default()
        .cpu(Duration::from_millis(200))
        .cpu_soft(Duration::from_millis(80));
    let (_, body) = fetch(script(&source).limits(limits), get("/")).unwrap();
    assert_eq!(body, r#"["cpu",200,true,"QuotaExceededError",true]"#);
}

/// The results of calls of these functions, held by one worker at the same time.
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

fn with_memory(bytes: usize) -> Limits {
    Limits::default().memory_bytes(bytes)
}

#[test]
fn an_array_buffer_that_does_not_fit_is_a_range_error_and_the_worker_lives() {
    let source = "
        const nameOf = (misdeed) => { try { misdeed(); return 'none'; } catch (error) { return error.name; } };
        export function all() {
            const names = [];
            for (const length of [10e9, 2 ** 40, 60 << 20]) names.push(nameOf(() => new ArrayBuffer(length)));
            names.push(nameOf(() => new SharedArrayBuffer(60 << 20)));
            const kept = [];
            names.push(nameOf(() => { for (let i = 0; i < 10_000; i++) kept.push(new Uint8Array(100_000)); }));
            const many = kept.length;
            kept.length = 0;
            // Released memory can be allocated again.
            for (let i = 0; i < 20; i++) new Uint8Array(20 << 20).fill(1);
            return [names, many > 200 && many < 500];
        }";
    let answer = call(script(source).limits(with_memory(48 << 20)), "all", vec![]).unwrap();
    let refused = "RangeError";
    assert_eq!(answer, json!([[refused, refused, refused, refused, refused], true]));
}

#[test]
fn an_untouched_large_buffer_costs_nothing() {
    let source = "export const make = () => { globalThis.kept = new ArrayBuffer(100 << 20); return kept.byteLength; };";
    let start = Instant::now();
    assert_eq!(call(script(source), "make", vec![]).unwrap(), json!(100 << 20));
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn webassembly_memory_that_does_not_fit_is_a_range_error_and_the_worker_lives() {
    let source = "export function grow() {
            const memory = new WebAssembly.Memory({ initial: 1 });
            try { for (;;) memory.grow(64); } catch (error) { return [error.name, memory.buffer.byteLength >> 20]; }
        }
        export function resize() {
            const buffer = new ArrayBuffer(1, { maxByteLength: 1 << 30 });
            try { for (;;) buffer.resize(buffer.byteLength + (4 << 20)); }
            catch (error) { return [error.name, buffer.byteLength >> 20]; }
        }
        export function share() {
            try { new SharedArrayBuffer(1, { maxByteLength: 1 << 30 }) } catch (error) { return [error.name, 30]; }
        }";
    for function in ["grow", "resize", "share"] {
        let answer = call(script(source).limits(with_memory(48 << 20)), function, vec![]).unwrap();
        let mib = answer[1].as_u64().unwrap();
        assert_eq!(answer[0], "RangeError");
        assert!((20..48).contains(&mib), "{function}: {mib} MiB");
    }
}

#[test]
fn unreserved_memory_is_counted_and_ends_the_worker() {
    // A module that creates its memory itself, and grows it with an instruction: (memory 1) (func (export "g") (param
    // i32) (result i32) local.get 0 memory.grow)
    let module = "new Uint8Array([0,97,115,109,1,0,0,0, 1,6,1,96,1,127,1,127, 3,2,1,0, 5,3,1,0,1,
        7,5,1,1,103,0,0, 10,8,1,6,0,32,0,64,0,11])";
    for body in [
        format!("const {{ g }} = new WebAssembly.Instance(new WebAssembly.Module({module})).exports; for (;;) g(16);"),
        format!(
            "const {{ g }} = new WebAssembly.Instance(new WebAssembly.Module({module})).exports;
             for (;;) {{ g(16); await new Promise((resolve) => setTimeout(resolve, 1)); }}"
        ),
        "const kept = []; for (;;) kept.push(new WebAssembly.Memory({ initial: 100 }));".to_owned(),
        "const kept = []; for (;;) kept.push(new Uint8Array(3000));".to_owned(),
    ] {
        let greedy = script(&format!("export async function greedy() {{ {body} }}")).limits(with_memory(48 << 20));
        let fault = call(greedy, "greedy", vec![]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ExceededMemory, "{body}: {fault}");
    }
}

#[test]
fn garbage_does_not_count_as_memory() {
    let source = "export async function churn() {
        for (let i = 0; i < 300; i++) {
            const some = new Uint8Array(2 << 20).fill(1), more = new Array(50_000).fill(some[0]);
            if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return 'done';
    }";
    assert_eq!(
        call(script(source).limits(with_memory(32 << 20)), "churn", vec![]).unwrap(),
        json!("done")
    );
}

// Nothing is allocated after the last collection, so only another one shows that objects that were alive then have been dropped.
#[test]
fn a_text_is_not_refused_beside_a_buffer_that_was_dropped() {
    let source = "export function decode() {
        const bytes = new Uint8Array(10 << 20);
        let held = new Uint8Array(44 << 20);
        try {
            return ['there was room', new TextDecoder().decode(bytes)];
        } catch {}
        held = null;
        return new TextDecoder().decode(bytes).length;
    }";
    let room = script(source).limits(with_memory(64 << 20));
    assert_eq!(call(room, "decode", vec![]).unwrap(), json!(10 << 20));
}

#[test]
fn a_soft_limit_warns_before_the_memory_limit() {
    let source = "
        const heard = []; addEventListener('softlimit', (event) => { heard.push(event.detail); });
        export async function fill() {
            const kept = [];
            while (heard.length === 0) {
                kept.push(new Array(20_000).fill(1.5));
                await new Promise((resolve) => setTimeout(resolve, 1));
            }
            const { limit, used, max } = heard[0];
            return [limit, used >= max * 0.79 && used < max, max];
        }";
    let answer = call(script(source).limits(with_memory(40 << 20)), "fill", vec![]).unwrap();
    assert_eq!(answer, json!(["memory", true, 40 << 20]));
}

/// V8 divides the limit between its generations, so the old generation's limit is lower.
#[test]
fn a_worker_may_hold_all_of_its_memory() {
    let source = "
        const kept = [];
        export function fill() {
            for (let bytes = 0; bytes < 34 << 20; bytes += 160_000) kept.push(new Array(20_000).fill(1.5));
            return kept.length;
        }";
    let answer = call(script(source).limits(with_memory(40 << 20)), "fill", vec![]).unwrap();
    assert_eq!(answer, json!(223));
}

#[test]
fn bytes_for_a_full_worker_do_not_end_the_process() {
    let source = "const kept = [];
        export function fill(bytes) { try { for (;;) kept.push(new Uint8Array(1 << 20)); } catch { return bytes.length; } }
        export const more = (bytes) => bytes.length;";
    let script = Arc::new(script(source).limits(with_memory(32 << 20)).build().unwrap());
    let length = on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let mut length = 0;
        for function in ["fill", "more"] {
            let (reply, mut answer) = isopod_runtime::values::answer::<u32>();
            worker.begin(Event {
                entrypoint: None,
                kind: EventKind::Call {
                    function: function.to_owned(),
                    arguments: (Bytes(vec![1; 8 << 20]),).into_arguments(),
                    reply,
                },
            });
            match drive(&mut worker, || answer.try_recv().ok().flatten()).await {
                Ok(bytes) => length = bytes,
                // The second may arrive after the worker was ended for the first.
                Err(fault) => assert!(
                    matches!(fault.kind, FaultKind::ExceededMemory | FaultKind::WorkerLost),
                    "{fault}"
                ),
            }
        }
        length
    });
    assert_eq!(length, 8 << 20);
}

/// Serialized as bytes, for which V8 allocates a buffer.
struct Bytes(Vec<u8>);

impl serde::Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}
