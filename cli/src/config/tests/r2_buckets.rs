use super::*;

/// The bucket that the worker `name` has as `env.R2`: name and folder, below the project's folder.
fn bucket(project: &Project, name: &str) -> (String, String) {
    let config = project.config();
    let bound = config.workers[name].bindings.iter().find(|bound| bound.name == "R2");
    let binding: &dyn std::any::Any = &*bound.expect("a binding of this name").binding;
    let bucket: &R2Bucket = binding.downcast_ref().expect("a bucket");
    let folder = bucket
        .path()
        .expect("a folder")
        .strip_prefix(project.path())
        .expect("below the folder");
    (bucket.name.clone(), folder.display().to_string())
}

#[test]
fn a_bucket_is_a_folder_of_its_name() {
    for (section, expected) in [
        ("binding = 'R2'", ("R2", ".isopod/r2/R2")),
        (
            "binding = 'R2'\nbucket_name = 'shared'",
            ("shared", ".isopod/r2/shared"),
        ),
        (
            "binding = 'R2'\nbucket_name = 'any/thing'\npath = 'data/r2'\nbytes_max = '1 TiB'",
            ("any/thing", "data/r2"),
        ),
    ] {
        let project = Project::isopod(&format!("main = 'a.ts'\n[[r2_buckets]]\n{section}"));
        let (name, folder) = bucket(&project, "main");
        assert_eq!((name.as_str(), folder.as_str()), expected);
        let file = project.path().join(folder).join("bucket.sqlite");
        assert!(project.config().withheld().contains(&file));
    }
}

#[test]
fn wrangler_says_the_same() {
    for (section, expected) in [
        ("bucket_name = 'abc'\npreview_bucket_name = 'def'", "abc"),
        ("preview_bucket_name = 'def'\njurisdiction = 'eu'", "def"),
        ("", "R2"),
    ] {
        let text = format!("name = 'x'\nmain = 'a.ts'\n[[r2_buckets]]\nbinding = 'R2'\n{section}");
        let project = Project::new(&[("wrangler.toml", &text), ("a.ts", "")]);
        let (name, folder) = bucket(&project, "x");
        assert_eq!((name.as_str(), folder), (expected, format!(".isopod/r2/{expected}")));
    }
}

#[test]
fn mistakes_are_reported_with_their_place() {
    let wrangler = |section: &str| {
        let text = format!("name = 'x'\nmain = 'a.ts'\n[[r2_buckets]]\n{section}");
        Project::new(&[("wrangler.toml", &text), ("a.ts", "")])
    };
    for (project, parts) in [
        (
            Project::isopod("main = 'a.ts'\n[[r2_buckets]]\nbinding = 'R2'\nbucket_name = '../x'"),
            [
                "isopod.toml:4:15: `r2_buckets[0].bucket_name` = \"../x\"",
                "names a file",
            ],
        ),
        (
            Project::isopod("main = 'a.ts'\nr2_buckets = [{ binding = 'R2', transfers_max = 0 }]"),
            ["`r2_buckets[0].transfers_max`", "1"],
        ),
        (
            wrangler("binding = 'R2'\nremote = true"),
            ["this build has no remote R2 binding", "remove `remote`"],
        ),
    ] {
        let error = project.error();
        for part in parts {
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}
