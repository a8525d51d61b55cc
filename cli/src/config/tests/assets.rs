use super::*;

fn project(name: &str, text: &str) -> Project {
    Project::new(&[
        (name, text),
        ("a.ts", ""),
        ("public/index.html", ""),
        ("other/index.html", ""),
    ])
}

#[test]
fn both_files_are_equivalent() {
    let options =
        "html_handling = 'drop-trailing-slash'\nnot_found_handling = '404-page'\nrun_worker_first = ['/api/*']";
    let shown = |name: &str, top: &str| {
        let project = project(
            name,
            &format!("{top}main = 'a.ts'\n[assets]\ndirectory = 'public'\n{options}"),
        );
        let config = project.config();
        let worker = config.workers.values().next().expect("a worker");
        let assets = worker.assets.as_ref().expect("assets");
        assert_eq!(assets.place, AssetsPlace::Folder(project.path().join("public")));
        format!("{:?}", assets.options)
    };
    let expected = "Options { html_handling: DropTrailingSlash, not_found_handling: NotFoundPage, worker_first: ";
    let (ours, wranglers) = (
        shown("isopod.toml", ""),
        shown("wrangler.toml", "name = 'x'\ncompatibility_date = '2026-01-01'\n"),
    );
    assert_eq!(ours, wranglers);
    assert!(
        ours.starts_with(expected) && ours.ends_with("navigations: true }"),
        "{ours}"
    );
}

/// Source: https://developers.cloudflare.com/workers/wrangler/configuration/#inheritable-keys.
#[test]
fn an_environment_inherits_assets() {
    let text = "name = 'x'\nmain = 'a.ts'\nassets = { directory = 'public' }\n[env.one]\n[env.two]\nassets = { directory = 'other' }";
    for (environment, folder) in [("one", "public"), ("two", "other")] {
        let project = project("wrangler.toml", text).in_environment(environment);
        let config = project.config();
        let worker = &config.workers[&format!("x-{environment}")];
        let assets = worker.assets.as_ref().expect("assets");
        assert_eq!(assets.place, AssetsPlace::Folder(project.path().join(folder)));
        assert_eq!(config.notes, []);
    }
}

#[test]
fn mistakes_are_reported_with_their_place() {
    for (text, parts) in [
        (
            "main = 'a.ts'\nassets = { directory = 'none' }",
            ["isopod.toml:2:24: `assets.directory` = ", "there is no such folder"],
        ),
        (
            "main = 'a.ts'\nassets = { binding = 'A' }",
            ["`assets.directory` is missing", "add the folder"],
        ),
        (
            "main = 'a.ts'\nassets = { directory = 'public', run_worker_first = ['api'] }",
            [
                "`assets.run_worker_first`: the rule \"api\" does not begin with",
                "for example",
            ],
        ),
        (
            "main = 'a.ts'\nvars = { A = 1 }\nassets = { directory = 'public', binding = 'A' }",
            ["`env.A` is defined twice", "rename one"],
        ),
        (
            "main = 'a.ts'\nassets = { directory = 'public', html_handling = 'x' }",
            ["html_handling", "auto-trailing-slash"],
        ),
    ] {
        let error = project("isopod.toml", text).error();
        for part in parts {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}
