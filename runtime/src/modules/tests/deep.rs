//! Code nested deeper than a thread's stack allows is rejected or read; the process survives.

use super::super::{ImportMapText, Loader, LoaderOptions, ModuleError, RequestedType};
use super::Project;

/// Deep enough to overflow the 4 MiB of a worker thread's stack many times over.
const DEEP: usize = 100_000;

fn nested(before: &str, middle: &str, after: &str, depth: usize) -> String {
    format!("{}{middle}{}", before.repeat(depth), after.repeat(depth))
}

/// All constructs that nest: brackets, operators, statements, types, tags.
const NESTS: [(&str, &str, &str); 24] = [
    ("(", "1", ")"),
    ("[", "1", "]"),
    ("({a:", "1", "})"),
    ("!", "1", ""),
    ("- ", "1", ""),
    ("typeof ", "1", ""),
    ("a=>", "1", ""),
    ("(a)=>", "1", ""),
    ("(()=>{return ", "1", "})"),
    ("a?1:", "1", ""),
    ("a=", "1", ""),
    ("new ", "A", ""),
    ("a(", "1", ")"),
    ("`${", "1", "}`"),
    ("<any>", "1", ""),
    ("1 as ", "any", ""),
    ("1+", "1", ""),
    ("1**", "1", ""),
    ("a??", "1", ""),
    ("a,", "1", ""),
    ("", "1", " as any"),
    ("", "a", ".b"),
    ("", "a", "()"),
    ("", "a", "!"),
];

const STATEMENTS: [(&str, &str, &str); 10] = [
    ("{", "", "}"),
    ("if(a)", ";", ""),
    ("if(a){}else ", "{}", ""),
    ("for(;;)", ";", ""),
    ("do ", ";", " while(a)"),
    ("function f(){", "", "}"),
    ("class A{static{", "", "}}"),
    ("namespace A{", "", "}"),
    ("try{", "", "}catch{}"),
    ("switch(a){case 1:", "", "}"),
];

const TYPES: [(&str, &str, &str); 8] = [
    ("(", "1", ")"),
    ("A<", "1", ">"),
    ("{a:", "1", "}"),
    ("[", "1", "]"),
    ("keyof ", "1", ""),
    ("()=>", "1", ""),
    ("A extends B?C:", "1", ""),
    ("", "1", "[]"),
];

fn codes(depth: usize) -> impl Iterator<Item = (String, String)> {
    let expressions =
        NESTS.map(|(before, middle, after)| (before, nested(before, middle, after, depth), "export default "));
    let statements = STATEMENTS.map(|(before, middle, after)| (before, nested(before, middle, after, depth), ""));
    let types = TYPES.map(|(before, middle, after)| (before, nested(before, middle, after, depth), "type T = "));
    let all = expressions.into_iter().chain(statements).chain(types);
    all.map(|(name, code, start)| (name.to_owned(), format!("{start}{code};\n")))
}

fn load(name: &str, code: &str) -> Result<(), ModuleError> {
    let project = Project::new(&[(name, code)]);
    project.load(name).map(drop)
}

#[test]
fn code_deeper_than_the_limit_is_an_error() {
    for (name, code) in codes(DEEP) {
        match load("a.ts", &code) {
            Err(ModuleError::TooDeep { .. } | ModuleError::Syntax { .. }) => {}
            // A sequence, which the estimate does not count as nested, is parsed; the stack has room for it.
            Ok(()) => assert!(["a,"].contains(&&*name), "{name}"),
            Err(other) => panic!("{name}: {other}"),
        }
    }
    let tags = nested("<a>", "", "</a>", DEEP);
    assert!(matches!(load("a.tsx", &tags), Err(ModuleError::TooDeep { .. })));
    assert!(matches!(load("a.jsx", &tags), Err(ModuleError::TooDeep { .. })));
}

#[test]
fn code_as_deep_as_the_limit_is_parsed() {
    // Fewer tokens than the threshold for scanning, so that all of them may nest.
    for (name, code) in codes(500) {
        match load("a.ts", &code) {
            Ok(()) | Err(ModuleError::Syntax { .. }) => {}
            Err(other) => panic!("{name}: {other}"),
        }
    }
    load("a.tsx", &format!("export default {};", nested("<a>", "", "</a>", 500))).unwrap();
}

#[test]
fn code_that_hides_its_depth_is_an_error() {
    let nested = nested("(", "1", ")", 1_000_000);
    for code in [
        format!("const a = `'`; const b = {nested} //'"),
        format!("// \u{2028} const b = {nested}"),
        format!("{{}}\n/'/.test(``); const b = {nested} //'"),
        format!("const b = {} {nested}", "typeof\u{a0}".repeat(200_000)),
        format!("const b = {}1", "typeof\u{a0}".repeat(200_000)),
    ] {
        let loaded = load("a.ts", &code);
        assert!(matches!(loaded, Err(ModuleError::TooDeep { .. })), "{}", &code[..30]);
    }
}

#[test]
fn large_shallow_modules_are_parsed() {
    let row = "  { id: 1, name: \"one\", tags: [\"a\", \"b\"], at: new Date(0) } as Row,\n";
    let code = format!(
        "interface Row {{ id: number }}\nexport const rows = [\n{}];\n",
        row.repeat(20_000)
    );
    load("a.ts", &code).unwrap();
    let lines = (0..5_000).map(|i| format!("export const a{i}: number = b(c, (d: any) => d + 1)\n"));
    let code: String = lines.collect();
    load("b.ts", &format!("declare const b: any, c: any\n{code}")).unwrap();
}

#[test]
fn a_deep_package_is_left_to_the_engine() {
    let code = format!("exports.a = {};", nested("(", "1", ")", DEEP));
    load("node_modules/a/index.js", &code).unwrap();
    let code = format!(
        "export const a = process.env.NODE_ENV + {};",
        nested("(", "1", ")", DEEP)
    );
    load("b.js", &code).unwrap();
}

#[test]
fn deep_json_is_an_error_or_is_left_to_the_engine() {
    let deep = nested("[", "1", "]", DEEP);
    let objects = nested("{\"a\":", "1", "}", DEEP);
    for json in [&deep, &objects] {
        let exports = format!("{{\"exports\": {json}}}");
        let project = Project::new(&[
            ("main.js", ""),
            ("data.json", json),
            ("node_modules/a/package.json", &exports),
        ]);
        // V8 parses JSON without recursion.
        project.load("data.json").unwrap();
        let message = project.resolve("a", "main.js").unwrap_err().to_string();
        assert!(
            message.contains("a/package.json") && message.contains("recursion limit"),
            "{message}"
        );
        let typed = Project::new(&[("main.ts", ""), ("tsconfig.json", &format!("{{\"files\": {json}}}"))]);
        let message = typed.load("main.ts").unwrap_err().to_string();
        assert!(message.contains("tsconfig.json"), "{message}");
        let mut options = LoaderOptions::folder(project.path(""));
        options.import_map = Some(ImportMapText {
            base: project.url("import_map.json"),
            json: json.clone(),
        });
        assert!(matches!(
            Loader::new(options),
            Err(ModuleError::InvalidImportMap { .. })
        ));
    }
}

#[test]
fn a_deep_source_map_is_ignored() {
    for map in [
        nested("[", "1", "]", DEEP),
        nested("{\"sections\":[{\"map\":", "1", "}]}", DEEP),
    ] {
        let project = Project::new(&[("a.js", "throw 1\n//# sourceMappingURL=a.js.map"), ("a.js.map", &map)]);
        let loader = project.loader();
        let url = project.url("a.js");
        loader.load(&url, RequestedType::Unspecified, None).unwrap();
        assert_eq!(loader.source_maps().map_of(&url), None);
    }
}

#[test]
fn a_chain_of_tsconfigs_ends() {
    let files: Vec<(String, String)> = (0..3_000)
        .map(|i| (format!("t{i}.json"), format!("{{\"extends\": \"./t{}.json\"}}", i + 1)))
        .collect();
    let mut all: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    all.push(("tsconfig.json", "{\"extends\": \"./t0.json\"}"));
    all.push(("a.ts", ""));
    let project = Project::new(&all);
    // The thread survives with any result.
    drop(project.load("a.ts"));
}
