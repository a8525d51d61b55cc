//! An embedder's additions to workers that start from the stock snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use deno_core::{Extension, OpState, op2};
use isopod_runtime::bindings::{Binding, Custom, EnvValue, Installed};
use isopod_runtime::sql::SqlConfig;
use isopod_runtime::{Extend, ExtendError, Image, NewWorker, Script, WorkerTemplate};
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
fn ops_outside_the_snapshot_are_unreachable_from_scripts() {
    let template = WorkerTemplate::new(Image::stock(), vec![Arc::new(Added)]).unwrap();
    let binding = Custom::new("ext:added/added.js", json!({ "first": 300 }));
    let script = Script::builder("added")
        .source(
            "export default class {
                constructor(ctx, env) { this.env = env }
                async f() {
                    // Scripts loaded later work with them, including the guards.
                    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(1)));
                    const copy = structuredClone({ a: [1] });
                    const { ADDED } = this.env;
                    return [ADDED.fee(1), await ADDED.later('now'), digest.length, copy, typeof Deno, typeof __bootstrap];
                }
            }",
        )
        .binding("ADDED", binding);
    let wanted = json!([321, "ADDED now, later", 32, { "a": [1] }, "undefined", "undefined"]);
    assert_eq!(twice_on(template, script, "f"), [wanted.clone(), wanted]);
}

deno_core::extension!(
    counted,
    ops = [op_counted_next],
    lazy_loaded_js = ["ext:counted/counted.js" = {
        source = "(function () {
        const { op_counted_next } = __bootstrap.core.ops;
        return { make: (name, options) => ({ next: () => `${options.prefix}${op_counted_next(name)}` }) };
    })();"
    }]
);

/// A counter shared by all workers that have it.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<AtomicU32>);

impl Binding for Counter {
    fn kind(&self) -> &'static str {
        "counter"
    }

    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.clone());
        EnvValue::made(
            "ext:counted/counted.js",
            &json!({ "prefix": format!("{}:", worker.script) }),
        )
    }
}

#[op2(fast)]
fn op_counted_next(state: &mut OpState, #[string] name: &str) -> u32 {
    let counter = Installed::<Counter>::get(state, name).expect("a binding of this name");
    counter.0.fetch_add(1, Ordering::Relaxed)
}

struct Counted {
    module: &'static str,
}

impl Extend for Counted {
    fn extensions(&self) -> Vec<Extension> {
        vec![counted::init()]
    }

    fn modules(&self) -> Vec<(String, Arc<str>)> {
        vec![(self.module.to_owned(), "export const from = 'counted';".into())]
    }
}

/// Both exist, and two bindings of one kind have separate values.
#[test]
fn several_extends_add_up() {
    let extends: Vec<Arc<dyn Extend>> = vec![Arc::new(Added), Arc::new(Counted { module: "counted:m" })];
    let template = WorkerTemplate::new(Image::stock(), extends).unwrap();
    let source = "import { from } from 'counted:m';
        import { env } from 'isopod:workers';
        export const f = () => [env.ADDED.fee(0), env.A.next(), env.A.next(), env.B.next(), from, Object.keys(env)];";
    let a = Counter::default();
    let script = Script::builder("s")
        .source(source)
        .binding("B", Counter::default())
        .binding("A", a.clone())
        .binding("ADDED", Custom::new("ext:added/added.js", json!({ "first": 1 })));
    let names = json!(["A", "ADDED", "B"]);
    assert_eq!(
        twice_on(template, script, "f"),
        [
            json!([21, "s:0", "s:1", "s:0", "counted", names]),
            json!([21, "s:2", "s:3", "s:1", "counted", names])
        ]
    );
    assert_eq!(a.0.load(Ordering::Relaxed), 4);
}

#[test]
fn extends_that_conflict_are_refused() {
    let refused = |extends: Vec<Arc<dyn Extend>>| WorkerTemplate::new(Image::stock(), extends).err();
    let counted = |module| Arc::new(Counted { module });
    assert!(matches!(
        refused(vec![counted("a:m"), Arc::new(Added), counted("b:m")]),
        Some(ExtendError::DuplicateExtension("counted"))
    ));
    struct Modules(Vec<&'static str>);
    impl Extend for Modules {
        fn modules(&self) -> Vec<(String, Arc<str>)> {
            self.0.iter().map(|name| ((*name).to_owned(), "".into())).collect()
        }
    }
    let modules = |names: &[&'static str]| Arc::new(Modules(names.to_vec()));
    let two = refused(vec![counted("a:m"), modules(&["b:m", "a:m"])]);
    assert!(matches!(two, Some(ExtendError::DuplicateModule(name)) if name == "a:m"));
    let own = refused(vec![modules(&["isopod:fs"])]);
    assert!(matches!(own, Some(ExtendError::DuplicateModule(name)) if name == "isopod:fs"));
    let bare = refused(vec![modules(&["lodash"])]);
    assert!(matches!(bare, Some(ExtendError::ModuleName(name)) if name == "lodash"));
    struct Stock;
    impl Extend for Stock {
        fn extensions(&self) -> Vec<Extension> {
            isopod_ext::extensions().split_off(10)
        }
    }
    assert!(matches!(
        refused(vec![Arc::new(Stock)]),
        Some(ExtendError::DuplicateExtension(_))
    ));
}

#[test]
fn the_debug_form_of_a_script_shows_no_secret() {
    let script = Script::builder("s")
        .source("")
        .text("GREETING", "hello")
        .secret("KEY", "hunter2")
        .binding("DB", SqlConfig::new("postgres://me:hunter2@db/app"))
        .binding(
            "MINE",
            Custom::new("ext:added/added.js", json!({ "password": "hunter2" })),
        )
        .build()
        .unwrap();
    let shown = format!("{script:?}");
    assert!(
        shown.contains("hello") && shown.contains("KEY") && !shown.contains("hunter2"),
        "{shown}"
    );
}
