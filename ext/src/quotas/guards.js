// Where deno's own scripts make what is not in the heap, they ask for room first. Loaded before any of them, because they take
// their ops when they are loaded.

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

/** The same function, which asks for room first. */
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
      // No timer has this number: what clears it does nothing.
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

// ---- memory that V8 takes without asking the worker's allocator

const WASM_PAGE = 64 * 1024;

/**
 * Stands in for a built-in method. What is a proxy of it has its name and length, looks native, and is no constructor; the
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
 * The argument of a method that grows something: `ask` is called with the number that it becomes, when the method itself converts
 * it. So it is converted once, and after the receiver has been checked.
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
  // Another receiver is refused by the method, before it converts anything.
  if (!isReceiver(byteLength, buffer)) return ReflectApply(resize, buffer, args);
  const argument = askedWhenConverted(args[0], (length) => {
    // What is longer than it may be is a RangeError of the method's.
    if (length > ReflectApply(maxByteLength, buffer, [])) return;
    askForRoom(length - ReflectApply(byteLength, buffer, []));
  });
  return ReflectApply(resize, buffer, [argument]);
});

/** Sizes from here on are refused by `grow()`: by a TypeError, as https://webassembly.github.io/spec/js-api/ has it. */
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
      // A length that is none is refused first.
      if (!(+length > -1 && +length < PAGES_END * PAGES_END)) return ReflectConstruct(target, [length], newTarget);
      if (args[1].maxByteLength !== undefined) {
        throw new RangeError("a growable SharedArrayBuffer is not supported: omit maxByteLength");
      }
    }
    return ReflectConstruct(target, [length], newTarget);
  },
};

/**
 * V8 makes these two for each isolate anew: called when a worker starts. Shared buffers that can grow are counted nowhere, so
 * there are none; a worker could share them with itself only.
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
