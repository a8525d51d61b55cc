// Where deno's own scripts make what is not in the heap, they ask for room first. Loaded before any of them, because they take
// their ops when they are loaded.

(function () {
const { core, primordials } = __bootstrap;
const { ops, isAnyArrayBuffer } = core;
const {
  op_isopod_begin_op,
  op_isopod_check_key,
  op_isopod_end_op,
  op_isopod_hold,
  op_isopod_release,
  op_isopod_room_for_blob,
  op_isopod_room_for_handle,
  op_isopod_room_for_memory,
  op_isopod_room_for_timer,
} = ops;
const { hasEnded, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const {
  ArrayBufferIsView,
  ArrayBufferPrototype,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  Proxy,
  RangeError,
  ReflectApply,
  ReflectConstruct,
  SafeArrayIterator,
  SafeFinalizationRegistry,
  SafeWeakMap,
  TypedArrayPrototypeGetByteLength,
  WeakMapPrototypeDelete,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

/** Has `check` called with the arguments of an op before the op. */
function before(name, check) {
  const op = ops[name];
  ops[name] = (...args) => {
    ReflectApply(check, undefined, args);
    return ReflectApply(op, undefined, args);
  };
}

for (
  const name of new SafeArrayIterator([
    "op_readable_stream_resource_allocate",
    "op_readable_stream_resource_allocate_sized",
    "op_message_port_create_entangled",
    "op_blob_create_object_url",
  ])
) {
  before(name, () => op_isopod_room_for_handle());
}
before("op_blob_create_part", (data) => op_isopod_room_for_blob(TypedArrayPrototypeGetByteLength(data)));

// ---- compressors, which hold windows and tables

const KIB = 1024;

/** What one holds, roughly: the window of its format, its tables, its buffers. */
function compressorBytes(format, isDecoder) {
  if (format === "brotli") return 4096 * KIB;
  return (isDecoder ? 64 : 320) * KIB;
}

const compressors = new SafeWeakMap();
const abandoned = new SafeFinalizationRegistry((bytes) => op_isopod_release(bytes));

const newCompressor = ops.op_compression_new;
ops.op_compression_new = (format, isDecoder) => {
  const bytes = compressorBytes(format, isDecoder);
  op_isopod_hold(bytes);
  let compressor;
  try {
    compressor = newCompressor(format, isDecoder);
  } catch (error) {
    op_isopod_release(bytes);
    throw error;
  }
  WeakMapPrototypeSet(compressors, compressor, bytes);
  abandoned.register(compressor, bytes, compressor);
  return compressor;
};
before("op_compression_finish", (compressor) => {
  const bytes = WeakMapPrototypeGet(compressors, compressor);
  if (bytes === undefined) return;
  WeakMapPrototypeDelete(compressors, compressor);
  abandoned.unregister(compressor);
  op_isopod_release(bytes);
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

// ---- cryptography, which copies what it works on and runs where no CPU limit sees it

/** What an algorithm of a derivation or a new key may say. Read once: a getter might give another answer the next time. */
const members = [
  "name",
  "hash",
  "salt",
  "iterations",
  "info",
  "public",
  "length",
  "modulusLength",
  "publicExponent",
  "namedCurve",
];

function checkedAlgorithm(algorithm) {
  if (algorithm === null || typeof algorithm !== "object") return algorithm;
  const copy = { __proto__: null };
  for (const member of new SafeArrayIterator(members)) {
    const value = algorithm[member];
    if (value !== undefined) copy[member] = value;
  }
  for (const member of new SafeArrayIterator(["iterations", "modulusLength"])) {
    if (copy[member] !== undefined) copy[member] = +copy[member];
  }
  op_isopod_check_key(clamped(copy.iterations), clamped(copy.modulusLength));
  return copy;
}

// What is no number is refused by the conversion that follows.
function clamped(number) {
  return number > 0 ? (number < 0xffffffff ? number : 0xffffffff) : 0;
}

function byteLengths(args) {
  let bytes = 0;
  for (let i = 0; i < args.length; i++) {
    if (ArrayBufferIsView(args[i]) || isAnyArrayBuffer(args[i])) bytes += args[i].byteLength;
  }
  return bytes;
}

function limitCryptography(prototype) {
  for (
    const name of new SafeArrayIterator([
      "decrypt",
      "deriveBits",
      "deriveKey",
      "digest",
      "encrypt",
      "exportKey",
      "generateKey",
      "importKey",
      "sign",
      "unwrapKey",
      "verify",
      "wrapKey",
    ])
  ) {
    const original = prototype[name];
    const costly = name === "deriveBits" || name === "deriveKey" || name === "generateKey";
    const begin = async function (...args) {
      if (costly) args[0] = checkedAlgorithm(args[0]);
      const bytes = byteLengths(args);
      op_isopod_begin_op(bytes);
      try {
        return await ReflectApply(original, this, args);
      } finally {
        op_isopod_end_op(bytes);
      }
    };
    const limited = {
      method() {
        return unlessEnded(begin, this, arguments);
      },
    }.method;
    ObjectDefineProperty(prototype, name, {
      __proto__: null,
      value: renamed(original, limited),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
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

const WASM_PAGE = 64 * KIB;

/** Has a method ask for room first: `more` says for how much. */
function limitGrowth(prototype, name, more) {
  const original = prototype[name];
  const limited = {
    method() {
      const bytes = more(this, arguments[0]);
      if (bytes > 0) op_isopod_room_for_memory(bytes);
      return ReflectApply(original, this, arguments);
    },
  }.method;
  ObjectDefineProperty(prototype, name, {
    __proto__: null,
    value: renamed(original, limited),
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

const byteLength = ObjectGetOwnPropertyDescriptor(ArrayBufferPrototype, "byteLength").get;

/** How much longer it becomes; nothing where it is no buffer, which the method itself says. */
function longer(buffer, length) {
  try {
    return +length - ReflectApply(byteLength, buffer, []);
  } catch {
    return 0;
  }
}

limitGrowth(ArrayBufferPrototype, "resize", longer);

const withoutGrowth = {
  __proto__: null,
  construct(target, args, newTarget) {
    if (args[1]?.maxByteLength !== undefined) {
      throw new RangeError("a SharedArrayBuffer that can grow is not supported: leave out maxByteLength");
    }
    return ReflectConstruct(target, [args[0]], newTarget);
  },
};

/**
 * V8 makes these two for each isolate anew: called when a worker starts. Shared buffers that can grow are counted nowhere, so
 * there are none; a worker could share them with itself only.
 */
const limitMemory = (function limitMemory(global) {
  const { SharedArrayBuffer, WebAssembly } = global;
  if (WebAssembly !== undefined) {
    limitGrowth(WebAssembly.Memory.prototype, "grow", (_, pages) => +pages * WASM_PAGE);
  }
  if (SharedArrayBuffer !== undefined) {
    const value = new Proxy(SharedArrayBuffer, withoutGrowth);
    const property = { __proto__: null, value, configurable: true, enumerable: false, writable: true };
    ObjectDefineProperty(global, "SharedArrayBuffer", property);
    ObjectDefineProperty(SharedArrayBuffer.prototype, "constructor", property);
  }
});

return { limitAbortSignal, limitCryptography, limitFetch, limitMemory, limitTimer };
})();
