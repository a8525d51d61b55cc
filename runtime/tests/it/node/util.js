// Checks of `node:util` and `node:assert`. https://nodejs.org/api/util.html https://nodejs.org/api/assert.html

import assert, { AssertionError, strict } from "node:assert";
import assertStrict from "node:assert/strict";
import util, { callbackify, deprecate, format, inherits, inspect, parseArgs, promisify, types } from "node:util";
import { isDate } from "node:util/types";

export const utilities = () =>
  checks({
    // The documentation's examples.
    "format": () => format("%s:%s", "foo") === "foo:%s" && format("%s %d %i %j %%", "a", 1.5, 1.5, { a: 1 }) === 'a 1.5 1 {"a":1} %' && format(1, 2, "3") === "1 2 3",
    "inspect": () => inspect({ a: 1, b: "x", c: [1, 2], d: new Map([["k", 1]]), e: undefined }) === "{ a: 1, b: 'x', c: [ 1, 2 ], d: Map(1) { 'k' => 1 }, e: undefined }",
    "inspect depth": () => inspect({ a: { b: { c: { d: 1 } } } }).replace(/\s+/g, " ") === "{ a: { b: { c: [Object] } } }" && inspect({ a: { b: 1 } }, { depth: 0 }) === "{ a: [Object] }",
    "inspect circular": () => {
      const circular = {};
      circular.self = circular;
      return inspect(circular) === "<ref *1> { self: [Circular *1] }";
    },
    "inspect custom": () => inspect({ [inspect.custom]: () => "mine" }) === "mine",
    "inspect class": () => inspect(new (class Foo { x = 1; })()) === "Foo { x: 1 }",
    "promisify": async () => await promisify((a, done) => done(null, a + 1))(1) === 2,
    "promisify rejects": async () => await promisify((done) => done(new Error("a")))().catch((error) => error.message) === "a",
    "promisify of a timer": async () => await promisify(setTimeout)(1, "value") === "value",
    "callbackify": async () => await new Promise((resolve) => callbackify(async () => "hello")((error, value) => resolve(value))) === "hello",
    "inherits": () => {
      function A() {}
      function B() {}
      inherits(A, B);
      return new A() instanceof B && A.super_ === B;
    },
    "isDeepStrictEqual": () => util.isDeepStrictEqual({ a: [1, new Set([1])] }, { a: [1, new Set([1])] }) && !util.isDeepStrictEqual([1], ["1"]),
    "types": () => types.isPromise(Promise.resolve()) && types.isRegExp(/a/) && !types.isDate({}) && isDate(new Date()) && types.isUint8Array(Buffer.alloc(1)) && types.isProxy(new Proxy({}, {})),
    "TextEncoder": () => util.TextEncoder === TextEncoder && util.TextDecoder === TextDecoder,
    "stripVTControlCharacters": () => util.stripVTControlCharacters("\u001B[4mvalue\u001B[0m") === "value",
    "parseArgs": () => {
      const { values, positionals } = parseArgs({ args: ["-f", "--bar", "b", "c"], options: { foo: { type: "boolean", short: "f" }, bar: { type: "string" } }, allowPositionals: true });
      return values.foo === true && values.bar === "b" && positionals.join() === "c";
    },
    "parseEnv": () => util.parseEnv("HELLO=hello\n# no\nQ='a b'").Q === "a b",
    "deprecate": () => deprecate((a) => a, "old")(1) === 1,
    "getSystemErrorName": () => util.getSystemErrorName(-2) === "ENOENT",
  });

const failure = (act) => {
  const error = thrown(act);
  return error instanceof AssertionError && error.code === "ERR_ASSERTION" ? error : undefined;
};

export const assertions = () =>
  checks({
    "ok": () => thrown(() => assert(true)) === undefined && failure(() => assert(0)) !== undefined && failure(() => assert.ok(false, "why")).message === "why",
    "equal": () => thrown(() => assert.equal(1, "1")) === undefined && failure(() => assert.strictEqual(1, "1")) !== undefined && failure(() => strict.equal(1, "1")) !== undefined,
    "deepEqual": () => thrown(() => assert.deepEqual({ a: 1 }, { a: "1" })) === undefined && failure(() => assert.deepStrictEqual({ a: 1 }, { a: "1" })) !== undefined,
    "a message with the difference": () => /Expected values to be strictly deep-equal/.test(failure(() => assertStrict.deepEqual([1, 2], [1, 3])).message),
    "throws": () => thrown(() => assert.throws(() => { throw new TypeError("bad"); }, { name: "TypeError", message: "bad" })) === undefined && failure(() => assert.throws(() => {})) !== undefined,
    "rejects": async () => await assert.rejects(Promise.reject(new Error("a")), /a/) === undefined,
    "match": () => thrown(() => assert.match("abc", /b/)) === undefined && failure(() => assert.doesNotMatch("abc", /b/)) !== undefined,
    "fail": () => failure(() => assert.fail()).message === "Failed" && failure(() => assert.fail()).actual === undefined,
  });
