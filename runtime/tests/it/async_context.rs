//! `AsyncLocalStorage` and the event whose code is running: a captured context is restored as part of the current event.

use isopod_runtime::WorkerTemplate;
use serde_json::json;

use crate::common::{script, twice_on};

fn results(source: &str) -> [serde_json::Value; 2] {
    let prelude = "import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
        const storage = new AsyncLocalStorage();
        const ways = {
            snapshot: () => AsyncLocalStorage.snapshot(),
            bind: () => AsyncLocalStorage.bind((fn) => fn()),
            resource: () => { const r = new AsyncResource('a'); return (fn) => r.runInAsyncScope(fn); },
        };
        const all = (act) => Object.fromEntries(Object.keys(ways).map((name) => [name, act(name)]));
        let calls = 0;";
    twice_on(
        WorkerTemplate::default(),
        script(&format!("{prelude}\n{source}")),
        "call",
    )
}

/// Timers and requests of an event that has ended do nothing: with the identity of the first event, the second would never
/// answer.
#[test]
fn a_context_of_an_ended_event_is_entered_as_the_current_event() {
    let given = results(
        "let captured;
         export async function call() {
            if (calls++ === 0) return storage.run('first', () => { captured = all((name) => ways[name]()); return 'captured'; });
            const seen = [];
            for (const enter of Object.values(captured)) {
                seen.push(await enter(async () => {
                    const fetched = await (await fetch('data:,fetched')).text();
                    await new Promise((resolve) => setTimeout(resolve, 1));
                    return `${storage.getStore()} ${fetched}`;
                }));
            }
            return seen;
         }",
    );
    let each = "first fetched";
    assert_eq!(given, [json!("captured"), json!([each, each, each])]);
}

/// Code of an ended event cannot continue as part of an open one: its timers are still refused, and `setTimeout` returns 0.
#[test]
fn code_of_an_ended_event_does_not_become_part_of_an_open_one() {
    let given = results(
        "let open;
         const opened = new Promise((resolve) => open = resolve);
         const timer = () => setTimeout(() => {}, 0);
         let captured, timers;
         export async function call() {
            if (calls++ === 0) {
                opened.then(() => timers = all((name) => captured[name](timer)));
                return timer() !== 0;
            }
            captured = all((name) => ways[name]());
            open();
            await new Promise((resolve) => setTimeout(resolve, 1));
            return timers;
         }",
    );
    assert_eq!(given, [json!(true), json!({ "snapshot": 0, "bind": 0, "resource": 0 })]);
}
