//! The module `cloudflare:workers`.
//! <https://developers.cloudflare.com/workers/runtime-apis/bindings/#importing-env-as-a-global>

use isopod_runtime::WorkerTemplate;
use serde_json::json;

use crate::common::{call, fetch, get, script, twice_on};

#[test]
fn bindings_are_there_while_modules_are_evaluated() {
    let early = script(
        "import { env } from 'cloudflare:workers';
         import { env as same } from 'isopod:workers';
         const greeting = `${env.GREETING} ${Object.keys(env)} ${'GREETING' in env} ${env === same}`;
         export default { fetch: (_request, given) => new Response(`${greeting} ${given.GREETING === env.GREETING}`) };",
    );
    let (_, body) = fetch(early.text("GREETING", "hi"), get("/")).unwrap();
    assert_eq!(body, "hi GREETING true true true");
}

#[test]
fn another_env_is_seen_by_what_is_called_with_it() {
    let replaced = script(
        "import { env, withEnv } from 'cloudflare:workers';
         const look = async () => {
            await new Promise((resolve) => setTimeout(resolve, 1));
            return [env.GREETING ?? null, Object.keys(env), Object.getOwnPropertyDescriptor(env, 'OTHER')?.value ?? null];
         };
         export async function call() {
            const inside = withEnv(Object.freeze({ OTHER: 1 }), look);
            let thrown;
            try { withEnv({}, () => { throw new Error('left'); }) } catch (error) { thrown = error.message; }
            return [await inside, await look(), thrown, env.GREETING];
         }",
    );
    assert_eq!(
        call(replaced.text("GREETING", "hi"), "call", vec![]).unwrap(),
        json!([[null, ["OTHER"], 1], ["hi", ["GREETING"], null], "left", "hi"])
    );
}

/// Timers of an event end with it: this one fires because the event waits for it.
#[test]
fn an_event_waits_for_its_wait_until_promises() {
    let waits = |wait: &str| {
        let source = format!(
            "import {{ waitUntil }} from 'cloudflare:workers';
             const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
             let calls = 0, done = false;
             export async function call() {{
                if (calls++ === 0) {{
                    await sleep(1);
                    {wait}(sleep(5).then(() => done = true));
                    return done;
                }}
                for (let i = 0; i < 40 && !done; i++) await sleep(1);
                return done;
             }}"
        );
        twice_on(WorkerTemplate::default(), script(&source), "call")
    };
    assert_eq!(waits("waitUntil"), [json!(false), json!(true)]);
    assert_eq!(waits("void"), [json!(false), json!(false)]);
}

#[test]
fn unavailable_interfaces_throw_on_creation() {
    let base = script(
        "import { DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint, waitUntil } from 'cloudflare:workers';
         let early;
         try { waitUntil(Promise.resolve()) } catch (error) { early = error.message; }
         export class Counter extends DurableObject {}
         class Cart extends RpcTarget { items() { return 2; } }
         const message = (act) => { try { act(); return 'created'; } catch (error) { return error.message; } };
         export const call = () => [
            new Counter(1, 2).ctx, message(() => new WorkflowEntrypoint()), new Cart().items(), early,
         ];",
    );
    assert_eq!(
        call(base, "call", vec![]).unwrap(),
        json!([
            1,
            "Workflows are not available in Isopod, so no WorkflowEntrypoint can be created",
            2,
            "waitUntil() can only be called while an event is handled"
        ])
    );
}
