// Checks for room for the types of WebAssembly modules and tags before V8 adds them to its table.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_room_for_module, op_isopod_room_for_tag } = core.ops;
const {
  ArrayBufferIsView,
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  PromiseReject,
  PromiseResolve,
  Proxy,
  ReflectApply,
  ReflectConstruct,
  ReflectSetPrototypeOf,
  StringPrototypeToLowerCase,
  Uint8Array,
} = primordials;
const { isAnyArrayBuffer } = core;

/** V8 accepts no more parameters of a tag. */
const PARAMETERS_MAX = 1000;

/** Throws if there is no room for the types of this module. V8 rejects values that are neither buffers nor views. */
function check(source) {
  if (ArrayBufferIsView(source)) op_isopod_room_for_module(source);
  else if (isAnyArrayBuffer(source)) op_isopod_room_for_module(new Uint8Array(source));
}

/** Replaces a function by a proxy, which has its name and length and looks native; the property keeps its attributes. */
function replace(object, name, handler) {
  const property = ObjectGetOwnPropertyDescriptor(object, name);
  const value = new Proxy(property.value, { __proto__: null, ...handler });
  ObjectDefineProperty(object, name, { __proto__: null, ...property, value });
  const prototype = property.value.prototype;
  if (prototype !== undefined) {
    const constructor = ObjectGetOwnPropertyDescriptor(prototype, "constructor");
    ObjectDefineProperty(prototype, "constructor", { __proto__: null, ...constructor, value });
  }
}

/** Constructs with these arguments. The script's `newTarget` is only asked for its prototype afterwards. */
function construct(target, args, newTarget) {
  const made = ReflectConstruct(target, args);
  const { prototype } = newTarget;
  const isObject = prototype !== null && (typeof prototype === "object" || typeof prototype === "function");
  if (isObject) ReflectSetPrototypeOf(made, prototype);
  return made;
}

const checksAtOnce = {
  apply(compile, self, args) {
    try {
      check(args[0]);
    } catch (error) {
      return PromiseReject(error);
    }
    return ReflectApply(compile, self, args);
  },
};

/** The type of a tag, with its parameters read once. */
function readType(type) {
  const { parameters } = type;
  if (parameters === undefined || parameters === null) return { parameters };
  const names = [];
  // deno-lint-ignore prefer-primordials -- the script's own iterator
  for (const name of parameters) {
    ArrayPrototypePush(names, `${name}`);
    if (names.length > PARAMETERS_MAX) break;
  }
  return { parameters: names };
}

/**
 * Returns a response with the same module as one that may be compiled, in memory. Anything else is returned as it is, and
 * rejected by V8's caller.
 */
function checkedResponse({ Response, arrayBuffer, isOk, isUsed, headersOf, get, statusOf }) {
  return async (response) => {
    if (!ObjectPrototypeIsPrototypeOf(Response.prototype, response)) return response;
    const type = ReflectApply(get, ReflectApply(headersOf, response, []), ["content-type"]);
    if (type === null || StringPrototypeToLowerCase(type) !== "application/wasm") return response;
    if (!ReflectApply(isOk, response, []) || ReflectApply(isUsed, response, [])) return response;
    const bytes = await ReflectApply(arrayBuffer, response, []);
    check(bytes);
    const status = ReflectApply(statusOf, response, []);
    return new Response(bytes, { status, headers: { "content-type": type } });
  };
}

/** Called when a worker starts, because V8 creates `WebAssembly` for each isolate. */
const limitTypes = (function limitTypes({ WebAssembly, Response, Headers }) {
  if (WebAssembly === undefined) return;
  replace(WebAssembly, "Module", {
    construct(target, args, newTarget) {
      check(args[0]);
      return construct(target, args, newTarget);
    },
  });
  replace(WebAssembly, "validate", {
    apply(validate, self, args) {
      check(args[0]);
      return ReflectApply(validate, self, args);
    },
  });
  replace(WebAssembly, "compile", checksAtOnce);
  replace(WebAssembly, "instantiate", checksAtOnce);
  if (WebAssembly.Tag !== undefined) {
    replace(WebAssembly, "Tag", {
      construct(target, args, newTarget) {
        const type = args[0];
        if (type === null || typeof type !== "object") return construct(target, args, newTarget);
        const read = readType(type);
        if (read.parameters) op_isopod_room_for_tag(ArrayPrototypeJoin(read.parameters, " "));
        return construct(target, [read], newTarget);
      },
    });
  }
  const getter = (name) => ObjectGetOwnPropertyDescriptor(Response.prototype, name).get;
  const checked = checkedResponse({
    Response,
    arrayBuffer: Response.prototype.arrayBuffer,
    isOk: getter("ok"),
    isUsed: getter("bodyUsed"),
    headersOf: getter("headers"),
    statusOf: getter("status"),
    get: Headers.prototype.get,
  });
  const checksBody = {
    apply(compile, self, args) {
      const response = PromisePrototypeThen(PromiseResolve(args[0]), checked);
      return PromisePrototypeThen(response, (response) => ReflectApply(compile, self, [response, args[1]]));
    },
  };
  for (const name of ["compileStreaming", "instantiateStreaming"]) {
    if (WebAssembly[name] !== undefined) replace(WebAssembly, name, checksBody);
  }
});

return { limitTypes };
})();
