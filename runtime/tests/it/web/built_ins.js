// Built-ins wrapped to enforce limits look and behave as specified.

const operations = (list) => list.every(([method, name, length]) =>
  method.name === name && method.length === length && thrown(() => new method()) instanceof TypeError);

// https://webassembly.github.io/spec/js-api/#dom-memory-grow: `unsigned long grow([EnforceRange] AddressValue delta)`.
export const grow = () => {
  const { prototype } = WebAssembly.Memory;
  const memory = () => new WebAssembly.Memory({ initial: 1, maximum: 5 });
  const wrong = [Infinity, -Infinity, NaN, 2 ** 32, -1, undefined, "x", 1n, Symbol(), {}];
  const list = {};
  for (const value of wrong) list[`TypeError: ${String(value)}`] = () => thrown(() => memory().grow(value)) instanceof TypeError;
  for (const value of [5, 2 ** 32 - 1, 65_536]) {
    list[`RangeError: ${value}`] = () => thrown(() => memory().grow(value)) instanceof RangeError;
  }
  for (const value of ["2", 2.9, { valueOf: () => 2 }, { valueOf: () => ({}), toString: () => "2" }]) {
    list[`two: ${JSON.stringify(value)}`] = () => {
      const at = memory();
      return at.grow(value) === 1 && at.buffer.byteLength === 3 << 16;
    };
  }
  return checks({
    ...list,
    "the receiver is checked first, and without an argument nothing grows"() {
      let converted = 0;
      const value = { valueOf: () => converted++ };
      const errors = [thrown(() => prototype.grow.call({}, value)), thrown(() => memory().grow())];
      return errors.every((error) => error instanceof TypeError) && converted === 0;
    },
    "the argument is converted once, to a number"() {
      const hints = [];
      memory().grow({ [Symbol.toPrimitive]: (hint) => hints.push(hint) });
      return hints.join() === "number";
    },
    "a memory of 64 bits takes a BigInt"() {
      const at = new WebAssembly.Memory({ initial: 1n, maximum: 5n, address: "i64" });
      return at.grow(1n) === 1n && thrown(() => at.grow(1)) instanceof TypeError && thrown(() => at.grow(9n)) instanceof RangeError;
    },
    // https://webidl.spec.whatwg.org/#define-the-operations
    "its property"() {
      const { value, ...attributes } = Object.getOwnPropertyDescriptor(prototype, "grow");
      return JSON.stringify(attributes) === '{"writable":true,"enumerable":true,"configurable":true}' &&
        operations([[value, "grow", 1]]) && !("prototype" in value) &&
        /^function [a-z]*\(\) \{ \[native code\] \}$/.test(Function.prototype.toString.call(value));
    },
  });
};

// https://webassembly.github.io/spec/js-api/#webassembly-namespace, https://webassembly.github.io/spec/js-api/#modules
export const modules = async () => {
  const { Module, Tag, compile, compileStreaming, instantiate, instantiateStreaming, validate } = WebAssembly;
  const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
  const failed = async (promise) => {
    try {
      await promise;
    } catch (error) {
      return error;
    }
  };
  const response = (init) => new Response(empty, { headers: { "content-type": "application/wasm" }, ...init });
  const refused = {
    "compile() of no bytes": await failed(compile("x")),
    "compileStreaming() of no response": await failed(compileStreaming(empty)),
    "compileStreaming() of another type": await failed(compileStreaming(new Response(empty))),
    "compileStreaming() of an error": await failed(compileStreaming(response({ status: 404 }))),
    "instantiateStreaming() of a body that was read": await (async () => {
      const read = response();
      await read.text();
      return failed(instantiateStreaming(read));
    })(),
  };
  const made = [await compile(empty), await compileStreaming(response()), (await instantiate(empty.buffer)).module,
    (await instantiateStreaming(Promise.resolve(response()), {})).module, new Module(empty)];
  const invalid = await failed(compileStreaming(response({ status: 200, headers: [["Content-Type", "Application/WASM"]] })));
  class Derived extends Module {}
  return checks({
    "operations"() {
      return operations([[compile, "compile", 1], [compileStreaming, "compileStreaming", 1], [instantiate, "instantiate", 1],
        [instantiateStreaming, "instantiateStreaming", 1], [validate, "validate", 1]]);
    },
    "constructors"() {
      return [[Module, "Module"], [Tag, "Tag"]].every(([type, name]) =>
        type.name === name && type.length === 1 && type.prototype.constructor === type && thrown(() => type()) instanceof TypeError);
    },
    "properties"() {
      return ["Module", "Tag", "compile", "instantiate", "validate"].every((name) => {
        const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(WebAssembly, name);
        return writable && configurable && enumerable === (name === name.toLowerCase() && name[0] !== "M" && name[0] !== "T");
      });
    },
    "what is made"() {
      return made.every((module) => module instanceof Module) && Module.exports(made[0]).length === 0 &&
        validate(empty) && !validate(new Uint8Array(8)) && invalid === undefined;
    },
    "what is refused"() {
      return Object.values(refused).every((error) => error instanceof TypeError) &&
        thrown(() => new Module("x")) instanceof TypeError &&
        thrown(() => new Module(new Uint8Array(4))) instanceof WebAssembly.CompileError &&
        thrown(() => new Tag()) instanceof TypeError && thrown(() => new Tag({})) instanceof TypeError &&
        thrown(() => new Tag({ parameters: ["x"] })) instanceof TypeError;
    },
    "bytes in a buffer or a view"() {
      return [empty, empty.buffer].every((bytes) => validate(bytes));
    },
    "derived classes"() {
      const module = new Derived(empty);
      return module instanceof Derived && module instanceof Module && Object.getPrototypeOf(module) === Derived.prototype;
    },
    "a prototype that changes the bytes as it is read comes too late"() {
      const bytes = new Uint8Array(empty);
      const type = new Proxy(function () {}, { get: (target, name) => (bytes.fill(0), target[name]) });
      return Reflect.construct(Module, [bytes], type) instanceof type;
    },
    "a tag of an iterator"() {
      let read = 0;
      const tag = new Tag({ get parameters() { return read++, new Set(["i32", { toString: () => "f64" }]); } });
      return tag instanceof Tag && read === 1;
    },
  });
};

// https://tc39.es/ecma262/#sec-arraybuffer.prototype.resize, https://tc39.es/ecma262/#sec-sharedarraybuffer-constructor
export const buffers = () => {
  const { resize } = ArrayBuffer.prototype;
  const buffer = () => new ArrayBuffer(1, { maxByteLength: 8 });
  return checks({
    "resize() checks its receiver first, and converts once"() {
      let converted = 0;
      const value = { valueOf: () => (converted++, 4) };
      const wrong = [{}, new ArrayBuffer(1), new SharedArrayBuffer(1)];
      const at = buffer();
      return wrong.every((receiver) => thrown(() => resize.call(receiver, value)) instanceof TypeError) && converted === 0 &&
        at.resize(value) === undefined && at.byteLength === 4 && converted === 1;
    },
    "resize() and what is no length": () =>
      [9, -1, Infinity].every((value) => thrown(() => buffer().resize(value)) instanceof RangeError) &&
      [1n, Symbol()].every((value) => thrown(() => buffer().resize(value)) instanceof TypeError),
    "its property"() {
      const { value, ...attributes } = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "resize");
      return JSON.stringify(attributes) === '{"writable":true,"enumerable":false,"configurable":true}' &&
        operations([[value, "resize", 1]]);
    },
    "SharedArrayBuffer"() {
      let order = "";
      const length = { valueOf: () => (order += "length ", 4) };
      const options = { get maxByteLength() { order += "options"; } };
      class Own extends SharedArrayBuffer {}
      return new SharedArrayBuffer(length, options).byteLength === 4 && order === "length options" &&
        SharedArrayBuffer.name === "SharedArrayBuffer" && SharedArrayBuffer.length === 1 &&
        new SharedArrayBuffer(1).constructor === SharedArrayBuffer && new Own(2) instanceof Own &&
        thrown(() => SharedArrayBuffer(1)) instanceof TypeError && new SharedArrayBuffer(1, "text").byteLength === 1;
    },
  });
};

export const operationsOfTheGlobalObject = () =>
  checks({
    "they are no constructors": () =>
      operations([
        [fetch, "fetch", 1],
        [setTimeout, "setTimeout", 1],
        [setInterval, "setInterval", 1],
        [structuredClone, "structuredClone", 1],
        [AbortSignal.timeout, "timeout", 1],
        [crypto.subtle.digest, "digest", 2],
        [crypto.subtle.deriveBits, "deriveBits", 2],
        [crypto.subtle.importKey, "importKey", 5],
      ]),
    async "cryptography does not ask a script how long bytes are"() {
      const bytes = Object.defineProperty(new Uint8Array(3), "byteLength", { value: "many" });
      return (await crypto.subtle.digest("SHA-1", bytes)).byteLength === 20;
    },
    "cryptography rejects, and does not throw": async () =>
      await crypto.subtle.digest.call({}, "SHA-1", new Uint8Array(1)).catch((error) => error) instanceof TypeError &&
      await crypto.subtle.generateKey().catch((error) => error) instanceof TypeError,
  });
