use url::Url;

use super::super::{Loader, LoaderOptions, ModuleError, RequestedType};
use super::Project;
use crate::NodeCompat;

fn message(project: &Project, specifier: &str) -> String {
    project.resolve(specifier, "main.js").unwrap_err().to_string()
}

#[test]
fn a_missing_file_is_reported_with_similar_names_and_its_importer() {
    let project = Project::new(&[("utils.ts", ""), ("main.js", ""), ("unrelated.css", "")]);
    let main = project.path("main.js");
    let expected = format!(
        "cannot find module \"./util.js\" (imported by {}): did you mean \"utils.ts\"?",
        main.display()
    );
    assert_eq!(message(&project, "./util.js"), expected);
    assert!(message(&project, "./zzz.js").contains("imports are relative to the importing file"));
    assert!(message(&project, "./nowhere/zzz.js").contains("imports are relative"));
}

#[test]
fn unsupported_modules_are_reported_with_a_remedy() {
    let project = Project::new(&[("node_modules/here/package.json", "{}"), ("beside.js", "")]);
    for (specifier, remedy) in [
        ("hono", "run `npm install hono`"),
        ("@hono/zod/x", "run `npm install @hono/zod`"),
        ("here/missing.js", "package here is installed in"),
        ("beside.js", "did you mean \"./beside.js\"?"),
        ("@/lib/x", "looks like a path alias"),
        ("node:nothing", "Node.js built-in \"node:nothing\" is not provided"),
        ("node:test", "Node.js built-in \"node:test\" is not provided"),
        ("cloudflare:sockets", "bindings are reached through `env`"),
        ("npm:hono", "npm install"),
        ("jsr:@std/path", "npx jsr add"),
        ("https://esm.sh/hono", "not loaded over the network"),
        ("data:text/javascript,1", "not loaded from data"),
        ("", "it is empty"),
    ] {
        let message = message(&project, specifier);
        assert!(
            message.contains(remedy) && message.contains("main.js"),
            "{specifier}: {message}"
        );
    }
}

#[test]
fn commonjs_is_distinguished_from_es_modules() {
    let project = Project::new(&[
        (
            "node_modules/old/index.js",
            "const a = require('a');\nmodule.exports = a;",
        ),
        (
            "node_modules/older/index.js",
            "Object.defineProperty(exports, '__esModule', {});\nexports.a = 1;",
        ),
        ("node_modules/@s/named/lib/index.cjs", ""),
        (
            "node_modules/esm/index.js",
            "// like require('x') or module.exports\nexport const a = 1;",
        ),
        (
            "node_modules/global/index.js",
            "(function () { const module = { exports: {} }; module.exports.a = 1; })();",
        ),
        ("own.js", "typeof require !== 'undefined' && require('x');"),
    ]);
    let paths = [
        "node_modules/old/index.js",
        "node_modules/older/index.js",
        "node_modules/@s/named/lib/index.cjs",
        "node_modules/global/index.js",
    ];
    for path in paths {
        let code = project.code(path);
        assert!(
            code.contains("isopod-internal:commonjs") && code.contains(path),
            "{code}"
        );
    }
    for path in ["node_modules/esm/index.js", "own.js"] {
        let code = project.code(path);
        assert!(!code.contains("isopod-internal:commonjs"), "{code}");
    }
}

#[test]
fn a_broken_package_json_is_named() {
    let project = Project::new(&[
        ("node_modules/broken/package.json", "{"),
        ("node_modules/broken/index.js", ""),
    ]);
    let message = message(&project, "broken");
    assert!(message.contains("broken/package.json"), "{message}");
}

#[test]
fn limits_hold_on_bytes_and_on_modules() {
    let project = Project::new(&[("a.js", "12345678"), ("b.js", "123456789"), ("c.js", "")]);
    let mut options = LoaderOptions::folder(project.path(""));
    options.limits.module_bytes_max = 8;
    options.limits.modules_max = 2;
    let loader = Loader::new(options).unwrap();
    let load = |path| loader.load(&project.url(path), RequestedType::Unspecified, None);
    load("a.js").unwrap();
    assert!(matches!(
        load("b.js"),
        Err(ModuleError::TooLarge { bytes: 9, limit: 8, .. })
    ));
    assert!(matches!(load("c.js"), Err(ModuleError::TooManyModules { limit: 2 })));
    load("a.js").unwrap();
}

/// The MiB are those of V8 150 on x86-64, measured as the peak of a process that loads 2 MB of each.
#[test]
fn the_memory_of_v8s_compiler_is_limited_before_it_compiles() {
    let per_mib = (1_u64 << 20) / 10;
    let rows = [
        ("class{#a},", 1201),
        ("class{[0]},", 1049),
        ("class{a=1},", 993),
        ("await 0,", 1569),
        ("a=>a,", 488),
        ("([a])=>0,", 428),
        ("{},", 459),
        ("``,", 208),
        ("function(){},", 151),
        ("0,", 71),
    ];
    for (unit, measured) in rows {
        let code = format!("export default [{}];", unit.repeat(200_000 / unit.len()));
        let project = Project::new(&[("a.js", &code)]);
        let load = |limit| {
            let mut options = LoaderOptions::folder(project.path(""));
            options.limits.compiler_bytes_max = limit;
            let loader = Loader::new(options).unwrap();
            loader
                .load(&project.url("a.js"), RequestedType::Unspecified, None)
                .err()
        };
        let refused = load(measured * per_mib * 3 / 4);
        let Some(ModuleError::TooMuchToCompile { bytes, .. }) = refused else {
            panic!("{unit}: {refused:?}");
        };
        assert!(bytes < measured * per_mib * 2, "{unit}: {bytes}");
        assert!(load(bytes).is_none(), "{unit}");
    }
    // As much text is data.
    let code = format!("export default '{}';", "text ".repeat(400_000));
    let project = Project::new(&[("a.js", &code)]);
    let mut options = LoaderOptions::folder(project.path(""));
    options.limits.compiler_bytes_max = 32 << 20;
    let loader = Loader::new(options).unwrap();
    loader
        .load(&project.url("a.js"), RequestedType::Unspecified, None)
        .unwrap();
}

#[test]
fn the_limit_of_v8s_compiler_holds_for_commonjs_and_typescript() {
    let code = "class{#a},".repeat(1000);
    let (commonjs, typescript) = (
        format!("module.exports = [{code}];"),
        format!("export default [{code}];"),
    );
    let project = Project::new(&[("a.cjs", &commonjs), ("b.cts", &commonjs), ("c.ts", &typescript)]);
    for (path, limit, is_refused) in [
        ("a.cjs", 1 << 20, true),
        ("a.cjs", 16 << 20, false),
        ("b.cts", 1 << 20, true),
        ("b.cts", 16 << 20, false),
        ("c.ts", 1 << 20, true),
        ("c.ts", 16 << 20, false),
    ] {
        let mut options = LoaderOptions::folder(project.path(""));
        options.limits.compiler_bytes_max = limit;
        let loader = Loader::new(options).unwrap();
        let error = loader.load(&project.url(path), RequestedType::Unspecified, None).err();
        let refused = matches!(error, Some(ModuleError::TooMuchToCompile { .. }));
        assert_eq!(refused, is_refused, "{path} {limit}: {error:?}");
        assert_eq!(error.is_some(), is_refused, "{path} {limit}: {error:?}");
    }
}

#[test]
fn text_that_is_not_utf8_says_where() {
    let project = Project::new(&[]);
    std::fs::write(project.path("a.js"), b"ab\xff").unwrap();
    assert!(matches!(
        project.load("a.js"),
        Err(ModuleError::NotUtf8 { offset: 2, .. })
    ));
}

#[test]
fn invalid_roots_are_refused() {
    let project = Project::new(&[("a/x.js", ""), ("b/x.js", "")]);
    let mut options = LoaderOptions::folder(project.path("a"));
    options.ceiling = Some(project.path("b"));
    assert!(matches!(Loader::new(options), Err(ModuleError::InvalidRoot { .. })));
    for root in ["missing", "a/x.js"] {
        assert!(matches!(
            Loader::new(LoaderOptions::folder(project.path(root))),
            Err(ModuleError::InvalidRoot { .. })
        ));
    }
}

#[cfg(unix)]
#[test]
fn folders_and_pipes_are_not_modules() {
    let project = Project::new(&[("folder.js/x.js", "")]);
    let made = std::process::Command::new("mkfifo")
        .arg(project.path("pipe.js"))
        .status();
    assert!(made.unwrap().success());
    for path in ["folder.js", "pipe.js"] {
        let error = project.load(path).unwrap_err();
        assert!(matches!(error, ModuleError::Read { .. }), "{error}");
    }
}

#[test]
fn compatibility_decides_which_node_modules_exist() {
    let resolve = |node, specifier| {
        let options = LoaderOptions {
            node,
            ..LoaderOptions::in_memory([])
        };
        let main = Url::parse("isopod:///main.js").unwrap();
        let resolved = Loader::new(options).unwrap().resolve(specifier, &main);
        resolved.map_err(|error| error.to_string())
    };
    let module = |name| Ok(Url::parse(name).unwrap());
    for (node, specifier) in [
        (NodeCompat::Full, "node:async_hooks"),
        (NodeCompat::Full, "async_hooks"),
        (NodeCompat::Prefixed, "node:async_hooks"),
        (NodeCompat::AsyncLocalStorage, "node:async_hooks"),
    ] {
        assert_eq!(
            resolve(node, specifier),
            module("node:async_hooks"),
            "{node:?} {specifier}"
        );
    }
    for (node, specifier, remedy) in [
        (NodeCompat::Prefixed, "async_hooks", "import it as \"node:async_hooks\""),
        (
            NodeCompat::AsyncLocalStorage,
            "async_hooks",
            "add `nodejs_compat` to `compatibility_flags`",
        ),
        (
            NodeCompat::Off,
            "node:async_hooks",
            "add `nodejs_compat` to `compatibility_flags`",
        ),
        (NodeCompat::Full, "node:nothing", "the modules there are: "),
    ] {
        let error = resolve(node, specifier).unwrap_err();
        assert!(error.contains(remedy), "{node:?} {specifier}: {error}");
    }
}
