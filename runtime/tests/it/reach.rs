//! The globals of a script, and what is reachable from them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{call, script};

/// Every property of `globalThis` and of its prototypes. Before adding a name to this list, consider what it gives
/// access to.
const NAMES: &str = include_str!("globals.txt");

#[test]
fn the_names_on_the_global_object_are_those_of_the_list() {
    let look = script(
        "export function look() {
            const names = new Set();
            for (let at = globalThis; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
                for (const name of Reflect.ownKeys(at)) if (typeof name === 'string') names.add(name);
            }
            return [...names].sort();
        }",
    );
    let found = call(look, "look", vec![]).unwrap();
    let found: BTreeSet<&str> = found.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let listed: BTreeSet<&str> = NAMES.lines().collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:?}, gone: {gone:?}");
}

/// Walks over everything reachable from the global object and from a handler's arguments, including getters and
/// prototypes.
pub(crate) const WALK: &str = "
    const seen = new Set();
    const bad = [];
    let walked = 0;
    function walk(from, names) {
        const queue = [[from, names]];
        while (queue.length > 0) {
            const [value, path] = queue.pop();
            if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
            seen.add(value);
            walked += 1;
            if (typeof value === 'function' && /^op_/.test(value.name)) bad.push(path);
            queue.push([Object.getPrototypeOf(value), path + '.__proto__']);
            for (const key of Reflect.ownKeys(value)) {
                const name = path + '.' + String(key);
                if (/^(op_|Deno$|__bootstrap|__isopod|internals$|primordials$|ops$)/.test(String(key))) bad.push(name);
                const found = Object.getOwnPropertyDescriptor(value, key);
                if ('value' in found) queue.push([found.value, name]);
                else {
                    queue.push([found.get, name], [found.set, name]);
                    try { queue.push([value[key], name]); } catch {}
                }
            }
        }
    }";

#[test]
fn ops_are_unreachable_from_scripts() {
    let look = script(&format!(
        "import * as workers from 'isopod:workers';
         import * as hooks from 'node:async_hooks';
         import * as sockets from 'cloudflare:sockets';
         {WALK}
         export async function look() {{
            walk(globalThis, 'globalThis');
            walk(workers, 'isopod:workers');
            walk(hooks, 'node:async_hooks');
            walk(sockets, 'cloudflare:sockets');
            walk(sockets.connect('127.0.0.1:1'), 'socket');
            walk(new hooks.AsyncLocalStorage(), 'storage');
            walk(new hooks.AsyncResource('a').bind(() => {{}}), 'bound');
            walk(new Request('http://a/', {{ method: 'POST', body: 'b' }}).body.getReader(), 'reader');
            walk(new Response('b'), 'response');
            walk(await crypto.subtle.generateKey({{ name: 'AES-GCM', length: 256 }}, false, ['encrypt']), 'key');
            walk(new MessageChannel(), 'channel');
            walk(setTimeout(() => {{}}, 0), 'timer');
            try {{ await fetch('http://127.0.0.1/') }} catch (error) {{ walk(error, 'error') }}
            return {{ bad, enough: walked > 1000 }};
         }}"
    ));
    assert_eq!(
        call(look, "look", vec![]).unwrap(),
        json!({ "bad": [], "enough": true })
    );
}

#[test]
fn stack_traces_do_not_expose_functions() {
    let look = script(&format!(
        "{WALK}
         export async function look() {{
            let held = 0, frames = 0;
            Error.prepareStackTrace = (error, sites) => {{
                for (const site of sites) {{
                    frames += 1;
                    for (const name of ['getThis', 'getFunction']) {{
                        const value = site[name]?.();
                        if (value !== undefined && value !== null && value !== globalThis) held += 1;
                        walk(value, name);
                    }}
                }}
                return 'mine';
            }};
            const trap = () => void new Error('looking').stack;
            // Places where the runtime's own code calls a script's.
            new Headers({{ get a() {{ trap(); return '1'; }} }});
            structuredClone({{ get a() {{ trap(); return '1'; }} }});
            const target = new EventTarget();
            target.addEventListener('a', trap);
            target.dispatchEvent(new Event('a'));
            await new Response(new ReadableStream({{ pull(c) {{ trap(); c.close(); }} }})).text();
            await new Promise((resolve) => setTimeout(() => (trap(), resolve()), 0));
            try {{ new URL({{ toString() {{ trap(); return 'nonsense'; }} }}) }} catch (error) {{ void error.stack }}
            return {{ bad, held, enough: frames > 10 }};
         }}"
    ));
    assert_eq!(
        call(look, "look", vec![]).unwrap(),
        json!({ "bad": [], "held": 0, "enough": true })
    );
}

#[test]
fn clocks_advance_in_steps_of_a_tenth_of_a_millisecond() {
    let look = script(
        "export function look() {
            const steps = new Set();
            const end = performance.now() + 20;
            for (let last = performance.now(); last < end;) {
                const now = performance.now();
                if (now !== last) steps.add(Math.round((now - last) * 1e6) % 100_000);
                last = now;
            }
            return [...steps, Date.now() % 1];
        }",
    );
    assert_eq!(call(look, "look", vec![]).unwrap(), json!([0, 0]));
}

#[test]
fn no_foreign_code_is_charged_to_a_script() {
    let look = script("export const look = () => [typeof Worker, typeof SharedWorker, typeof importScripts];");
    assert_eq!(
        call(look, "look", vec![]).unwrap(),
        json!(["undefined", "undefined", "undefined"])
    );
}
