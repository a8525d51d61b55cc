//! Memory that V8 takes outside of its heap without limiting it is held to the worker's limit: that of `Intl` objects, of
//! compilers, and of texts that are being made.

use crate::process::resident_bytes_peak;
use crate::program::{Serving, isopod};
use crate::project::Project;

const MIB: u64 = 1 << 20;

const GREEDY: &str = r#"
    const kept = [];
    const keep = (create) => {
        for (let i = 0;; i++) kept.push(create(i));
    };
    const text = "x".repeat(1e6);
    const segmenter = new Intl.Segmenter("th");
    const acts = {
        dates: () => keep(() => new Intl.DateTimeFormat("de", { dateStyle: "full", timeZone: "Europe/Berlin" })),
        collators: () => keep(() => new Intl.Collator("zh")),
        plurals: () => keep(() => new Intl.PluralRules("ru")),
        names: () => keep(() => new Intl.DisplayNames("en", { type: "region" })),
        numbers: () => keep(() => new Intl.NumberFormat("en", { style: "currency", currency: "EUR" })),
        durations: () => keep(() => new Intl.DurationFormat("en")),
        lists: () => keep(() => new Intl.ListFormat("en")),
        locales: () => keep(() => new Intl.Locale("de-DE-u-co-phonebk")),
        instants: () => keep(() => Temporal.Now.instant()),
        days: () => keep(() => Temporal.PlainDate.from("2024-01-01[u-ca=hebrew]")),
        segments: () => keep(() => segmenter.segment(text)),
        expressions: () => keep((n) => {
            let source = "" + n;
            for (let i = 0; i < 20000; i++) source += `|a${i}[x-z]*`;
            const expression = new RegExp(source);
            expression.test("zzz");
            return expression;
        }),
        // Each is garbage at once.
        dropped() {
            for (let i = 0; i < 5000; i++) new Intl.DateTimeFormat("de", { dateStyle: "full" }).format();
            return "formatted";
        },
    };
    export default {
        fetch: (request) => new Response(acts[new URL(request.url).pathname.slice(1)]()),
    };
"#;

const GOOD: &str = "let n = 0; export default { fetch: () => new Response(`${++n}`) };";

fn serve() -> (Serving, Project) {
    let configuration = "threads = 4
         routes = [{ path = '/good', worker = 'good' }, { path = '/*', worker = 'greedy' }]
         [workers.good]
         main = 'good.js'
         [workers.greedy]
         main = 'greedy.js'
         limits = { memory = '48 MiB', cpu = '10m', wall = '10m' }";
    let files = [("isopod.toml", configuration), ("greedy.js", GREEDY), ("good.js", GOOD)];
    let project = Project::new(&files);
    (Serving::start(project.path()), project)
}

#[test]
fn objects_of_intl_and_compiled_expressions_are_held_to_the_limit() {
    let (server, _project) = serve();
    let acts = [
        "dates",
        "collators",
        "plurals",
        "names",
        "numbers",
        "durations",
        "lists",
        "locales",
        "instants",
        "days",
        "segments",
        "expressions",
    ];
    for (count, act) in (1..).zip(acts) {
        assert_eq!(
            server.get("/good").body,
            count.to_string(),
            "the worker beside it was replaced"
        );
        let verdict = server.get(&format!("/{act}"));
        assert_eq!(verdict.verdict(), (500, "exceeded_memory"), "{act}");
        let peak = resident_bytes_peak(server.pid());
        assert!(peak < 512 * MIB, "{} MiB after {act}", peak / MIB);
    }
}

#[test]
fn objects_of_intl_that_are_garbage_end_no_worker() {
    let (server, _project) = serve();
    for _ in 0..3 {
        assert_eq!(server.get("/dropped").body, "formatted");
    }
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
}

/// V8 aborts the process for a list of more than 2^27 elements, unless its thread is stopped before.
#[test]
fn a_list_too_long_for_v8_ends_its_worker_alone() {
    let script = r#"
        const acts = {
            split: () => "a,".repeat(1.5e8).split(","),
            characters: () => "ab".repeat(1.2e8).split(""),
            matches: () => "x".repeat(2e8).match(/x/g),
            json: () => JSON.parse("[" + "1,".repeat(1.5e8) + "1]"),
        };
        export default {
            fetch: (request) => new Response(`${acts[new URL(request.url).pathname.slice(1)]().length}`),
        };"#;
    let configuration = "routes = [{ path = '/good', worker = 'good' }, { path = '/*', worker = 'long' }]
         [pool]
         lost_threads_max = 8
         [workers.good]
         main = 'good.js'
         [workers.long]
         main = 'long.js'";
    let project = Project::new(&[("isopod.toml", configuration), ("long.js", script), ("good.js", GOOD)]);
    let server = Serving::start(project.path());
    for (count, act) in (1..).zip(["split", "characters", "matches", "json"]) {
        let verdict = server.get(&format!("/{act}"));
        assert_eq!(verdict.verdict(), (500, "exceeded_memory"), "{act}");
        assert_eq!(server.get("/good").body, count.to_string(), "the worker beside it");
    }
}

#[test]
fn top_level_code_has_the_limit_too() {
    let script = "const kept = [];
                  for (;;) kept.push(new Intl.DateTimeFormat('de', { dateStyle: 'full' }));";
    let project = Project::new(&[("main.js", script)]);
    let file = project.path().join("main.js");
    let ended = isopod(&["run", "--memory", "48MiB", file.to_str().expect("a path")]);
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(ended.stderr.contains("memory limit of 48 MiB"), "{}", ended.stderr);
}
