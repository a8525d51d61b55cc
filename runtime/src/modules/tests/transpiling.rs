use std::time::{Duration, Instant};

use oxc_sourcemap::{SourceMap, Token};
use url::Url;

use super::super::transpile_cache::{TranspileCache, Transpiled};
use super::super::{Loader, LoaderOptions, ModuleError, RequestedType, helpers, tsconfig};
use super::{Project, original, text};
use crate::limits::Start;

#[test]
fn types_enums_and_namespaces_become_javascript() {
    let source = "import type { A } from './a';\nimport { B } from './b';\nenum E { X = 'x' }\n\
                  const b = (x: B<string>) => x satisfies A;\nexport { b, E };";
    let code = Project::new(&[("a.ts", source)]).code("a.ts");
    assert!(!code.contains("import"), "imports of types alone vanish: {code}");
    assert!(code.contains("E[\"X\"] = \"x\""), "{code}");
    assert!(code.contains("const b = (x) => x;"), "{code}");
}

#[test]
fn plain_javascript_is_unchanged() {
    let source = "export  default   1 ;; // odd\n";
    let project = Project::new(&[("a.js", source), ("b.mjs", "syntax error(")]);
    let module = project.load("a.js").unwrap();
    assert_eq!(text(&module), source);
    assert!(module.source_map.is_none());
    assert_eq!(project.code("b.mjs"), "syntax error(", "V8 reports it");
}

#[test]
fn jsx_imports_the_runtime_of_pragma_tsconfig_or_default() {
    let project = Project::new(&[
        ("plain.jsx", "export const a = <a/>;"),
        ("pragma.tsx", "/** @jsxImportSource hono/jsx */\nexport const a = <a/>;"),
        (
            "preact/tsconfig.json",
            r#"{"compilerOptions": {"jsx": "react-jsx", "jsxImportSource": "preact"}}"#,
        ),
        ("preact/a.tsx", "export const a: unknown = <a/>;"),
        (
            "classic/tsconfig.json",
            r#"{"compilerOptions": {"jsx": "react", "jsxFactory": "h", "jsxFragmentFactory": "F"}}"#,
        ),
        (
            "classic/a.tsx",
            "import { h, F } from 'x';\nexport const a = <><a/></>;",
        ),
    ]);
    assert!(project.code("plain.jsx").contains("from \"react/jsx-runtime\""));
    assert!(project.code("pragma.tsx").contains("from \"hono/jsx/jsx-runtime\""));
    assert!(project.code("preact/a.tsx").contains("from \"preact/jsx-runtime\""));
    let classic = project.code("classic/a.tsx");
    assert!(
        classic.contains("import { h, F }") && classic.contains("h(F, null,"),
        "{classic}"
    );
}

#[test]
fn decorators_need_the_option_and_load_their_helpers() {
    let source = "function d(t: any, k?: any) {}\n@d class A { @d x = 1; @d m(@d p: string) {} }";
    let project = Project::new(&[
        ("a.ts", source),
        ("old/a.ts", source),
        (
            "old/tsconfig.json",
            r#"{"compilerOptions": {"experimentalDecorators": true, "emitDecoratorMetadata": true}}"#,
        ),
    ]);
    let error = project.load("a.ts").unwrap_err();
    assert!(
        matches!(&error, ModuleError::Syntax { line: 2, column: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("experimentalDecorators"), "{error}");
    let code = project.code("old/a.ts");
    let loader = project.loader();
    let imported: Vec<_> = code
        .split('"')
        .filter(|part| part.starts_with(helpers::PREFIX))
        .collect();
    assert_eq!(imported.len(), 3, "{code}");
    for specifier in imported {
        let url = loader.resolve(specifier, &project.url("old/a.ts")).unwrap();
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
    }
}

/// https://www.typescriptlang.org/docs/handbook/release-notes/typescript-4-9.html#auto-accessors-in-classes
#[test]
fn accessors_become_getters_and_setters() {
    let source = "export class A { accessor a: number = 1; accessor; x = { accessor: 1 } }\n\
                  export abstract class B { abstract accessor b: number; accessor c!: string }";
    let code = Project::new(&[("a.ts", source)]).code("a.ts");
    assert!(code.contains("get a()") && code.contains("set a(value)"), "{code}");
    assert!(
        code.contains("\taccessor;") && code.contains("accessor: 1"),
        "names that are no modifier: {code}"
    );
    assert!(!code.contains("get b()") && code.contains("get c()"), "{code}");
}

#[test]
fn tsconfig_decides_whether_fields_without_a_value_are_removed() {
    let source = "export class A { x!: number; y = 1 }";
    let project = Project::new(&[
        ("new/a.ts", source),
        ("old/a.ts", source),
        ("old/tsconfig.json", r#"{"compilerOptions": {"target": "es2020"}}"#),
    ]);
    assert!(project.code("new/a.ts").contains("x;"));
    assert!(!project.code("old/a.ts").contains("x;"));
}

#[test]
fn a_syntax_error_names_place_and_shows_the_code() {
    let project = Project::new(&[
        ("a.ts", "const a = 1;\n\tconst b: = 2;\n"),
        ("b.tsx", "const a = 1; const a = 2;"),
        ("c.json", "{\n \"é\": x}"),
    ]);
    let error = project.load("a.ts").unwrap_err();
    let ModuleError::Syntax {
        file,
        line: 2,
        column: 11,
        frame,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*file, project.url("a.ts").to_string());
    assert_eq!(
        frame,
        "1 | const a = 1;\n2 |     const b: = 2;\n  |              ^\n3 |\n"
    );
    assert_eq!(
        error.to_string(),
        project.load("a.ts").unwrap_err().to_string(),
        "deterministic"
    );
    assert!(
        matches!(project.load("b.tsx"), Err(ModuleError::Syntax { line: 1, .. })),
        "a semantic error"
    );
    let error = project.load("c.json").unwrap_err();
    assert!(
        matches!(error, ModuleError::Syntax { line: 2, column: 7, .. }),
        "{error}"
    );
}

#[test]
fn positions_in_transpiled_code_lead_back_to_the_source() {
    let source = "type T = {\n  a: string;\n};\nexport function f(x: T): never {\n  throw new Error(x.a);\n}\n";
    let project = Project::new(&[("a.ts", source)]);
    let loader = project.loader();
    let url = project.url("a.ts");
    let code = text(&loader.load(&url, RequestedType::Unspecified, None).unwrap());
    let line = code.lines().position(|line| line.contains("throw")).unwrap();
    let column = code.lines().nth(line).unwrap().find("new Error").unwrap() as u32;
    let line = line as u32;
    let found = original(&loader, &url, line, column);
    assert_eq!(found, Some((url.to_string(), 4, 8)));
    assert_eq!(original(&loader, &url, 998, 0), None);
}

#[test]
fn bundles_have_their_own_map_inline_or_beside_them() {
    // One mapping: the first column of the second line comes from line 3, column 5 of src/in.ts.
    let map = r#"{"version":3,"sources":["src/in.ts"],"sourcesContent":["text"],"names":[],"mappings":";AAEI"}"#;
    let inline = format!(
        "//\nthrow 1\n//# sourceMappingURL=data:application/json,{}\n",
        map.replace('"', "%22")
    );
    let project = Project::new(&[
        ("dist/beside.js", "//\nthrow 1\n//# sourceMappingURL=maps/beside.js.map"),
        ("dist/maps/beside.js.map", map),
        ("dist/inline.js", &inline),
        (
            "dist/base64.js",
            "//\nthrow 1\n//# sourceMappingURL=data:application/json;base64,\
            eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbInNyYy9pbi50cyJdLCJuYW1lcyI6W10sIm1hcHBpbmdzIjoiO0FBRUkifQ==",
        ),
        (
            "dist/escaping.js",
            "//\nthrow 1\n//# sourceMappingURL=../../../../../../etc/hostname",
        ),
        (
            "dist/broken.js",
            "//\nthrow 1\n//# sourceMappingURL=data:application/json,{",
        ),
        (
            "dist/quoted.js",
            "'//# sourceMappingURL=data:application/json,{}'\nthrow 1",
        ),
    ]);
    let loader = project.loader();
    let position = |path| {
        let url = project.url(path);
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
        original(&loader, &url, 1, 6)
    };
    let source = project.url("dist/maps/src/in.ts").to_string();
    assert_eq!(position("dist/beside.js"), Some((source.clone(), 2, 4)));
    assert_eq!(loader.source_maps().text_of(&source).as_deref(), Some("text"));
    let source = project.url("dist/src/in.ts").to_string();
    assert_eq!(position("dist/inline.js"), Some((source.clone(), 2, 4)));
    assert_eq!(position("dist/base64.js"), Some((source, 2, 4)));
    for path in ["dist/escaping.js", "dist/broken.js", "dist/quoted.js"] {
        assert_eq!(position(path), None, "{path}");
    }
}

/// https://tc39.es/ecma426/: a segment of one field has no source.
#[test]
fn code_without_a_source_is_mapped_to_itself_on_every_line() {
    let last = Token::new(1, 0, u32::MAX, 0, Some(0), None);
    let last = SourceMap::new(None, vec![], None, vec!["in.ts".into()], vec![], [last].into(), None);
    let code = |name: &str| format!("//\nthrow 1\n//# sourceMappingURL={name}");
    let project = Project::new(&[
        ("a.js", &code("a.js.map")),
        (
            "a.js.map",
            r#"{"version":3,"sources":["in.ts"],"names":[],"mappings":";A"}"#,
        ),
        ("b.js", &code("b.js.map")),
        ("b.js.map", &last.to_json_string()),
    ]);
    let loader = project.loader();
    let position = |path| {
        let url = project.url(path);
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
        original(&loader, &url, 1, 6)
    };
    assert_eq!(position("a.js"), Some((project.url("a.js").to_string(), 1, 0)));
    let (_, line, _) = position("b.js").unwrap();
    assert_eq!(line, u32::MAX - 1);
}

/// The cost of decoding is counted in segments, not in the file's size.
#[test]
fn source_maps_of_more_segments_than_a_script_may_have_are_not_decoded() {
    let map = format!(
        r#"{{"version":3,"sources":["in.ts"],"names":[],"mappings":";AAAA{}"}}"#,
        ",C".repeat(1_200_000)
    );
    let code = |name: &str| format!("//\nthrow 1\n//# sourceMappingURL={name}");
    let project = Project::new(&[
        ("a.js", &code("a.js.map")),
        ("a.js.map", &map),
        ("b.js", &code("b.js.map")),
        ("b.js.map", &map),
    ]);
    let loader = project.loader();
    let has_map = |path| {
        let url = project.url(path);
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
        loader.source_maps().map_of(&url).is_some()
    };
    assert!(has_map("a.js"));
    assert!(!has_map("b.js"), "2,400,000 segments together");
    assert!(has_map("a.js"));
}

#[test]
fn transpiled_code_is_kept_until_the_source_changes() {
    let project = Project::new(&[("a.ts", "export const a: number = 1;")]);
    let loader = project.loader();
    let load = || {
        loader
            .load(&project.url("a.ts"), RequestedType::Unspecified, None)
            .unwrap()
    };
    let (first, second) = (load(), load());
    assert!(std::sync::Arc::ptr_eq(
        first.source_map.as_ref().unwrap(),
        second.source_map.as_ref().unwrap()
    ));
    std::fs::write(project.path("a.ts"), "export const a: number = 2;").unwrap();
    assert_eq!(text(&load()), "export const a = 2;\n");
}

#[test]
fn the_transpile_cache_evicts_the_least_recently_used() {
    let settings = tsconfig::settings(&LoaderOptions::in_memory([]).jsx, None);
    let key = |name: &str| (Url::parse(&format!("isopod:///{name}")).unwrap(), settings.clone());
    let entry = |bytes: usize| Transpiled {
        original: "o".into(),
        code: "c".repeat(bytes - 1).into(),
        source_map: [].into(),
    };
    let mut cache = TranspileCache::new(100);
    cache.insert(key("a"), entry(40));
    cache.insert(key("b"), entry(40));
    assert!(cache.get(&key("a"), "o").is_some());
    cache.insert(key("c"), entry(40));
    assert!(cache.get(&key("b"), "o").is_none());
    assert!(cache.get(&key("a"), "o").is_some() && cache.get(&key("c"), "o").is_some());
    cache.insert(key("huge"), entry(101));
    assert!(cache.get(&key("huge"), "o").is_none());
    cache.insert(key("a"), entry(10));
    assert_eq!(cache.bytes(), 50);
}

#[test]
fn a_loader_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Loader>();
    shared::<ModuleError>();
    let project = Project::new(&[("a.ts", "export const a: number = 1;")]);
    let loader = project.loader();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loader
                    .load(&project.url("a.ts"), RequestedType::Unspecified, None)
                    .unwrap()
            });
        }
    });
}

#[test]
fn enums_whose_values_are_gigabytes_are_refused() {
    let members: String = (1..30)
        .map(|at| format!("a{at} = `${{a{0}}}${{a{0}}}`, ", at - 1))
        .collect();
    let code = format!("export enum A {{ a0 = 'xxxxxxxxxx', {members} }}");
    let project = Project::new(&[("a.ts", &code)]);
    let refused = project.load("a.ts").unwrap_err();
    assert!(matches!(refused, ModuleError::EnumsTooLarge { .. }), "{refused}");
}

#[test]
fn a_parser_that_was_left_alone_keeps_what_it_compiles() {
    let lines: String = (0..5_000)
        .map(|at| format!("export const a{at}: number = {at} as number;\n"))
        .collect();
    let project = Project::new(&[("a.mts", &lines)]);
    let loader = project.loader();
    let load = |time| {
        let _start = Start::until(Instant::now().checked_add(time));
        loader.load(&project.url("a.mts"), RequestedType::Unspecified, None)
    };
    let mut stopped = 0;
    loop {
        // A parser alone takes longer than that.
        match load(Duration::from_millis(20)) {
            Err(ModuleError::TakesTooLong { file, bytes }) => {
                assert!(file.ends_with("a.mts"));
                assert_eq!(bytes, lines.len());
                stopped += 1;
            }
            loaded => break drop(loaded.unwrap()),
        }
    }
    assert!(stopped > 0);
}
