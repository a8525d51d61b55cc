//! `isopod serve --watch`: changes are deployed, errors are shown until they are fixed, and workers and routes follow
//! the configuration.

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const fn worker() -> &'static str {
    "import { text } from './text.ts'; export default { fetch: () => new Response(text) };"
}

#[test]
fn a_changed_module_is_deployed_and_a_mistake_is_reported() {
    let project = Project::new(&[
        ("worker.ts", worker()),
        ("text.ts", "export const text: string = 'one';"),
    ]);
    let server = Serving::start_with(project.file("worker.ts"), &["--watch"]);
    assert_eq!(server.get("/").body, "one");
    project.write("text.ts", "export const text: string = 'two';");
    until("the change is served", || (server.get("/").body == "two").then_some(()));
    project.write("text.ts", "export const text: string = ;");
    until("the mistake is told", || {
        server.log().contains("text.ts:1:29").then_some(())
    });
    // Repeatedly, including while the breaker refuses to boot the script.
    let answers: Vec<_> = (0..6).map(|_| server.get("/")).collect();
    for answer in &answers {
        assert_eq!(answer.verdict(), (503, "boot_failed"), "{}", answer.body);
        assert!(
            answer.body.contains("text.ts:1:29") && answer.body.contains("string = ;"),
            "{}",
            answer.body
        );
    }
    assert!(
        answers.iter().any(|answer| answer.header("retry-after").is_some()),
        "it was tried each time"
    );
    project.write("text.ts", "export const text: string = 'three';");
    until("the mended version is served", || {
        (server.get("/").body == "three").then_some(())
    });
}

/// A configuration with these workers, each on the path of its name and answering with its name.
fn site(names: &[&str]) -> String {
    let routes: Vec<_> = names
        .iter()
        .map(|name| format!("{{ path = '/{name}', worker = '{name}' }}"))
        .collect();
    let workers: Vec<_> = names
        .iter()
        .map(|name| format!("[workers.{name}]\nmain = 'worker.js'\nvars = {{ NAME = '{name}' }}\n"))
        .collect();
    format!("threads = 2\nroutes = [{}]\n{}", routes.join(", "), workers.concat())
}

#[test]
fn workers_and_routes_follow_the_configuration() {
    let project = Project::new(&[
        ("isopod.toml", &site(&["a", "b"])),
        (
            "worker.js",
            "export default { fetch: (request, env) => new Response(env.NAME) };",
        ),
    ]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    assert_eq!(
        (server.get("/a").body.as_str(), server.get("/b").body.as_str()),
        ("a", "b")
    );
    assert_eq!(server.get("/c").verdict(), (404, "refused"));
    project.write("isopod.toml", &site(&["b", "c"]));
    until("the new worker answers", || {
        (server.get("/c").body == "c").then_some(())
    });
    assert_eq!(server.get("/a").verdict(), (404, "refused"));
    assert_eq!(server.get("/b").body, "b");
    until("the worker that was taken out is gone", || {
        (server.metric_over_all("isopod_workers") <= 2 && !server.has_metric("isopod_workers{worker=\"a\"}"))
            .then_some(())
    });
}

#[test]
fn only_workers_that_loaded_a_changed_file_start_again() {
    let worker = |text: &str| {
        format!(
            "import {{ shared }} from './shared.js'; let served = 0;
             export default {{ fetch: () => new Response(`{text} ${{shared}} ${{++served}}`) }};"
        )
    };
    let config = "routes = [{ path = '/a', worker = 'a' }, { path = '/b', worker = 'b' }]\n\
                  [workers.a]\nmain = 'a.js'\n[workers.b]\nmain = 'b.js'\nworkers_max = 1\n";
    let project = Project::new(&[
        ("isopod.toml", config),
        ("a.js", &worker("one")),
        ("b.js", &worker("b")),
        ("shared.js", "export const shared = 1"),
    ]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    assert_eq!(server.get("/b").body, "b 1 1");
    // It cannot start, and is then mended.
    for (text, status) in [("two", 200), ("`", 503), ("three", 200)] {
        project.write("a.js", &worker(text));
        until("the change is served", || {
            let answer = server.get("/a");
            (answer.status == status && (status != 200 || answer.body.starts_with(text))).then_some(())
        });
    }
    assert_eq!(server.get("/b").body, "b 1 2");
    project.write("shared.js", "export const shared = 2");
    for path in ["/a", "/b"] {
        until("both have the change", || {
            server.get(path).body.contains(" 2 ").then_some(())
        });
    }
    // Variables of any worker may have changed.
    project.write("isopod.toml", &format!("{config}vars = {{ A = 'a' }}"));
    until("the configuration is deployed", || {
        server.get("/b").body.ends_with(" 1").then_some(())
    });
}

#[test]
fn a_worker_that_cannot_start_does_not_keep_others_from_being_deployed() {
    let project = Project::new(&[
        ("isopod.toml", &site(&["a", "b"])),
        (
            "worker.js",
            "export default { fetch: (request, env) => new Response(env.NAME) };",
        ),
    ]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    let broken = site(&["a", "b"])
        .replace("NAME = 'b'", "NAME = 'new b'")
        .replacen("worker.js", "broken.js", 1);
    project.write("broken.js", "throw new Error('a is broken');");
    project.write("isopod.toml", &broken);
    until("the other worker is deployed", || {
        (server.get("/b").body == "new b").then_some(())
    });
    assert_eq!(server.get("/a").verdict(), (503, "boot_failed"));
}

#[test]
fn an_unreadable_configuration_changes_nothing() {
    let project = Project::new(&[
        ("isopod.toml", &site(&["a"])),
        (
            "worker.js",
            "export default { fetch: (request, env) => new Response(env.NAME) };",
        ),
    ]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    project.write("isopod.toml", "rutes = []");
    until("the mistake is told", || {
        server.log().contains("did you mean `routes`?").then_some(())
    });
    assert_eq!(server.get("/a").body, "a");
    project.write("isopod.toml", &site(&["a"]).replace("threads = 2", "threads = 3"));
    until("the setting is named", || {
        server
            .log()
            .contains("takes effect at the next start: threads")
            .then_some(())
    });
}
