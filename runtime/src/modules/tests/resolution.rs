use std::fs;

use url::Url;

use super::super::{
    ImportMapText, Loader, LoaderOptions, MemoryModule, ModuleCode, ModuleError, ModuleKind, RequestedType,
};
use super::{Project, text};

fn memory(modules: &[(&str, &str)]) -> LoaderOptions {
    let modules = modules
        .iter()
        .map(|(url, code)| (Url::parse(url).unwrap(), MemoryModule::from(code)));
    LoaderOptions::in_memory(modules)
}

#[test]
fn relative_imports_search_extensions_and_index_files() {
    let project = Project::new(&[
        ("src/a.ts", ""),
        ("src/a.js", ""),
        ("src/b.tsx", ""),
        ("src/c/index.ts", ""),
        ("src/d.mts", ""),
        ("main.js", ""),
    ]);
    let resolve = |specifier| project.resolve(specifier, "src/main.ts").unwrap();
    assert_eq!(resolve("./a"), "src/a.ts");
    assert_eq!(resolve("./a.js"), "src/a.js", "what is written goes first");
    assert_eq!(
        resolve("./b.js"),
        "src/b.tsx",
        "TypeScript writes .js for its own files"
    );
    assert_eq!(resolve("./d.mjs"), "src/d.mts");
    assert_eq!(resolve("./c"), "src/c/index.ts");
    assert_eq!(resolve("./c/"), "src/c/index.ts");
    assert_eq!(
        resolve("../main.js?v=1#x"),
        "main.js?v=1#x",
        "each query is a module of its own"
    );
}

#[test]
fn names_with_special_characters_are_found() {
    let project = Project::new(&[("a b#c?.js", ""), ("é%41.js", "")]);
    assert_eq!(
        project.resolve("./a b%23c%3F.js", "main.js").unwrap(),
        "a%20b%23c%3F.js"
    );
    let url = project.loader().resolve("./é%2541", &project.url("main.js")).unwrap();
    assert_eq!(url, project.url("é%41.js"));
}

#[test]
fn packages_resolve_by_the_conditions_of_workers() {
    let exports = r#"{"exports": {".": {"node": "./node.js", "workerd": "./workerd.js", "default": "./d.js"},
                      "./sub": {"require": "./sub.cjs", "import": "./sub.mjs"}}}"#;
    let project = Project::new(&[
        ("node_modules/lib/package.json", exports),
        ("node_modules/lib/node.js", ""),
        ("node_modules/lib/workerd.js", ""),
        ("node_modules/lib/sub.mjs", ""),
        (
            "node_modules/@s/old/package.json",
            r#"{"main": "./main", "module": "./esm/index"}"#,
        ),
        ("node_modules/@s/old/esm/index.js", ""),
        ("node_modules/@s/old/esm/index.ts", ""),
        ("node_modules/chart.js/package.json", r#"{"module": "chart.mjs"}"#),
        ("node_modules/chart.js/chart.mjs", ""),
    ]);
    let resolve = |specifier| project.resolve(specifier, "src/deep/main.ts").unwrap();
    assert_eq!(resolve("lib"), "node_modules/lib/workerd.js");
    assert_eq!(resolve("lib/sub"), "node_modules/lib/sub.mjs");
    assert_eq!(
        resolve("@s/old"),
        "node_modules/@s/old/esm/index.js",
        "in packages JavaScript goes first"
    );
    assert_eq!(
        resolve("chart.js"),
        "node_modules/chart.js/chart.mjs",
        "a package's name is no file name"
    );
    let error = project.resolve("lib/hidden", "main.ts").unwrap_err();
    assert!(matches!(error, ModuleError::NotExported { .. }), "{error}");
}

#[test]
fn a_browser_field_replaces_and_removes_modules() {
    let project = Project::new(&[
        (
            "node_modules/lib/package.json",
            r#"{"module": "a.js", "browser": {"./a.js": "./b.js", "./no.js": false}}"#,
        ),
        ("node_modules/lib/a.js", ""),
        ("node_modules/lib/b.js", ""),
        ("node_modules/lib/no.js", ""),
    ]);
    assert_eq!(project.resolve("lib", "main.js").unwrap(), "node_modules/lib/b.js");
    let loader = project.loader();
    let nothing = loader
        .resolve("./no.js", &project.url("node_modules/lib/b.js"))
        .unwrap();
    assert_eq!(
        text(&loader.load(&nothing, RequestedType::Unspecified, None).unwrap()),
        "export default {};\n"
    );
}

/// As in bundlers for browsers and workers: https://github.com/defunctzombie/package-browser-field-spec.
#[test]
fn a_browser_map_replaces_the_targets_of_exports_and_imports() {
    let project = Project::new(&[
        (
            "node_modules/lib/package.json",
            r##"{"exports": {".": {"import": "./node.js"}, "./sub": "./dist/sub.js", "./off": "./off.js", "./same": "./same.js"},
                 "imports": {"#in": "./node.js"},
                 "browser": {"./node.js": "./web.js", "./dist/sub.js": "./dist/sub.web.js", "./off.js": false, "dep": "./dep.js",
                             "./same.js": "./same.js"}}"##,
        ),
        ("node_modules/lib/node.js", ""),
        ("node_modules/lib/web.js", ""),
        ("node_modules/lib/dep.js", ""),
        ("node_modules/lib/off.js", ""),
        ("node_modules/lib/same.js", ""),
        ("node_modules/lib/dist/sub.js", ""),
        ("node_modules/lib/dist/sub.web.js", ""),
        ("node_modules/dep/index.js", ""),
    ]);
    let lib = "node_modules/lib/web.js";
    for (specifier, from, expected) in [
        ("lib", "main.js", lib),
        ("lib/sub", "main.js", "node_modules/lib/dist/sub.web.js"),
        ("lib/same", "main.js", "node_modules/lib/same.js"),
        ("#in", lib, lib),
        ("./node.js", lib, lib),
        ("dep", lib, "node_modules/lib/dep.js"),
        ("dep", "main.js", "node_modules/dep/index.js"),
    ] {
        assert_eq!(project.resolve(specifier, from).unwrap(), expected, "{specifier}");
    }
    assert!(
        project
            .resolve("lib/off", "main.js")
            .unwrap()
            .starts_with(super::super::helpers::SCHEME)
    );
}

/// A folder's own `package.json` may only declare its module type; the map is the package's. Keys may omit extensions,
/// as in Browserify and esbuild.
#[test]
fn a_browser_map_applies_to_its_whole_package() {
    let package = r#"{"name": "lib", "exports": {".": "./esm/node.js", "./off": "./esm/off.js", "./i": "./esm/i/index.js"},
        "browser": {"./esm/node.js": "./esm/web", "./esm/off": false, "./esm/i": "./esm/web.js", "./esm/web.js": "./esm/web.js"}}"#;
    let project = Project::new(&[
        ("node_modules/@s/lib/package.json", package),
        ("node_modules/@s/lib/esm/package.json", r#"{"type": "module"}"#),
        ("node_modules/@s/lib/esm/node.js", ""),
        ("node_modules/@s/lib/esm/off.js", ""),
        ("node_modules/@s/lib/esm/i/index.js", ""),
        ("node_modules/@s/lib/esm/web.js", ""),
    ]);
    let web = "node_modules/@s/lib/esm/web.js";
    for (specifier, from) in [
        ("@s/lib", "main.js"),
        ("@s/lib/i", "main.js"),
        ("./node.js", web),
        ("./i", web),
    ] {
        assert_eq!(project.resolve(specifier, from).unwrap(), web, "{specifier}");
    }
    let off = project.resolve("@s/lib/off", "main.js").unwrap();
    assert!(off.starts_with(super::super::helpers::SCHEME), "{off}");
}

#[test]
fn imports_of_a_package_and_paths_of_tsconfig_resolve() {
    let project = Project::new(&[
        ("package.json", r##"{"imports": {"#db": "./src/db.ts"}}"##),
        (
            "tsconfig.json",
            "{ // comments, and a trailing comma\n \"compilerOptions\": {\"paths\": {\"@/*\": [\"./src/*\"]},} }",
        ),
        ("src/db.ts", ""),
        ("src/lib/x.ts", ""),
    ]);
    assert_eq!(project.resolve("#db", "src/main.ts").unwrap(), "src/db.ts");
    assert_eq!(project.resolve("@/lib/x", "src/main.ts").unwrap(), "src/lib/x.ts");
}

#[test]
fn node_modules_above_the_root_are_used_up_to_the_ceiling() {
    let project = Project::new(&[
        ("node_modules/lib/package.json", r#"{"main": "index.js"}"#),
        ("node_modules/lib/index.js", "export {}"),
        ("secret.js", ""),
        ("apps/two/node_modules/theirs/index.js", ""),
        ("apps/one/main.js", ""),
    ]);
    let mut options = LoaderOptions::folder(project.path("apps/one"));
    let main = project.url("apps/one/main.js");
    let closed = Loader::new(options.clone()).unwrap();
    assert!(matches!(
        closed.resolve("lib", &main),
        Err(ModuleError::PackageNotInstalled { .. })
    ));
    options.ceiling = Some(project.path(""));
    let open = Loader::new(options).unwrap();
    let url = open.resolve("lib", &main).unwrap();
    assert_eq!(url, project.url("node_modules/lib/index.js"));
    open.load(&url, RequestedType::Unspecified, None).unwrap();
    for specifier in ["../../secret.js", "../two/node_modules/theirs/index.js"] {
        assert!(
            matches!(open.resolve(specifier, &main), Err(ModuleError::Escapes { .. })),
            "{specifier}"
        );
    }
}

#[test]
fn nothing_outside_the_root_is_read() {
    let project = Project::new(&[("root/main.js", ""), ("outside.js", "secret"), ("root-beside/a.js", "")]);
    let loader = Loader::new(LoaderOptions::folder(project.path("root"))).unwrap();
    let main = project.url("root/main.js");
    let outside = project.url("outside.js");
    for specifier in [
        "../outside.js",
        "../outside",
        "../root-beside/a.js",
        "/etc/passwd",
        outside.as_str(),
        "./%2e%2e/outside.js",
    ] {
        let error = loader.resolve(specifier, &main).unwrap_err();
        assert!(matches!(error, ModuleError::Escapes { .. }), "{specifier}: {error}");
    }
    assert!(matches!(
        loader.load(&outside, RequestedType::Text, None),
        Err(ModuleError::Escapes { .. })
    ));
    // The URL parser does not see the separator, but the path has it.
    assert!(
        loader
            .load(
                &Url::parse(&format!("{}..%2Foutside.js", project.url("root/"))).unwrap(),
                RequestedType::Text,
                None
            )
            .is_err()
    );
}

#[cfg(unix)]
#[test]
fn files_are_found_by_the_name_of_a_linked_root() {
    let project = Project::new(&[("real/main.js", "export {}")]);
    std::os::unix::fs::symlink("real", project.path("link")).unwrap();
    let loader = Loader::new(LoaderOptions::folder(project.path("link"))).unwrap();
    for entry in [project.url("link/main.js"), project.url("real/main.js")] {
        assert_eq!(
            loader.resolve_entry(entry.as_str()).unwrap(),
            project.url("real/main.js")
        );
        loader.load(&entry, RequestedType::Unspecified, None).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_root_are_refused_and_links_within_it_followed() {
    use std::os::unix::fs::symlink;
    let project = Project::new(&[
        ("root/main.js", ""),
        ("root/real.js", ""),
        ("outside/a.js", "secret"),
        ("root/node_modules/.store/lib/index.js", ""),
        ("root/node_modules/.store/lib/package.json", "{}"),
    ]);
    symlink(project.path("outside"), project.path("root/out")).unwrap();
    symlink(project.path("outside/a.js"), project.path("root/link.js")).unwrap();
    symlink("real.js", project.path("root/inner.js")).unwrap();
    symlink(project.path("outside"), project.path("root/node_modules/evil")).unwrap();
    symlink(".store/lib", project.path("root/node_modules/lib")).unwrap();
    let loader = Loader::new(LoaderOptions::folder(project.path("root"))).unwrap();
    let main = project.url("root/main.js");
    for specifier in ["./link.js", "./link", "./out/a.js", "evil/a.js"] {
        assert!(loader.resolve(specifier, &main).is_err(), "{specifier}");
    }
    assert!(matches!(
        loader.resolve("./link.js", &main),
        Err(ModuleError::Escapes { .. })
    ));
    assert_eq!(
        loader.resolve("./inner.js", &main).unwrap(),
        project.url("root/real.js")
    );
    assert_eq!(
        loader.resolve("lib", &main).unwrap(),
        project.url("root/node_modules/.store/lib/index.js")
    );
    // A file that becomes a link after it was resolved.
    let real = loader.resolve("./real.js", &main).unwrap();
    fs::remove_file(project.path("root/real.js")).unwrap();
    symlink(project.path("outside/a.js"), project.path("root/real.js")).unwrap();
    assert!(matches!(
        loader.load(&real, RequestedType::Unspecified, None),
        Err(ModuleError::Escapes { .. })
    ));
}

#[test]
fn modules_in_memory_import_each_other() {
    let options = memory(&[
        ("isopod:///main.ts", "import './lib/a';"),
        ("isopod:///lib/a.tsx", "export const a: number = 1"),
        ("node:buffer", "export class Buffer {}"),
    ]);
    let loader = Loader::new(options).unwrap();
    let main = loader.resolve_entry("isopod:///main.ts").unwrap();
    let lib = loader.resolve("./lib/a.js", &main).unwrap();
    assert_eq!(lib.as_str(), "isopod:///lib/a.tsx");
    assert_eq!(loader.resolve("./lib/a", &main).unwrap(), lib);
    assert_eq!(
        text(&loader.load(&lib, RequestedType::Unspecified, Some(&main)).unwrap()),
        "export const a = 1;\n"
    );
    assert_eq!(
        loader.resolve("node:buffer", &main).unwrap().as_str(),
        "node:buffer",
        "the host's modules go first"
    );
    let error = loader.resolve("./lib/b.tsx", &main).unwrap_err().to_string();
    assert!(error.contains("isopod:///lib/a.tsx"), "{error}");
}

#[test]
fn import_maps_are_applied_before_anything_else() {
    let project = Project::new(&[
        ("vendor/preact.js", ""),
        ("src/scoped.js", ""),
        ("node_modules/other/index.js", ""),
    ]);
    let mut options = LoaderOptions::folder(project.path(""));
    let json = r#"{"imports": {"preact": "./vendor/preact.js", "v/": "./vendor/", "no": null},
                   "scopes": {"./src/": {"preact": "./src/scoped.js"}}}"#;
    options.import_map = Some(ImportMapText {
        base: project.url("import_map.json"),
        json: json.into(),
    });
    let error = Loader::new(options.clone())
        .err()
        .expect("null is a mistake")
        .to_string();
    assert!(error.contains("import_map.json"), "{error}");
    options.import_map = options.import_map.map(|map| ImportMapText {
        json: map.json.replace(", \"no\": null", ""),
        ..map
    });
    let loader = Loader::new(options).unwrap();
    let resolve = |specifier, from| loader.resolve(specifier, &project.url(from)).unwrap();
    assert_eq!(resolve("preact", "main.js"), project.url("vendor/preact.js"));
    assert_eq!(resolve("preact", "src/main.js"), project.url("src/scoped.js"));
    assert_eq!(resolve("v/preact", "main.js"), project.url("vendor/preact.js"));
    assert_eq!(
        resolve("other", "main.js"),
        project.url("node_modules/other/index.js"),
        "what is not mapped"
    );
    assert!(matches!(
        loader.resolve("v/../x.js", &project.url("main.js")),
        Err(ModuleError::ImportMapRefuses { .. })
    ));
}

#[test]
fn extensions_and_attributes_decide_the_type_of_a_module() {
    let project = Project::new(&[
        ("a.json", "{\"a\": 1}"),
        ("a.sql", "select 1"),
        ("a.bin", "\u{1}\u{2}"),
        ("a.wasm", "\0asm"),
        ("page.xml", "<a/>"),
        ("page.xyz", "<a/>"),
        ("bom.js", "\u{feff}export {}"),
        ("tool", "export {}"),
    ]);
    let kind = |path| project.load(path).unwrap().kind;
    assert_eq!(kind("a.json"), ModuleKind::Json);
    assert_eq!(kind("a.sql"), ModuleKind::Text);
    assert_eq!(kind("a.bin"), ModuleKind::Bytes);
    assert_eq!(kind("a.wasm"), ModuleKind::Wasm);
    assert!(matches!(project.load("tool"), Err(ModuleError::UnknownKind { .. })));
    let loader = project.loader();
    let tool = loader.resolve_entry("tool").unwrap();
    let main = loader.load(&tool, RequestedType::Unspecified, None).unwrap();
    assert_eq!(
        main.kind,
        ModuleKind::JavaScript,
        "a main module does without an extension"
    );
    assert_eq!(project.code("bom.js"), "export {}");
    assert!(matches!(project.load("page.xml"), Err(ModuleError::UnknownKind { .. })));
    let loader = project.loader();
    let with = |path, requested| loader.load(&project.url(path), requested, None);
    assert_eq!(
        with("page.xml", RequestedType::Text).unwrap().code,
        ModuleCode::Text("<a/>".into())
    );
    assert_eq!(
        with("bom.js", RequestedType::Bytes).unwrap().code,
        ModuleCode::Bytes("\u{feff}export {}".as_bytes().into())
    );
    assert!(
        matches!(with("bom.js", RequestedType::Json), Err(ModuleError::Refused { .. })),
        "what is no JSON is not parsed as such: the error would show its lines"
    );
    assert!(matches!(
        with("page.xyz", RequestedType::Text),
        Err(ModuleError::Refused { .. })
    ));
    assert!(matches!(
        with("a.json", RequestedType::Other("css")),
        Err(ModuleError::UnsupportedType { .. })
    ));
}

#[test]
fn modules_that_are_not_javascript_have_an_es_module_form() {
    let project = Project::new(&[
        ("a.json", "{\"__proto__\": \"\u{2028}\"}"),
        ("a.txt", "a\"\n"),
        ("a.bin", "hi"),
        ("a.wasm", "\0asm"),
    ]);
    let form = |path| project.load(path).unwrap().to_es_module().to_string();
    assert_eq!(
        form("a.json"),
        "export default JSON.parse(\"{\\\"__proto__\\\": \\\"\u{2028}\\\"}\");\n"
    );
    assert_eq!(form("a.txt"), "export default \"a\\\"\\n\";\n");
    assert_eq!(
        form("a.bin"),
        "export default Uint8Array.fromBase64(\"aGk=\").buffer;\n"
    );
    assert_eq!(
        form("a.wasm"),
        "export default new WebAssembly.Module(Uint8Array.fromBase64(\"AGFzbQ==\"));\n"
    );
}

#[test]
fn the_entry_is_a_path_from_the_root_or_a_url() {
    let project = Project::new(&[("src/index.ts", "")]);
    let loader = project.loader();
    let entry = project.url("src/index.ts");
    for name in [
        "src/index.ts",
        "./src/index",
        "src",
        entry.as_str(),
        project.path("src/index.ts").to_str().unwrap(),
    ] {
        assert_eq!(loader.resolve_entry(name).unwrap(), entry, "{name}");
    }
    let error = loader.resolve_entry("src/indx.ts").unwrap_err().to_string();
    assert_eq!(error, "cannot find module \"src/indx.ts\": did you mean \"index.ts\"?");
}
