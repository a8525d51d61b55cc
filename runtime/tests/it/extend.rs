//! What an embedder adds to workers that start from the stock snapshot.

use std::sync::Arc;

use deno_core::{Extension, OpState, op2};
use isopod_runtime::{Binding, Extend, Fabric, NewWorker, Script};
use serde_json::json;

use crate::common::twice_on;

struct Fee(u32);

#[op2(fast)]
fn op_added_fee(state: &mut OpState, #[smi] of: u32) -> u32 {
    state.borrow::<Fee>().0 + of
}

#[op2]
#[string]
async fn op_added_later(#[string] what: String) -> String {
    tokio::task::yield_now().await;
    what + ", later"
}

deno_core::extension!(
    added,
    ops = [op_added_fee, op_added_later],
    lazy_loaded_js = ["ext:added/added.js" = {
        source = "(function () {
        const { op_added_fee, op_added_later } = __bootstrap.core.ops;
        const make = (name, { first }) => ({ fee: (of) => op_added_fee(of) + first, later: (what) => op_added_later(`${name} ${what}`) });
        return { make };
    })();"
    }]
);

struct Added;

impl Extend for Added {
    fn extensions(&self) -> Vec<Extension> {
        vec![added::init()]
    }

    fn prepare(&self, _worker: &NewWorker<'_>, state: &mut OpState) {
        state.put(Fee(20));
    }
}

#[test]
fn ops_that_are_not_in_the_snapshot_are_there_and_out_of_a_scripts_reach() {
    let fabric = Fabric {
        extend: Some(Arc::new(Added)),
        ..Fabric::default()
    };
    let binding = Binding::Custom {
        script: "ext:added/added.js".to_owned(),
        options: json!({ "first": 300 }),
    };
    let script = Script::builder("added")
        .source(
            "export default class {
                constructor(ctx, env) { this.env = env }
                async f() {
                    // What is loaded late works beside them, guards and all.
                    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(1)));
                    const copy = structuredClone({ a: [1] });
                    const { ADDED } = this.env;
                    return [ADDED.fee(1), await ADDED.later('now'), digest.length, copy, typeof Deno, typeof __bootstrap];
                }
            }",
        )
        .binding("ADDED", binding);
    let wanted = json!([321, "ADDED now, later", 32, { "a": [1] }, "undefined", "undefined"]);
    assert_eq!(twice_on(fabric, script, "f"), [wanted.clone(), wanted]);
}
