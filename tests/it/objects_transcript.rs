//! Durable Objects beside workerd's.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;
use crate::transcript;

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    let thrown =
        |message: &str, remote: Option<bool>| json!({ "throws": message, "remote": remote, "retryable": null });
    let too_large = |bytes: usize| {
        let message = "RangeError: A key and its value cannot be larger than 2199936 bytes together. They have";
        thrown(&format!("{message} {bytes}."), None)
    };
    vec![
        (
            "abort",
            thrown("Error: for a test", Some(true)),
            "the object's code has given the error",
        ),
        (
            "in the object: a syntax error",
            thrown("Error: near \"SELEC\": syntax error: SQLITE_ERROR", None),
            "statements are checked before SQLite reads them, whole",
        ),
        (
            "in the object: an error in a later row",
            json!([
                { "done": false, "value": { "v": 1 } },
                { "done": false, "value": { "v": 2 } },
                thrown("Error: integer overflow: SQLITE_ERROR", None)
            ]),
            "the rows before the error are not lost, and the cursor has ended with it",
        ),
        (
            "in the object: large values",
            json!([
                2_000_000,
                2_000_000,
                1,
                2 << 20,
                2 << 20,
                1,
                too_large(2_200_016),
                too_large(2_202_063),
                thrown("Error: string or blob too big: SQLITE_TOOBIG", None)
            ]),
            "the error names the limit",
        ),
    ]
}

/// Source: durable_objects.json, the transcript of workerd 1.20260426.1 with miniflare 4 for the same worker.
#[test]
fn objects_behave_as_on_workerd() {
    let project = Project::copy_of("bindings");
    let bindings =
        [("THINGS", "Thing"), ("PLAINS", "Plain")].map(|(name, class)| json!({ "name": name, "class_name": class }));
    let configuration = json!({
        "name": "x", "main": "durable_objects.js", "compatibility_date": "2026-04-01",
        "durable_objects": { "bindings": bindings }, "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Thing", "Plain"] }],
    });
    project.write("wrangler.json", &configuration.to_string());
    let server = Serving::start(project.path());
    let steps = transcript::compare(&server.get("/").body, "durable_objects.json", &differences());
    assert!(steps > 70);
}
