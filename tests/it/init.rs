//! `isopod init` and `isopod types`: each template starts and works as its files describe.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::program::{Serving, isopod_in};
use crate::project::Project;

/// Makes a project from a template in a new folder.
fn init(template: &str) -> Project {
    let project = Project::new(&[]);
    let ended = isopod_in(project.path(), &["init", "my shop", "--template", template], "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("isopod serve --watch"), "{}", ended.stdout);
    project
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let ended = isopod_in(folder, arguments, "");
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

fn serve(project: &Project) -> Serving {
    let folder = project.path().join("my shop");
    assert_eq!(succeeds(&folder, &["check"]), "my-shop: ok\n");
    Serving::start(&folder)
}

#[test]
fn hello_greets() {
    let project = init("hello");
    let server = serve(&project);
    assert_eq!(server.get("/").body, "Hello, world!\n");
    assert_eq!(server.get("/?name=Ada").body, "Hello, Ada!\n");
}

#[test]
fn api_keeps_notes_in_the_database_and_the_cache() {
    let project = init("api");
    succeeds(&project.path().join("my shop"), &["d1", "migrations", "apply"]);
    let server = serve(&project);
    assert_eq!(server.get("/notes").body, "[]");
    let made = server
        .connect()
        .post("/notes", r#"{ "text": "milk" }"#)
        .expect("an answer");
    assert_eq!(made.status, 201, "{}", made.body);
    let notes: Json = serde_json::from_str(&server.get("/notes").body).expect("JSON");
    assert_eq!(notes[0]["text"], "milk");
    assert_eq!(server.connect().post("/notes", "milk").expect("an answer").status, 400);
    assert_eq!(server.get("/other").status, 404);
}

#[test]
fn site_serves_its_files_and_the_worker_behind_them() {
    let project = init("site");
    let server = serve(&project);
    assert!(server.get("/").body.contains("<title>my-shop</title>"));
    assert!(server.get("/api/time").body.starts_with(r#"{"now":"2"#));
    assert_eq!(server.get("/missing").status, 404);
}

#[test]
fn jobs_counts_words_behind_a_queue() {
    let project = init("jobs");
    let server = serve(&project);
    let made = server.connect().post("/", "three short words").expect("an answer");
    let made: Json = serde_json::from_str(&made.body).expect("JSON");
    let path = format!("/{}", made["id"].as_str().expect("an id"));
    let began = Instant::now();
    loop {
        let result = server.get(&path);
        if result.status == 200 {
            assert_eq!(result.body, "3 words\n");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{}", result.body);
    }
}

#[test]
fn a_folder_with_files_is_left_alone() {
    let project = Project::new(&[("shop/a.txt", "")]);
    let ended = isopod_in(project.path(), &["init", "shop"], "");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("shop is not empty"), "{}", ended.stderr);
    assert!(!project.path().join("shop/wrangler.jsonc").exists());
}

#[test]
fn templates_are_listed_with_what_they_are() {
    let all: Json = serde_json::from_str(&succeeds(Path::new("."), &["init", "--list", "--json"])).expect("JSON");
    assert_eq!(all["hello"], "A worker that answers requests");
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(4));
    assert!(succeeds(Path::new("."), &["init", "--list"]).contains("jobs   A queue with its consumer"));
}

#[test]
fn types_are_written_for_every_binding_and_checked() {
    let project = init("api");
    let folder = project.path().join("my shop");
    let stale = isopod_in(&folder, &["types", "--check"], "");
    assert_eq!(stale.code, Some(1));
    assert!(stale.stdout.contains("out of date"), "{}", stale.stdout);
    assert!(succeeds(&folder, &["types"]).starts_with("wrote the types of 2 bindings to "));
    let written = std::fs::read_to_string(folder.join("worker-configuration.d.ts")).expect("the file");
    assert!(
        written.contains("    CACHE: KVNamespace;\n    DB: D1Database;\n"),
        "{written}"
    );
    succeeds(&folder, &["types", "--check"]);
    let types: Json = serde_json::from_str(&succeeds(&folder, &["types", "--json"])).expect("JSON");
    assert_eq!(
        types,
        json!({ "my-shop": { "CACHE": "KVNamespace", "DB": "D1Database" } })
    );
    assert_eq!(succeeds(&folder, &["types", "-"]), written);
}
