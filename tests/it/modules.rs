//! Imports of served scripts.

use std::io::Write;

use crate::program::{Serving, isopod};
use crate::project::{Project, fixture};

/// `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))`
const ADD: [u8; 41] = [
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 7, 1, 3, 0x61, 0x64, 0x64,
    0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b,
];

#[test]
fn typescript_in_several_files_is_served_and_its_errors_show_what_was_written() {
    let server = Serving::start(fixture("typescript"));
    assert_eq!(server.get("/").body, "circle of 2 cm");
    assert_eq!(server.get("/page").body, "<h1>shapes</h1>");
    let failed = server.get("/fail");
    assert_eq!(failed.verdict(), (500, "exception"));
    assert!(failed.body.contains("shapes.ts:9:"), "{}", failed.body);
    assert!(failed.body.contains("worker.ts:17:"), "{}", failed.body);
}

#[test]
fn in_production_an_error_tells_its_reader_nothing() {
    let server = Serving::start_with(fixture("typescript"), &["--production"]);
    let failed = server.get("/fail");
    assert_eq!(failed.status, 500);
    assert!(
        !failed.body.contains("shapes") && !failed.body.contains("TypeError"),
        "{}",
        failed.body
    );
    assert!(
        failed.body.contains(failed.header("x-request-id").expect("an id")),
        "{}",
        failed.body
    );
}

#[test]
fn json_text_and_webassembly_are_modules() {
    let main = "import data from './data.json' with { type: 'json' };
        import note from './note.txt';
        import add from './add.wasm';
        export default { async fetch() {
            const { exports } = await WebAssembly.instantiate(add);
            const lazy = await import('./lazy.js');
            return Response.json([data.list[1], note, exports.add(40, 2), lazy.default]);
        } }";
    let project = Project::new(&[
        ("worker.js", main),
        ("data.json", r#"{ "list": [1, 2] }"#),
        ("note.txt", "noted"),
        ("lazy.js", "export default 'lazy';"),
    ]);
    let mut wasm = std::fs::File::create(project.file("add.wasm")).expect("a file");
    wasm.write_all(&ADD).expect("a file to write to");
    let answer = Serving::start(project.file("worker.js")).get("/");
    assert_eq!(answer.body, r#"[2,"noted",42,"lazy"]"#);
}

#[test]
fn a_package_is_found_by_the_conditions_of_workers() {
    let project = Project::new(&[
        ("package.json", r#"{ "type": "module" }"#),
        (
            "src/worker.ts",
            "import { where } from 'tool/sub'; export default { fetch: () => new Response(where) };",
        ),
        (
            "node_modules/tool/package.json",
            r#"{ "name": "tool", "exports": { "./sub": { "node": "./node.cjs", "workerd": "./worker.mjs", "default": "./default.mjs" } } }"#,
        ),
        ("node_modules/tool/node.cjs", "module.exports = { where: 'node' };"),
        (
            "node_modules/tool/worker.mjs",
            "export { where } from './deep/where.js';",
        ),
        ("node_modules/tool/deep/package.json", r#"{ "type": "module" }"#),
        ("node_modules/tool/deep/where.js", "export const where = 'worker';"),
        ("node_modules/tool/default.mjs", "export const where = 'default';"),
    ]);
    assert_eq!(Serving::start(project.path()).get("/").body, "worker");
}

#[test]
fn a_database_persists_across_processes() {
    let project = Project::copy_of("sql");
    {
        let server = Serving::start(project.path());
        let added = server.connect().post("/", "one\ntwo").expect("an answer");
        assert_eq!(added.body, r#"{"added":2,"last":2}"#);
    }
    let listed = Serving::start(project.path()).get("/");
    assert_eq!(
        listed.body,
        r#"{"first":"one","results":[{"id":1,"text":"one"},{"id":2,"text":"two"}]}"#
    );
}

#[test]
fn a_worker_reads_no_secret_and_no_data_of_another() {
    let spy = "import { readable } from './names.js';
        const said = [];
        async function tell(name, load) {
            try { said.push(`${name}: read ${(await load()).default}`) } catch (error) { said.push(`${name}: ${error.message}`) }
        }
        export default { async fetch() {
            for (const name of readable) {
                for (const type of ['text', 'bytes', 'json']) {
                    await tell(name, () => import(name, { with: { type } }));
                }
                await tell(name, () => import(name));
            }
            await tell('literal', () => import('./literal.txt', { with: { type: 'text' } }));
            return new Response(said.join('\\n'));
        } }";
    let names = "export const readable = ['../.env', '../isopod.toml', '../shop.db', '../shop.db-wal', '../shop/secret.txt',
        '../tls.key', './linked.txt', './hard.txt', './hard.json', './hard.js', './env.ts', './.env', './db.bin', './note.txt',
        './shop.DB', '../map.json', '/etc/passwd', './map.js'];";
    let configuration = "env_files = ['.env']
        routes = ['/shop => shop', '/* => spy']
        [workers.shop]
        main = 'shop/main.js'
        secrets = ['API_KEY']
        import_map = 'map.json'
        databases = [{ binding = 'DB', url = 'sqlite:shop.db' }]
        [workers.spy]
        main = 'spy/main.js'";
    let configuration = configuration.replace(
        "routes = ['/shop => shop', '/* => spy']",
        "routes = [{ pattern = '/shop', worker = 'shop' }, { pattern = '/*', worker = 'spy' }]",
    );
    let shop = "export default { async fetch(_, env) {
        await env.DB.exec(`CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES ('s3cret')`);
        return new Response(env.API_KEY);
    } }";
    let project = Project::new(&[
        ("isopod.toml", &configuration),
        (".env", "API_KEY=s3cret"),
        ("tls.key", "s3cret"),
        ("map.json", r#"{ "imports": { "s3cret": "./x.js" } }"#),
        ("shop/main.js", shop),
        ("shop/secret.txt", "s3cret"),
        ("spy/main.js", spy),
        ("spy/names.js", names),
        ("spy/note.txt", "a note"),
        ("spy/literal.txt", "a note"),
        ("spy/.env", "OTHER=s3cret"),
        ("spy/map.js", "throw new Error('mapped')\n//# sourceMappingURL=../.env"),
    ]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/shop").body, "s3cret");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../.env", project.file("spy/linked.txt")).expect("a link");
        for (file, link) in [
            ("shop/secret.txt", "spy/hard.txt"),
            ("map.json", "spy/hard.json"),
            (".env", "spy/hard.js"),
            (".env", "spy/env.ts"),
            ("shop.db", "spy/db.bin"),
            ("shop.db", "spy/shop.DB"),
        ] {
            std::fs::hard_link(project.file(file), project.file(link)).expect("a link");
        }
    }
    let said = server.get("/").body;
    assert!(!said.contains("s3cret") && !said.contains("API_KEY"), "{said}");
    let read: Vec<_> = said.lines().filter(|line| line.contains(": read ")).collect();
    assert_eq!(read, ["literal: read a note"], "{said}");
    assert!(
        !server.log().contains("s3cret"),
        "an error shows lines of the script's own modules"
    );
}

#[test]
fn a_wider_root_and_computed_names_are_settings() {
    let main = "import shared from '../shared.js';
        export default { async fetch() {
            const name = ['data', 'xyz'].join('.');
            const data = await import(`./${name}`, { with: { type: 'text' } });
            return new Response(shared + data.default);
        } }";
    let files = [
        ("src/main.js", main),
        ("shared.js", "export default 'shared '"),
        ("src/data.xyz", "data"),
    ];
    let project = Project::new(&files);
    project.write("isopod.toml", "main = 'src/main.js'");
    let refused = isopod(&["check", &project.file("")]);
    assert!(refused.stdout.contains("set `root`"), "{}", refused.stdout);
    project.write(
        "isopod.toml",
        "main = 'src/main.js'\nroot = '.'\n[modules]\ncomputed_data = true\ndata_extensions = ['xyz']",
    );
    assert_eq!(Serving::start(project.path()).get("/").body, "shared data");
}

#[test]
fn deeply_nested_code_costs_at_most_its_worker() {
    let deep = |code: &str| format!("export default {}1{};", code.repeat(100_000), ")".repeat(100_000));
    let main = "export default { async fetch(request) {
            const name = new URL(request.url).pathname;
            return new Response(await import(`.${name}`).then(() => 'read', (error) => error.message));
        } }";
    let project = Project::new(&[
        ("main.js", main),
        ("deep.ts", &deep("(")),
        ("nots.ts", &format!("export default {}1;", "!".repeat(100_000))),
        ("tags.tsx", &format!("export default {};", "<a>".repeat(100_000))),
        ("deep.js", &deep("(")),
        (
            "small.ts",
            &format!("export default {}1{};", "(".repeat(2_800), ")".repeat(2_800)),
        ),
        ("fine.ts", "export default 1 as number;"),
    ]);
    let server = Serving::start(project.file("main.js"));
    for name in ["/deep.ts", "/nots.ts", "/tags.tsx"] {
        let said = server.get(name).body;
        assert!(said.contains("nested deeper than"), "{name}: {said}");
    }
    assert!(
        server.get("/deep.js").body.contains("call stack"),
        "V8 has a limit of its own"
    );
    for name in ["/small.ts", "/fine.ts"] {
        assert_eq!(server.get(name).body, "read");
    }
}

#[test]
fn node_env_is_what_the_mode_says() {
    let project = Project::new(&[
        (
            "main.ts",
            "import { own, plain } from './lib.js';
             const typed: string = process.env.NODE_ENV;
             export default { fetch: () => Response.json([typed, plain, own]) };",
        ),
        (
            "lib.js",
            "export const plain = process.env['NODE_ENV'] === 'production' ? 1 : 2;
             export const own = ((process) => process.env.NODE_ENV)({ env: { NODE_ENV: 'mine' } });",
        ),
    ]);
    let main = project.file("main.ts");
    assert_eq!(Serving::start(&main).get("/").body, r#"["development",2,"mine"]"#);
    let production = Serving::start_with(&main, &["--production"]);
    assert_eq!(production.get("/").body, r#"["production",1,"mine"]"#);
}

/// `rules`, `alias`, `define`, `jsx_factory` and `jsx_fragment` of wrangler's files, and what `isopod.toml` calls them:
/// <https://developers.cloudflare.com/workers/wrangler/configuration/#bundling>
#[test]
fn modules_are_built_as_the_configuration_says() {
    let files = [
        (
            "src/main.tsx",
            "import logo from '../assets/logo.svg';
             import data from '../assets/data.blob';
             import { sql } from 'old-driver/sql';
             import { shim } from 'node:fs';
             declare const VERSION: string;
             const h = (...parts: unknown[]) => parts;
             const Fragment = 'fragment';
             export default { fetch: () => Response.json([
                 logo, new Uint8Array(data).length, sql, shim, VERSION, BUILT.at, import.meta.env.MODE, <><b /></>,
             ]) };",
        ),
        ("assets/logo.svg", "<svg/>"),
        ("assets/data.blob", "12345"),
        (
            "src/fs.ts",
            "import 'old-driver'; export const shim: string = 'own ' + VERSION;",
        ),
        (
            "node_modules/new-driver/package.json",
            r#"{ "name": "new-driver", "exports": { ".": "./index.cjs", "./sql": "./sql.js" } }"#,
        ),
        (
            "node_modules/new-driver/index.cjs",
            "require('node:fs'); module.exports = require('../../assets/logo.svg');",
        ),
        ("node_modules/new-driver/sql.js", "export const sql = 'new';"),
        ("package.json", r#"{ "name": "built", "type": "module" }"#),
    ];
    let wrangler = r#"{
        "name": "built", "main": "src/main.tsx",
        "rules": [{ "type": "Text", "globs": ["**/*.svg"], "fallthrough": true }, { "type": "Data", "globs": ["assets/*.blob"] }],
        "alias": { "old-driver": "new-driver", "node:fs": "./src/fs.ts" },
        "define": { "VERSION": "\"1.2\"", "BUILT": "{\"at\":7}", "import.meta.env.MODE": "\"fast\"" },
        "jsx_factory": "h", "jsx_fragment": "Fragment"
    }"#;
    let own = r#"
        main = "src/main.tsx"
        root = "."
        jsx = { factory = "h", fragment = "Fragment" }
        [modules]
        rules = [{ type = "text", globs = ["**/*.svg"] }, { type = "bytes", globs = ["assets/*.blob"] }]
        alias = { old-driver = "new-driver", "node:fs" = "./src/fs.ts" }
        define = { VERSION = '"1.2"', BUILT = '{"at":7}', "import.meta.env.MODE" = '"fast"' }
    "#;
    for (name, configuration) in [("wrangler.jsonc", wrangler), ("isopod.toml", own)] {
        let project = Project::new(&files);
        project.write(name, configuration);
        let server = Serving::start(project.file(name));
        let expected = r#"["<svg/>",5,"new","own 1.2","1.2",7,"fast",["fragment",null,["b",null]]]"#;
        assert_eq!(server.get("/").body, expected, "{name}");
    }
    let mistakes = [
        (
            "alias = { './a' = 'b' }",
            "3:19: `modules.alias../a` = \"b\": it should be the name of a module",
        ),
        (
            "define = { A = 'f()' }",
            "3:16: `modules.define.A` = \"f()\": the value should be JSON",
        ),
        (
            "rules = [{ type = 'text' }]",
            "3:10: `modules.rules[0].globs` is missing",
        ),
    ];
    for (mistake, said) in mistakes {
        let project = Project::new(&files);
        project.write("isopod.toml", &format!("main = 'src/main.tsx'\n[modules]\n{mistake}\n"));
        let checked = isopod(&["check", &project.file("isopod.toml")]);
        assert!(checked.stderr.contains(said), "{mistake}: {}", checked.stderr);
        assert_eq!(checked.code, Some(2));
    }
    let project = Project::new(&files);
    project.write(
        "wrangler.toml",
        "name = 'x'\nmain = 'src/main.tsx'\n[define]\nA = 'text without quotes'\n",
    );
    let checked = isopod(&["check", &project.file("wrangler.toml")]);
    assert!(
        checked.stderr.contains("wrangler.toml:4:5: `define.A`"),
        "{}",
        checked.stderr
    );
}

/// Neither rules nor aliases reach more than a script's modules: `docs/modules.md`, "File access".
#[test]
fn rules_and_aliases_do_not_widen_what_may_be_read() {
    let project = Project::new(&[
        ("src/.env", "KEY=1"),
        ("src/key.pem", "key"),
        ("src/wrangler.json", "{}"),
        ("src/data.weird", "data"),
        ("src/other.js", "export default 'not run'"),
        ("src/second.js", ""),
        ("outside.txt", "outside"),
        (
            "src/main",
            "import data from './data.weird';
             import other from './other.js';
             export default { async fetch(request) {
                 const name = new URL(request.url).searchParams.get('name');
                 return new Response(name ? await import(name).then((it) => it.default, String) : data + other);
             } };",
        ),
        (
            "isopod.toml",
            "main = 'src/main'\n[modules]\nrules = [{ type = 'text', globs = ['**', '**/.*'] }]
             alias = { passwords = '/etc/passwd', net = 'https://example.com/x.js', outside = './outside.txt', env = './src/.env' }",
        ),
    ]);
    let checked = isopod(&["check", &project.file("isopod.toml")]);
    assert_eq!(
        (checked.code, &*checked.stdout),
        (Some(0), "main: ok\n"),
        "{}",
        checked.stderr
    );
    let server = Serving::start(project.file("isopod.toml"));
    assert_eq!(server.get("/").body, "dataexport default 'not run'");
    for (name, said) in [
        ("./.env", "env file"),
        ("./key.pem", "private key"),
        ("./wrangler.json", "a configuration"),
        ("../outside.txt", "outside"),
        ("../isopod.toml", "outside"),
        ("passwords", "outside"),
        ("net", "over the network"),
        ("outside", "outside"),
        ("env", "env file"),
        ("./second.js", "literal name"),
    ] {
        let answer = server.get(&format!("/?name={name}")).body;
        assert!(answer.contains("Error: ") && answer.contains(said), "{name}: {answer}");
    }
}
