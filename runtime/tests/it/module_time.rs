//! The time and the size of modules: a start, and an event that imports one, end at their limits while a module is parsed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_runtime::handlers::{Event, EventKind, FaultKind};
use isopod_runtime::values::IntoArguments;
use isopod_runtime::{BootOptions, Script, ScriptBuilder, Worker};

use crate::common::{call, drive, on_worker_thread, script};

const SOON: Duration = Duration::from_millis(50);
/// A machine under load takes that long to start an isolate.
const SOON_AFTER: Duration = Duration::from_secs(5);

/// A module of about a megabyte.
fn large(line: &str) -> String {
    format!(
        "{}\nexport const last = 1;\n",
        format!("{line}\n").repeat((1 << 20) / line.len())
    )
}

fn typescript() -> String {
    large("export const f: (a: number) => number = (a: number): number => { const b: number = a + 1; return b as number };")
        // Each line declares another name.
        .lines()
        .enumerate()
        .map(|(at, line)| line.replacen("const f", &format!("const f{at}"), 1) + "\n")
        .collect()
}

fn boot_error(builder: ScriptBuilder) -> (String, Duration) {
    let script = Arc::new(builder.build().unwrap());
    on_worker_thread(move |thread| async move {
        let options = BootOptions {
            stop_at: Some(Instant::now() + SOON),
            ..BootOptions::default()
        };
        let start = Instant::now();
        let error = Worker::boot(&thread, &script, options)
            .await
            .err()
            .expect("it takes longer");
        assert_eq!(error.kind, FaultKind::BootFailed);
        (error.message, start.elapsed())
    })
}

#[test]
fn a_start_leaves_a_module_that_is_parsed_at_its_deadline_and_names_it() {
    let common = large("exports.a = function (a) { return require('./b.cjs')(a) + 1 };");
    let conditional = large("globalThis.a = process.env.NODE_ENV === 'x' ? (a) => a + 1 : { b: [1, 2, 3] };");
    for (name, source) in [
        ("./large.ts", typescript()),
        ("./large.tsx", typescript()),
        ("./large.cts", typescript()),
        ("./large.cjs", common),
        ("./large.js", conditional),
    ] {
        let main = script(&format!("import {name:?}; export default {{}}")).module(name, &*source);
        let (message, took) = boot_error(main);
        assert!(
            message.contains(&name[2..]) && message.contains("was being parsed"),
            "{name}: {message}"
        );
        assert!(message.contains("`limits.boot`"), "{message}");
        assert!(took < SOON_AFTER, "{name}: {took:?}");
    }
}

#[test]
fn an_event_that_imports_a_large_module_ends_at_its_deadline() {
    let builder = script("export const load = () => import('./large.ts')").module("./large.ts", &*typescript());
    // It is not looked at before it is imported.
    let script = Arc::new(builder.compatibility(without_node()).build().unwrap());
    let (kind, took) = on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let (reply, mut answer) = isopod_runtime::values::answer::<serde_json::Value>();
        let kind = EventKind::Call {
            function: "load".to_owned(),
            arguments: ().into_arguments(),
            reply,
        };
        let start = Instant::now();
        worker.begin_until(Event { entrypoint: None, kind }, Some(start + SOON));
        let ended = drive(&mut worker, || answer.try_recv().ok().flatten()).await;
        (ended.unwrap_err().kind, start.elapsed())
    });
    assert_eq!(kind, FaultKind::ExceededWall);
    assert!(took < SOON_AFTER, "{took:?}");
}

fn without_node() -> isopod_runtime::Compatibility {
    isopod_runtime::Compatibility::default().node(isopod_runtime::NodeCompat::Off)
}

#[test]
fn the_size_of_typescript_is_limited_below_that_of_other_modules() {
    let with = |name: &str| {
        Script::builder("test")
            .source(format!("import {name:?}; export const look = () => 1"))
            .module(name, "/* a comment */")
            .modules(|mut options| {
                options.limits.transpiled_bytes_max = 14;
                options
            })
    };
    for (name, language) in [("./a.ts", "TypeScript"), ("./a.jsx", "JSX"), ("./a.cts", "TypeScript")] {
        let message = call(with(name), "look", vec![]).unwrap_err().message;
        let expected = format!("{} has 15 bytes of {language}, over the limit of 14", &name[2..]);
        assert!(message.contains(&expected), "{message}");
        assert!(message.contains("`modules.transpiled_bytes_max`"), "{message}");
    }
    assert_eq!(call(with("./a.js"), "look", vec![]).unwrap(), 1);
}

/// The compiler of V8 makes the lists and objects of literals before any code runs.
#[test]
fn a_start_whose_modules_fill_the_memory_says_so() {
    let source = format!("export default [{}]", "{a:1,b:[1,2]},".repeat(1 << 18));
    let limits = isopod_runtime::Limits::default().memory_bytes(24 << 20);
    let builder = script("import './large.js'; export default {}").module("./large.js", &*source);
    let script = Arc::new(builder.limits(limits).compatibility(without_node()).build().unwrap());
    let message = on_worker_thread(move |thread| async move {
        let booted = Worker::boot(&thread, &script, BootOptions::default()).await;
        booted.err().expect("it has no room").message
    });
    assert!(message.contains("memory limit of 24 MiB"), "{message}");
}
