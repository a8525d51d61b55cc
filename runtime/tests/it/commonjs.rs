//! CommonJS modules, tested by running them.

use std::fs;

use isopod_runtime::Script;
use isopod_runtime::handlers::Fault;
use serde_json::{Value, json};

use crate::common::{call, call_shared};

/// Files in a temporary folder, of which `main.mjs` exports `look`.
pub(crate) struct Project(tempfile::TempDir);

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (path, content) in files {
            project.write(path, content);
        }
        project
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> std::path::PathBuf {
        fs::canonicalize(self.0.path()).unwrap().join(path)
    }

    pub(crate) fn script(&self, main: &str) -> isopod_runtime::ScriptBuilder {
        Script::builder("test").file(self.path(main))
    }

    fn look(&self) -> Result<Value, Fault> {
        call(self.script("main.mjs"), "look", vec![])
    }
}

fn look(files: &[(&str, &str)]) -> Value {
    Project::new(files).look().unwrap()
}

/// https://nodejs.org/api/modules.html#the-module-wrapper and the module object after it.
#[test]
fn a_commonjs_module_has_node_s_variables() {
    let project = Project::new(&[
        (
            "main.mjs",
            "import { seen } from './lib/a.cjs'; export const look = () => seen;",
        ),
        (
            "lib/a.cjs",
            "#!/usr/bin/env node
            const seen = [this === exports, exports === module.exports, arguments.length, typeof arguments.callee];
            const b = require('./b.js');
            const again = require('./b.js') === b;
            seen.push(again, module.children.length, module.children[0].loaded, module.loaded, require.main === undefined);
            seen.push(__filename === module.filename, __dirname === module.path, module.id === __filename);
            seen.push(require.resolve('./b.js') === b.filename, Object.keys(require.cache).length, module.paths[0]);
            delete require.cache[require.resolve('./b.js')];
            seen.push(require('./b.js') !== b, module.require('./b.js') === require('./b.js'));
            exports.seen = seen;",
        ),
        ("lib/b.js", "exports.filename = __filename;"),
    ]);
    let folder = project.path("lib").display().to_string();
    assert_eq!(
        project.look().unwrap(),
        json!([
            true,
            true,
            5,
            "function",
            true,
            1,
            true,
            false,
            true,
            true,
            true,
            true,
            true,
            2,
            format!("{folder}/node_modules"),
            true,
            true
        ])
    );
}

/// Many packages are older than strict mode.
#[test]
fn code_is_sloppy_unless_it_says_otherwise() {
    let seen = look(&[
        (
            "main.mjs",
            "import sloppy from './sloppy.cjs'; import strict from './strict.cjs'; export const look = () => [sloppy, strict];",
        ),
        (
            "sloppy.cjs",
            "implied = 010; with ({ inside: 1 }) { implied += inside } \
             module.exports = [implied, (function () { return this === globalThis })()];",
        ),
        (
            "strict.cjs",
            "'use strict'; try { undeclared = 1 } catch (error) { module.exports = error.name }",
        ),
    ]);
    assert_eq!(seen, json!([[9, true], "ReferenceError"]));
}

#[test]
fn a_cyclic_import_sees_the_exports_so_far() {
    let seen = look(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "exports.early = 1; const b = require('./b.cjs'); exports.late = 2; exports.b = b;",
        ),
        ("b.cjs", "const a = require('./a.cjs'); exports.saw = { ...a };"),
    ]);
    assert_eq!(seen, json!({ "early": 1, "late": 2, "b": { "saw": { "early": 1 } } }));
}

#[test]
fn the_default_export_follows_the_importers_rule() {
    let compiled =
        "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = 'default'; exports.a = 1;";
    let importer = "import d, { a } from 'lib'; export const seen = [typeof d, a];";
    let seen = look(&[
        (
            "main.mjs",
            "import { seen as node } from './main-node.mjs'; import { seen as typed } from './typed/x.js';
             import { seen as plain } from './plain.js'; export const look = () => [node, typed, plain];",
        ),
        ("main-node.mjs", importer),
        ("typed/package.json", r#"{"type": "module"}"#),
        ("typed/x.js", importer),
        ("plain.js", importer),
        ("node_modules/lib/package.json", r#"{"main": "index"}"#),
        ("node_modules/lib/index.js", compiled),
    ]);
    assert_eq!(seen, json!([["object", 1], ["object", 1], ["string", 1]]));
}

/// Names that only running the module determines are taken from its importers, as in bundlers.
#[test]
fn importers_get_the_names_that_they_ask_for() {
    let seen = look(&[
        (
            "main.mjs",
            "import { a, b as c, missing } from './lib.cjs'; import * as ns from './lib.cjs'; import { d } from './star.mjs';
             import { e, reexported } from './names.cjs'; import * as all from './names.cjs';
             export const look = async () => {
               const { f } = await import('./lib.cjs');
               return [a, c, missing === undefined, ns.g, d, e, reexported, f, Object.keys(all).sort()];
             }",
        ),
        (
            "lib.cjs",
            "(function (factory) { module.exports = factory() })(() => Object.fromEntries([...'abdfg'].map((k) => [k, k])))",
        ),
        ("star.mjs", "export { d } from './lib.cjs';"),
        ("names.cjs", "exports.e = 'e'; Object.assign(exports, require('./more.cjs')); __exportStar(require('./more.cjs'), exports);
            function __exportStar() {}"),
        ("more.cjs", "exports.reexported = 'r'; Object.defineProperty(exports, 'throws', { get() { throw 1 } })"),
    ]);
    assert_eq!(
        seen,
        json!([
            "a",
            "b",
            true,
            "g",
            "d",
            "e",
            "r",
            "f",
            ["default", "e", "reexported", "throws"]
        ])
    );
}

/// https://nodejs.org/api/modules.html#loading-ecmascript-modules-using-require
#[test]
fn other_kinds_of_modules_can_be_required() {
    let seen = look(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "const esm = require('./esm.mjs'), plain = require('./plain.mjs');
             module.exports = [esm.default, esm.named, esm.__esModule, plain.x, '__esModule' in plain, require('./own.mjs'),
               require('./data.json').list[1], require('./data') === require('./data.json'), require('./note.txt'),
               typeof require('cloudflare:workers').WorkerEntrypoint];",
        ),
        ("esm.mjs", "export default 'd'; export const named = await 'n';"),
        ("plain.mjs", "import x from './back.cjs'; export { x };"),
        ("back.cjs", "module.exports = 'back'"),
        ("own.mjs", "const own = 'own'; export { own as 'module.exports' }; export default 1;"),
        ("data.json", r#"{"list": [1, 2]}"#),
        ("note.txt", "noted"),
    ]);
    assert_eq!(
        seen,
        json!(["d", "n", true, "back", false, "own", 2, true, "noted", "function"])
    );
}

#[test]
fn missing_modules_throw_when_they_are_required() {
    let seen = look(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "const fails = (work) => { try { work(); return 'ok' } catch (e) { return [e.code, e.message.split(':')[0]] } };
             exports.package = fails(() => require('missing'));
             exports.file = fails(() => require('./missing'));
             exports.builtin = fails(() => require('no-such-builtin/x'));
             exports.hidden = fails(() => require('lib/hidden'))[0];
             exports.empty = fails(() => require(''))[0];
             exports.throws = [fails(() => require('./throws.cjs')), fails(() => require('./throws.cjs'))];
             exports.stack = (() => { try { require('missing') } catch (e) { return e.requireStack.length } })();",
        ),
        ("throws.cjs", "globalThis.times = (globalThis.times ?? 0) + 1; throw Object.assign(new Error('no'), { code: times })"),
        ("node_modules/lib/package.json", r#"{"exports": {".": "./index.js"}}"#),
    ]);
    assert_eq!(
        seen,
        json!({
            "package": ["MODULE_NOT_FOUND", "Cannot find module 'missing'"],
            "file": ["MODULE_NOT_FOUND", "Cannot find module './missing'"],
            "builtin": ["MODULE_NOT_FOUND", "Cannot find module 'no-such-builtin/x'"],
            "hidden": "ERR_PACKAGE_PATH_NOT_EXPORTED",
            "empty": "ERR_INVALID_ARG_TYPE",
            "throws": [[1, "no"], [2, "no"]],
            "stack": 1
        })
    );
}

#[test]
fn computed_names_are_found_when_they_are_required() {
    let seen = look(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a('de');"),
        (
            "a.cjs",
            "module.exports = (name) => {
               const esm = () => { try { return require('./locale/' + 'esm.mjs') } catch (e) { return [e.code, e.message] } };
               return [require('./locale/' + name), require(`./locale/${name}.js`), esm()];
             }",
        ),
        ("locale/de.js", "module.exports = 'hallo'"),
        ("locale/esm.mjs", "export default 1"),
    ]);
    assert_eq!(seen[0], "hallo");
    assert_eq!(seen[1], "hallo");
    assert_eq!(seen[2][0], "ERR_REQUIRE_ESM");
    assert!(seen[2][1].as_str().unwrap().contains("await import()"), "{seen}");
}

/// `require` leads to a package's CommonJS, `import` to its ES modules.
#[test]
fn conditions_and_folders_are_those_of_require() {
    let seen = look(&[
        (
            "main.mjs",
            "import a from './a.cjs'; import dual from 'dual'; export const look = () => [...a, dual];",
        ),
        (
            "a.cjs",
            "module.exports = [require('dual'), require('dual/old'), require('./folder/'), require('./folder'), \
             require('./a%41') + require('./a#b.js'), require('@s/browser')];",
        ),
        (
            "node_modules/dual/package.json",
            r#"{"exports": {".": {"module": "./m.mjs", "import": "./m.mjs", "require": "./r.js"},
                "./old": {"node": "./n.js", "workerd": "./w.js"}}}"#,
        ),
        ("node_modules/dual/m.mjs", "export default 'import'"),
        ("node_modules/dual/r.js", "module.exports = 'require'"),
        ("node_modules/dual/w.js", "module.exports = 'workerd'"),
        ("folder.js", "module.exports = 'file'"),
        ("folder/package.json", r#"{"main": "./lib/x"}"#),
        ("folder/lib/x.js", "module.exports = 'folder'"),
        ("a%41.js", "module.exports = 'na'"),
        ("a#b.js", "module.exports = 'me'"),
        (
            "node_modules/@s/browser/package.json",
            r#"{"main": "./node.js", "module": "./m.mjs", "browser": {"./node.js": "./browser.js", "./off.js": false}}"#,
        ),
        (
            "node_modules/@s/browser/browser.js",
            "module.exports = ['browser', require('./off')]",
        ),
        ("node_modules/@s/browser/off.js", "module.exports = 'on'"),
    ]);
    assert_eq!(
        seen,
        json!([
            "require",
            "workerd",
            "folder",
            "file",
            "name",
            ["browser", {}],
            "import"
        ])
    );
}

#[test]
fn the_main_module_may_be_commonjs() {
    let project = Project::new(&[
        (
            "main.js",
            "const part = require('./part'); module.exports = { fetch() {} };
             exports.look = module.exports.look = () => [part, require.main === module, module.id];",
        ),
        ("part.js", "module.exports = require.main.filename.endsWith('main.js')"),
        (
            "main.cts",
            "import part = require('./part'); const look = (): unknown => [part, require.main === module]; export = { look };",
        ),
        (
            "compiled.js",
            "exports.__esModule = true; exports.look = () => process.env.NODE_ENV;",
        ),
    ]);
    let look = |main| call(project.script(main), "look", vec![]).unwrap();
    assert_eq!(look("main.js"), json!([true, true, "."]));
    assert_eq!(look("compiled.js"), "development");
}

#[test]
fn typescript_may_be_commonjs() {
    let seen = look(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "module.exports = [require('./b.cjs').value, require('./c.cts'), require('./d.cts').default]",
        ),
        (
            "b.cts",
            "import c = require('./c.cjs'); enum E { A = 1 } export = { value: [c, E.A as number] };",
        ),
        ("c.cts", "export = 'c' as string;"),
        ("d.cts", "export default 'esm' as string;"),
    ]);
    assert_eq!(seen, json!([["c", 1], "c", "esm"]));
}

#[test]
fn import_works_in_commonjs() {
    let seen = look(&[
        (
            "main.mjs",
            "import a from './lib/a.cjs'; export const look = async () => [await a(), (await import('./b.cjs')).default];",
        ),
        (
            "lib/a.cjs",
            "module.exports = async () => (await import('./esm.mjs')).default + (await import('../b.cjs')).named",
        ),
        ("lib/esm.mjs", "export default 1"),
        ("b.cjs", "exports.named = 2"),
    ]);
    assert_eq!(seen, json!([3, { "named": 2 }]));
}

#[test]
fn traces_show_original_lines() {
    let project = Project::new(&[
        (
            "main.mjs",
            "import a from './a.cjs'; import b from './b.cjs';
             export const look = () => { try { a() } catch (e) { return [e.stack, b().stack] } };",
        ),
        (
            "a.cjs",
            "// process.env.NODE_ENV\nconst mode = process.env.NODE_ENV; module.exports = () => {\n  throw new Error(mode);\n};",
        ),
        (
            "b.cts",
            "interface Long {\n  a: 1;\n}\n\nexport = () => new Error('b');",
        ),
    ]);
    let seen = project.look().unwrap();
    let (a, b) = (seen[0].as_str().unwrap(), seen[1].as_str().unwrap());
    assert!(a.contains("a.cjs:3:9"), "{a}");
    assert!(b.contains("b.cts:5:16"), "{b}");
    let broken = Project::new(&[("main.mjs", "import './a.cjs'"), ("a.cjs", "// one\nlet = = 1;")]);
    let fault = broken.look().unwrap_err();
    assert!(fault.to_string().contains("SyntaxError"), "{fault}");
    let shown = format!("{fault:?}");
    assert!(shown.contains("a.cjs:2"), "{shown}");
}

/// `exports` of each worker are its own; the code is read once.
#[test]
fn a_version_keeps_its_code_and_workers_share_no_state() {
    let project = Project::new(&[
        (
            "main.mjs",
            "import a from './a.cjs'; export const look = () => a.next();",
        ),
        ("a.cjs", "let n = 0; exports.next = () => [++n, require('./b.cjs')];"),
        ("b.cjs", "module.exports = 'first'"),
    ]);
    let script = std::sync::Arc::new(project.script("main.mjs").build().unwrap());
    assert_eq!(call_shared(&script, "look").unwrap(), json!([1, "first"]));
    project.write("a.cjs", "exports.next = () => 'changed'");
    project.write("b.cjs", "module.exports = 'changed'");
    // Compiled from cached code: from the start, and then also from later calls of `require`.
    for _ in 0..2 {
        assert_eq!(call_shared(&script, "look").unwrap(), json!([1, "first"]));
    }
}

/// As in bundlers.
#[test]
fn es_modules_of_the_script_may_call_require() {
    let project = Project::new(&[
        (
            "main.ts",
            "import { where } from './typed';
             const lib: string = require('lib'), later = () => require('./' + 'esm-too.mjs');
             export const look = () => {
               let computed; try { later() } catch (e) { computed = (e as any).code }
               return [lib, require('./esm.mjs').default, computed, where, new Error('line').stack!.split('\\n')[1]];
             };",
        ),
        (
            "typed.js",
            "export const where = typeof require === 'undefined' ? 'none' : require('lib'); import './esm.mjs'",
        ),
        ("esm.mjs", "export default 'esm'; //# sourceMappingURL=none.map"),
        ("esm-too.mjs", "export default 1"),
        ("node_modules/lib/index.js", "module.exports = 'lib'"),
        ("memory.js", ""),
    ]);
    let seen = call(project.script("main.ts"), "look", vec![]).unwrap();
    assert_eq!(
        seen.as_array().unwrap()[..4],
        [json!("lib"), json!("esm"), json!("ERR_REQUIRE_ESM"), json!("none")]
    );
    assert!(seen[4].as_str().unwrap().contains("main.ts:5:"), "{seen}");
    let memory = Script::builder("test")
        .source("const part = require('./part.js'); export const look = () => part")
        .module("./part.js", "module.exports = 'in memory'");
    assert_eq!(call(memory, "look", vec![]).unwrap(), "in memory");
}
