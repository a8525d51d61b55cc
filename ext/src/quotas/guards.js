// Checks quotas and memory before deno's scripts create objects outside of the heap. Loaded before those scripts, which
// capture their ops when they are loaded.

(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const {
  op_isopod_room_for_blob,
  op_isopod_room_for_handle,
  op_isopod_room_for_memory,
  op_isopod_room_for_part,
  op_isopod_room_for_timer,
} = ops;
const { hasEnded, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { before, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayBufferPrototype,
  MathTrunc,
  Number,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  Proxy,
  RangeError,
  ReflectApply,
  ReflectConstruct,
  SafeArrayIterator,
  SymbolToPrimitive,
  TypeError,
  TypedArrayPrototypeGetByteLength,
} = primordials;

for (
  const name of new SafeArrayIterator([
    "op_readable_stream_resource_allocate",
    "op_readable_stream_resource_allocate_sized",
    "op_blob_create_object_url",
  ])
) {
  before(name, () => op_isopod_room_for_handle());
}
for (const name of new SafeArrayIterator(["op_blob_clone_part", "op_blob_slice_part"])) {
  before(name, () => op_isopod_room_for_part());
}
before("op_blob_create_part", (data) => {
  const bytes = TypedArrayPrototypeGetByteLength(data);
  if (bytes > LARGE_BYTES) op_isopod_room_for_memory(bytes, false);
  op_isopod_room_for_blob(bytes);
});

// ---- timers

/** Returns the same function with a check before each call. */
function renamed(original, value) {
  for (const property of new SafeArrayIterator(["name", "length"])) {
    ObjectDefineProperty(value, property, {
      __proto__: null,
      value: original[property],
      configurable: true,
      enumerable: false,
      writable: false,
    });
  }
  return value;
}

function limitTimer(original) {
  return renamed(original, {
    timer() {
      // No timer has this number, so clearing it has no effect.
      if (hasEnded()) return 0;
      op_isopod_room_for_timer();
      return ReflectApply(original, this, arguments);
    },
  }.timer);
}

function limitFetch(original) {
  return renamed(original, {
    fetch() {
      return unlessEnded(original, this, arguments);
    },
  }.fetch);
}

function limitAbortSignal(AbortSignal) {
  const original = AbortSignal.timeout;
  AbortSignal.timeout = renamed(original, {
    timeout() {
      op_isopod_room_for_timer();
      return ReflectApply(original, this, arguments);
    },
  }.timeout);
}

// ---- memory that V8 allocates without the worker's allocator

const WASM_PAGE = 64 * 1024;

/**
 * Replaces a built-in method by a proxy, which has its name and length, looks native, and is not a constructor; the
 * property keeps its attributes.
 */
function replaceMethod(prototype, name, apply) {
  const property = ObjectGetOwnPropertyDescriptor(prototype, name);
  const value = new Proxy(property.value, { __proto__: null, apply });
  ObjectDefineProperty(prototype, name, { __proto__: null, ...property, value });
}

function isReceiver(getter, self) {
  try {
    ReflectApply(getter, self, []);
    return true;
  } catch {
    return false;
  }
}

/** https://tc39.es/ecma262/#sec-toprimitive with the hint "number", for an object. */
function toPrimitive(object) {
  const exotic = object[SymbolToPrimitive];
  if (exotic !== undefined && exotic !== null) {
    const primitive = ReflectApply(exotic, object, ["number"]);
    if (!isObject(primitive)) return primitive;
  } else {
    for (const name of new SafeArrayIterator(["valueOf", "toString"])) {
      const method = object[name];
      if (typeof method !== "function") continue;
      const primitive = ReflectApply(method, object, []);
      if (!isObject(primitive)) return primitive;
    }
  }
  throw new TypeError("Cannot convert object to primitive value");
}

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");

/**
 * The argument of a method that grows something: `ask` is called with its numeric value when the method itself converts it,
 * so that it is converted once, and after the receiver has been checked.
 */
function askedWhenConverted(argument, ask) {
  return {
    __proto__: null,
    [SymbolToPrimitive]() {
      const primitive = isObject(argument) ? toPrimitive(argument) : argument;
      ask(typeof primitive === "bigint" ? Number(primitive) : +primitive);
      return primitive;
    },
  };
}

function askForRoom(bytes) {
  if (bytes > 0) op_isopod_room_for_memory(bytes, false);
}

const byteLength = ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "byteLength").get;
const maxByteLength = ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "maxByteLength").get;

replaceMethod(ArrayBufferPrototype, "resize", (resize, buffer, args) => {
  // The method rejects other receivers before it converts anything.
  if (!isReceiver(byteLength, buffer)) return ReflectApply(resize, buffer, args);
  const argument = askedWhenConverted(args[0], (length) => {
    // The method throws a RangeError for a length beyond the maximum.
    if (length > ReflectApply(maxByteLength, buffer, [])) return;
    askForRoom(length - ReflectApply(byteLength, buffer, []));
  });
  return ReflectApply(resize, buffer, [argument]);
});

/** Sizes from which on `grow()` fails with a TypeError, as in https://webassembly.github.io/spec/js-api/. */
const PAGES_END = 2 ** 32;

function limitGrow(prototype) {
  const buffer = ObjectGetOwnPropertyDescriptor(prototype, "buffer").get;
  replaceMethod(prototype, "grow", (grow, memory, args) => {
    if (args.length === 0 || !isReceiver(buffer, memory)) return ReflectApply(grow, memory, args);
    const argument = askedWhenConverted(args[0], (pages) => {
      if (pages < PAGES_END) askForRoom(MathTrunc(pages) * WASM_PAGE);
    });
    return ReflectApply(grow, memory, [argument]);
  });
}

const withoutGrowth = {
  __proto__: null,
  construct(target, args, newTarget) {
    // The length is converted before the options are read.
    const length = isObject(args[0]) ? +toPrimitive(args[0]) : args[0];
    if (isObject(args[1])) {
      // An invalid length is rejected first.
      if (!(+length > -1 && +length < PAGES_END * PAGES_END)) return ReflectConstruct(target, [length], newTarget);
      if (args[1].maxByteLength !== undefined) {
        throw new RangeError("a growable SharedArrayBuffer is not supported: omit maxByteLength");
      }
    }
    return ReflectConstruct(target, [length], newTarget);
  },
};

/**
 * V8 creates these two for each isolate, so this is called when a worker starts. Growable shared buffers are not counted
 * anywhere and therefore disabled; a worker could only share them with itself.
 */
const limitMemory = (function limitMemory(global) {
  const { SharedArrayBuffer, WebAssembly } = global;
  if (WebAssembly !== undefined) limitGrow(WebAssembly.Memory.prototype);
  if (SharedArrayBuffer !== undefined) {
    const value = new Proxy(SharedArrayBuffer, withoutGrowth);
    const property = { __proto__: null, value, configurable: true, enumerable: false, writable: true };
    ObjectDefineProperty(global, "SharedArrayBuffer", property);
    ObjectDefineProperty(SharedArrayBuffer.prototype, "constructor", property);
  }
});

return { limitAbortSignal, limitFetch, limitMemory, limitTimer, renamed };
})();
