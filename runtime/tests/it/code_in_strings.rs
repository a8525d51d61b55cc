//! The limits on `eval`, `new Function` and their siblings.

use crate::common::{fetch, get, script};
use isopod_runtime::Limits;

/// Returns the body of the response of a script that returns the result of `body`, or the error.
fn result(body: &str, limit: u64) -> String {
    let source = format!(
        "export default {{ fetch() {{
            const run = () => {{ {body} }};
            try {{ return new Response(String(run())) }} catch (error) {{ return new Response(error.name + ': ' + error.message) }}
        }} }}"
    );
    let builder = script(&source).limits(Limits::default()).modules(move |mut options| {
        options.limits.module_bytes_max = 1 << 20;
        options.limits.compiler_bytes_max = limit;
        options
    });
    fetch(builder, get("/")).unwrap().1
}

/// V8 needs 640 bytes for each byte of these classes, and nothing stops it.
#[test]
fn code_that_needs_too_much_memory_is_an_eval_error() {
    for code in [
        "eval(many('class{#a},'))",
        "(0, eval)(many('class{#a},'))",
        "new Function('return ' + many('class{#a},'))",
        "new Function('a = ' + many('class{#a},'), '')",
        "Reflect.construct(Function, ['return ' + many('class{#a},')], Array)",
        "new (async () => {}).constructor('return ' + many('await 0,'))",
        "new (function* () {}).constructor('return ' + many('yield,'))",
        "eval('/' + '\\\\p{L}'.repeat(1e4) + '/u')",
        "eval(' '.repeat(2 << 20))",
    ] {
        let body = format!("const many = (unit) => '[' + unit.repeat(1e4) + ']'; return {code};");
        let result = result(&body, 8 << 20);
        assert!(
            result.starts_with("EvalError: the code is too large to compile")
                && result.contains("modules.compiler_bytes_max"),
            "{code}: {result}"
        );
    }
}

#[test]
fn other_code_in_strings_is_compiled_as_usual() {
    for (code, value) in [
        ("const local = 20; return eval('local + 1')", "21"),
        ("(0, eval)('var left = 22'); return globalThis.left", "22"),
        ("return eval(new String('7')) instanceof String", "true"),
        ("return new Function('a', 'b', 'return a * b')(4, 6)", "24"),
        ("return eval('[' + '1,'.repeat(1e4) + ']').length", "10000"),
        ("return new (async () => {}).constructor('await 0').name", "anonymous"),
        ("return eval('\"' + '\u{e9}'.repeat(1e5) + '\"').length", "100000"),
    ] {
        assert_eq!(result(code, 8 << 20), value, "{code}");
    }
    // With a higher limit, the compiler's memory is used.
    let classes = "return eval('[' + 'class{#a},'.repeat(1e4) + ']').length";
    assert_eq!(result(classes, 1 << 30), "10000");
}
