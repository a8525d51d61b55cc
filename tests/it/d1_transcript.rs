//! D1 databases of the built program beside workerd's.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;
use crate::transcript;

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    let both = |message: &str| json!(format!("Error: D1_ERROR: {message} | {message}"));
    let whole = "the message is SQLite's, without the place in the text";
    vec![
        (
            "batch_schema",
            json!([
                [[], 0, true],
                [[], 0, true],
                [[], 0, true],
                [[], 2, true],
                [[], 0, true],
                [[], 0, true]
            ]),
            "every statement that changes the schema has changed the database, not only one that changes its size",
        ),
        (
            "batch_empty",
            json!([]),
            "no statements have no results, as when a list is filtered to nothing",
        ),
        (
            "two_statements",
            both("A prepared SQL statement must contain only one statement.: SQLITE_ERROR"),
            "the results of all statements but the last would be lost",
        ),
        (
            "exec_error",
            json!("Error: D1_EXEC_ERROR: no such table: absent: SQLITE_ERROR | no such table: absent: SQLITE_ERROR"),
            whole,
        ),
        ("exec_case", json!({ "count": 2 }), "statements are counted, not lines"),
        ("syntax", both("near \"SELEC\": syntax error: SQLITE_ERROR"), whole),
        (
            "comment",
            both("No SQL statements detected."),
            "it is the same as no text",
        ),
    ]
}

/// Source: d1.json, the transcript of workerd 1.20260426.1 with miniflare 4's storage for the same worker.
#[test]
fn a_database_behaves_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write(
        "wrangler.json",
        r#"{ "name": "x", "main": "d1.js", "d1_databases": [{ "binding": "DB", "database_name": "x", "database_id": "x" }] }"#,
    );
    let server = Serving::start(project.path());
    let steps = transcript::compare(&server.get("/").body, "d1.json", &differences());
    assert!(steps > 40);
}
