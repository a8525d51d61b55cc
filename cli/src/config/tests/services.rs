use super::*;

const FRONT: &str =
    "routes = [{ path = '/*', worker = 'front' }]\n[workers.front]\nmain = 'a.ts'\n[workers.api]\nmain = 'b.ts'\n";

/// The service bindings of a worker.
fn services(project: &Project, worker: &str) -> Vec<Service> {
    let config = project.config();
    let bindings = config.workers[worker].bindings.iter();
    bindings.filter_map(|bound| bound.binding.service().cloned()).collect()
}

fn service(binding: &str, service: &str, entrypoint: Option<&str>) -> Service {
    Service {
        binding: binding.to_owned(),
        service: service.to_owned(),
        entrypoint: entrypoint.map(str::to_owned),
        props: None,
    }
}

#[test]
fn they_are_read_from_isopod_toml() {
    let text = format!(
        "{FRONT}[[workers.front.services]]\nbinding = 'API'\nservice = 'api'\n\
         [[workers.front.services]]\nbinding = 'SELF'\nservice = 'front'\nentrypoint = 'Admin'\n"
    );
    let expected = [service("API", "api", None), service("SELF", "front", Some("Admin"))];
    assert_eq!(services(&Project::isopod(&text), "front"), expected);
}

#[test]
fn both_files_give_an_entry_point_its_properties() {
    let toml = format!(
        "{FRONT}[[workers.front.services]]\nbinding = 'API'\nservice = 'api'\nprops = {{ role = 'admin', ids = [1] }}\n"
    );
    let wrangler = r#"{ "name": "front", "main": "a.ts", "services": [
        { "binding": "API", "service": "front", "props": { "role": "admin", "ids": [1] } } ] }"#;
    let wrangler = Project::new(&[("wrangler.json", wrangler), ("a.ts", "")]);
    for project in [Project::isopod(&toml), wrangler] {
        let props = services(&project, "front")[0].props.clone();
        let expected = serde_json::json!({ "role": "admin", "ids": [1] });
        assert_eq!(props.map(serde_json::Value::Object), Some(expected));
    }
}

/// A worker without a route is noted, because nothing reaches it.
#[test]
fn a_worker_that_another_is_bound_to_needs_no_route() {
    let noted = |bindings: &str| {
        let text = format!("{FRONT}{bindings}");
        let notes = Project::isopod(&text).config().notes;
        notes.iter().map(|note| note.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(noted(""), ["worker `api` has no route"]);
    let bindings = "[[workers.front.services]]\nbinding = 'API'\nservice = 'api'\n";
    assert_eq!(noted(bindings), [""; 0]);
}

#[test]
fn wrangler_files_have_the_same_effect_and_ignored_keys_are_noted() {
    let text = r#"{ "name": "x", "main": "a.ts", "services": [
        { "binding": "A", "service": "x", "entrypoint": "Admin" },
        { "binding": "B", "service": "x", "environment": "production", "remote": true } ] }"#;
    let project = Project::new(&[("wrangler.json", text), ("a.ts", "")]);
    let expected = [service("A", "x", Some("Admin")), service("B", "x", None)];
    assert_eq!(services(&project, "x"), expected);
    let notes: Vec<_> = project.config().notes.iter().map(ToString::to_string).collect();
    for key in ["services[1].environment", "services[1].remote"] {
        let message = format!("`{key}` is accepted without effect");
        assert!(notes.iter().any(|note| note.contains(&message)), "{notes:?}");
    }
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let bound = |line: &str| Project::isopod(&format!("{FRONT}[[workers.front.services]]\nbinding = 'API'\n{line}\n"));
    let wrangler = |services: &str| {
        let text = format!("name = 'x'\nmain = 'a.ts'\nservices = [{services}]");
        Project::new(&[("wrangler.toml", &text), ("a.ts", "")])
    };
    for (project, parts) in [
        (
            bound("service = 'apis'"),
            [
                "isopod.toml:8:11: `workers.front.services[0].service` = \"apis\": no worker has this name",
                "did you mean \"api\"?",
            ],
        ),
        (
            bound("service = 'other'"),
            [
                "no worker has this name",
                "the workers here: api, front; workers that call each other",
            ],
        ),
        (bound(""), ["`workers.front.services[0].service`", "add `service`"]),
        (
            bound("service = 'api'\n[workers.front.vars]\nAPI = 1"),
            [
                "`workers.front.services[0].binding`: `env.API` is defined twice",
                "services, version_metadata share one `env`",
            ],
        ),
        (
            wrangler("{ binding = 'API', service = 'api' }"),
            [
                "wrangler.toml:3",
                "`services[0].service` = \"api\": no worker has this name",
            ],
        ),
    ] {
        let error = project.error();
        for part in parts {
            assert!(error.contains(part), "{part} in\n{error}");
        }
    }
}
