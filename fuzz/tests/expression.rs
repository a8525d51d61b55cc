//! Expressions for JavaScript values, with and without a JSON form.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Literals with a JSON form.
const PLAIN: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "0.1",
    "1e21",
    "-2147483648",
    "4294967295",
    "9007199254740991",
    "\"\"",
    "\"x\"",
    "\"\\u0000\"",
    "\"\u{1F600}\"",
    "\"__proto__\"",
    "[]",
    "{}",
    "5e-324",
    "1.7976931348623157e308",
];

/// Values without a JSON form, or with a misleading one.
const ODD: &[&str] = &[
    "undefined",
    "-0",
    "NaN",
    "Infinity",
    "10n",
    "-(2n ** 100n)",
    "\"\\ud800\"",
    "\"\\udc00x\"",
    "new Date(0)",
    "new Date(NaN)",
    "new Date(8.64e15)",
    "/a(b)?/giu",
    "new Uint8Array([1, 2, 3])",
    "new ArrayBuffer(8)",
    "new ArrayBuffer(0)",
    "new Float64Array(2)",
    "new Uint8Array(new ArrayBuffer(16), 4, 3)",
    "new DataView(new ArrayBuffer(4))",
    "new ArrayBuffer(4, { maxByteLength: 8 })",
    "new SharedArrayBuffer(8)",
    "new Number(1)",
    "new String('x')",
    "Object(true)",
    "Object(1n)",
    "Object(Symbol('x'))",
    "Symbol('x')",
    "Symbol.iterator",
    "(() => 1)",
    "class { }",
    "new Map()",
    "new Set()",
    "new WeakMap()",
    "Promise.resolve(1)",
    "globalThis",
    "new Error('x')",
    "new AggregateError([new Error('a')], 'b')",
    "new Proxy([], {})",
    "new Proxy({}, { ownKeys() { throw 1 } })",
    "Object.create(null)",
    "new (class X { a = 1 })",
    "new URL('http://x/')",
    "new Blob(['x'])",
    "new Headers()",
    "new ReadableStream()",
    "new AbortController().signal",
    "new Array(5)",
    "[, 1, , 2]",
    "[,]",
    "new Array(4294967295)",
    "Object.assign([], { x: 1, [-1]: 2 })",
    "Object.assign([], { 4000000000: 1 })",
    "(() => { const a = []; a.push(a, a); return a })()",
    "(() => { const a = {}; a.a = { b: a }; return a })()",
    "(() => { const m = new Map(); m.set(m, m); return m })()",
    "(() => { const e = new Error('x'); e.cause = e; return e })()",
    "{ get a() { throw new Error('getter') } }",
    "{ get a() { delete this.b; return 1 }, b: 2 }",
    "{ toJSON() { throw 1 } }",
    "{ then: 1 }",
    "{ then(resolve) { resolve(this.x) }, x: 1 }",
    "{ get then() { throw 1 } }",
    "{ [Symbol.toStringTag]: 'Map' }",
    "arguments",
    "(() => { const b = new ArrayBuffer(8); const v = new Uint8Array(b); structuredClone(b, { transfer: [b] }); return v })()",
    "'x'.repeat(100_000)",
    "'\u{1F600}'.repeat(1000)",
    "{ ['k'.repeat(10_000)]: 1 }",
];

const KEYS: &[&str] = &[
    "a",
    "b",
    "0",
    "4294967295",
    "-1",
    "",
    "__proto__",
    "constructor",
    "length",
    "\\u0000",
    "\u{e9}",
    "a b",
    "prototype",
];

/// Values with a JSON form.
pub(crate) fn plain() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => select(PLAIN).prop_map(str::to_owned),
        1 => any::<f64>().prop_filter_map("a number", |number| number.is_finite().then(|| format!("{number:?}"))),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        2 => any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let entry = (select(KEYS), inner.clone()).prop_map(|(key, value)| format!("[\"{key}\"]: {value}"));
        prop_oneof![
            vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            vec(entry, 0..6).prop_map(|entries| format!("{{ {} }}", entries.join(", "))),
        ]
    })
}

/// Values of any kind.
pub(crate) fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        1 => select(PLAIN).prop_map(str::to_owned),
        3 => select(ODD).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 32, 5, |inner| {
        let two = (inner.clone(), inner.clone());
        let items = vec(inner.clone(), 0..5).prop_map(|items| items.join(", "));
        let entry = (select(KEYS), inner.clone()).prop_map(|(key, value)| format!("[\"{key}\"]: {value}"));
        prop_oneof![
            3 => items.clone().prop_map(|items| format!("[{items}]")),
            3 => vec(entry, 0..5).prop_map(|entries| format!("{{ {} }}", entries.join(", "))),
            1 => items.prop_map(|items| format!("new Set([{items}])")),
            2 => two.clone().prop_map(|(key, value)| format!("new Map([[{key}, {value}]])")),
            1 => inner.clone().prop_map(|value| format!("new Error('x', {{ cause: {value} }})")),
            1 => inner.clone().prop_map(|value| format!("{{ get a() {{ return {value} }} }}")),
            1 => inner.clone().prop_map(|value| format!("new Proxy([{value}], {{}})")),
            1 => two.prop_map(|(one, other)| format!("(() => {{ const s = {one}; return [s, {other}, s] }})()")),
            // Deep, and wide by sharing.
            1 => (inner.clone(), 1..200_u32)
                .prop_map(|(value, depth)| format!("(() => {{ let v = {value}; for (let i = 0; i < {depth}; i++) v = [v]; return v }})()")),
            1 => (inner, 1..60_u32)
                .prop_map(|(value, depth)| format!("(() => {{ let v = {value}; for (let i = 0; i < {depth}; i++) v = [v, v]; return v }})()")),
        ]
    })
}
