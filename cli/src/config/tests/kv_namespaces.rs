use super::*;

/// The namespace that the worker `name` has as `env.KV`: id and file, below the project's folder.
fn namespace(project: &Project, name: &str) -> (String, String) {
    let config = project.config();
    let bound = config.workers[name].bindings.iter().find(|bound| bound.name == "KV");
    let binding: &dyn std::any::Any = &*bound.expect("a binding of this name").binding;
    let namespace: &KvNamespace = binding.downcast_ref().expect("a namespace");
    let file = namespace
        .kept
        .file()
        .expect("a file")
        .strip_prefix(project.path())
        .expect("below the folder");
    (namespace.id.clone(), file.display().to_string())
}

#[test]
fn a_namespace_is_a_file_named_by_its_id() {
    for (section, expected) in [
        ("binding = 'KV'", ("KV", ".isopod/kv/KV.sqlite")),
        ("binding = 'KV'\nid = 'shared'", ("shared", ".isopod/kv/shared.sqlite")),
        (
            "binding = 'KV'\nid = 'any/thing'\npath = 'data/kv.db'\nbytes_max = '1 GiB'",
            ("any/thing", "data/kv.db"),
        ),
    ] {
        let project = Project::isopod(&format!("main = 'a.ts'\n[[kv_namespaces]]\n{section}"));
        let (id, file) = namespace(&project, "main");
        assert_eq!((id.as_str(), file.as_str()), expected);
        assert!(project.config().withheld().contains(&project.path().join(file)));
    }
}

#[test]
fn wrangler_says_the_same() {
    for (section, expected) in [
        ("id = 'abc'\npreview_id = 'def'", "abc"),
        ("preview_id = 'def'", "def"),
        ("", "KV"),
    ] {
        let text = format!("name = 'x'\nmain = 'a.ts'\n[[kv_namespaces]]\nbinding = 'KV'\n{section}");
        let project = Project::new(&[("wrangler.toml", &text), ("a.ts", "")]);
        let (id, file) = namespace(&project, "x");
        assert_eq!((id.as_str(), file), (expected, format!(".isopod/kv/{expected}.sqlite")));
    }
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let wrangler = |section: &str| {
        let text = format!("name = 'x'\nmain = 'a.ts'\n[[kv_namespaces]]\n{section}");
        Project::new(&[("wrangler.toml", &text), ("a.ts", "")])
    };
    for (project, parts) in [
        (
            Project::isopod("main = 'a.ts'\n[[kv_namespaces]]\nbinding = 'KV'\nid = '../x'"),
            ["isopod.toml:4:6: `kv_namespaces[0].id` = \"../x\"", "names a file"],
        ),
        (
            Project::isopod("main = 'a.ts'\nvars = { KV = 1 }\nkv_namespaces = [{ binding = 'KV' }]"),
            ["`env.KV` is defined twice", "rename one"],
        ),
        (
            wrangler("binding = 'KV'\nremote = true"),
            ["this build has no remote KV binding", "remove `remote`"],
        ),
    ] {
        let error = project.error();
        for part in parts {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}
