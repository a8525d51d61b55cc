// Limits on cryptography, which copies its inputs and runs outside of the CPU limit.
//
// Arguments are converted here, as Web IDL says. deno_crypto's ops convert them too, and what a script's `toString` or getter calls
// meanwhile would be an op within an op, for which deno_core aborts in builds with debug assertions.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_begin_op, op_isopod_check_key, op_isopod_end_op, op_isopod_room_for_memory } = core.ops;
const { unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { byteLengthOf, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { renamed } = core.loadExtScript("ext:isopod_quotas/guards.js");
const { converters } = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const {
  MathCeil,
  ObjectDefineProperty,
  ReflectApply,
  SafeArrayIterator,
  StringPrototypeToUpperCase,
} = primordials;

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");

/** The members of an algorithm. Read once, because a getter might return another value the next time. */
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
  "iv",
  "additionalData",
  "tagLength",
  "counter",
  "label",
  "saltLength",
  "context",
  "customization",
  "functionName",
  "outputLength",
  "domainSeparation",
];

const numbers = [
  "iterations",
  "modulusLength",
  "length",
  "outputLength",
  "tagLength",
  "saltLength",
  "domainSeparation",
];

/** Bits per block of PBKDF2, by hash; each block takes all iterations. */
const blockBits = { __proto__: null, "SHA-1": 160, "SHA-256": 256, "SHA-384": 384, "SHA-512": 512 };

function copiedAlgorithm(algorithm) {
  if (!isObject(algorithm)) return algorithm;
  const copy = { __proto__: null };
  for (const member of new SafeArrayIterator(members)) {
    const value = algorithm[member];
    if (value !== undefined) copy[member] = value;
  }
  for (const member of new SafeArrayIterator(numbers)) {
    if (copy[member] !== undefined) copy[member] = +copy[member];
  }
  copy.name = textOf(copy.name);
  copy.namedCurve = textOf(copy.namedCurve);
  if (isObject(copy.hash)) copy.hash = { __proto__: null, name: textOf(copy.hash.name) };
  return copy;
}

/** The parameters of Argon2, which only `supports` looks at. */
const costs = ["memory", "passes", "parallelism"];

/** The arguments of `SubtleCrypto.supports`, converted. `undefined`: an algorithm cannot be, and is not supported. */
function supportsArguments(args) {
  const converted = [textOf(args[0])];
  try {
    for (let i = 1; i < args.length && i < 3; i++) {
      const copy = copiedAlgorithm(args[i]);
      if (isObject(copy)) {
        for (const cost of new SafeArrayIterator(costs)) {
          const value = args[i][cost];
          if (value !== undefined) copy[cost] = +value;
        }
      }
      converted[i] = copy;
    }
  } catch {
    return undefined;
  }
  return converted;
}

/** Other values are converted by the op, without calls of a script's code. */
const textOf = (value) => isObject(value) ? `${value}` : value;

/** Rejects key derivations that take too long, because no CPU limit applies. `bits`: the derived length. */
function checkCost({ hash, iterations, modulusLength }, bits) {
  if (iterations === undefined && modulusLength === undefined) return;
  const name = isObject(hash) ? hash.name : hash;
  const block = typeof name === "string" ? blockBits[StringPrototypeToUpperCase(name)] : undefined;
  const blocks = MathCeil(clamped(bits) / (block ?? 160));
  op_isopod_check_key(clamped(iterations * (blocks > 1 ? blocks : 1)), clamped(modulusLength));
}

// Values that are not numbers are rejected by the following conversion.
function clamped(number) {
  return number > 0 ? (number < 0xffffffff ? number : 0xffffffff) : 0;
}

/** Bytes that an operation copies of an algorithm's buffers, and bytes of its result. */
function bytesOfAlgorithm(algorithm) {
  if (!isObject(algorithm)) return 0;
  let bytes = MathCeil((clamped(algorithm.length) + clamped(algorithm.outputLength)) / 8);
  for (const member of new SafeArrayIterator(members)) bytes += byteLengthOf(algorithm[member]);
  return bytes;
}

function byteLengths(args) {
  let bytes = 0;
  for (let i = 0; i < args.length; i++) {
    bytes += byteLengthOf(args[i]);
  }
  return bytes;
}

/** The positions of key usages among the arguments of a method. */
const usagesAt = {
  __proto__: null,
  decapsulateKey: 5,
  deriveKey: 4,
  encapsulateKey: 4,
  generateKey: 2,
  getPublicKey: 1,
  importKey: 4,
  unwrapKey: 6,
};

/** Methods whose first argument is a format. */
const formats = { __proto__: null, exportKey: true, importKey: true, unwrapKey: true, wrapKey: true };

/** The positions of algorithms among the arguments of a method. */
const algorithmsAt = {
  __proto__: null,
  decapsulateKey: [0, 3],
  deriveKey: [0, 2],
  encapsulateKey: [0, 2],
  exportKey: [],
  getPublicKey: [],
  importKey: [2],
  unwrapKey: [3, 4],
  wrapKey: [3],
};

function limitCryptography(prototype) {
  for (
    const name of new SafeArrayIterator([
      "decapsulateBits",
      "decapsulateKey",
      "decrypt",
      "deriveBits",
      "deriveKey",
      "digest",
      "encapsulateBits",
      "encapsulateKey",
      "encrypt",
      "exportKey",
      "generateKey",
      "getPublicKey",
      "importKey",
      "sign",
      "unwrapKey",
      "verify",
      "wrapKey",
    ])
  ) {
    const original = prototype[name];
    if (original === undefined) continue;
    const places = algorithmsAt[name] ?? [0];
    const begin = async function (...args) {
      let bytes = byteLengths(args);
      if (formats[name]) args[0] = textOf(args[0]);
      const usages = usagesAt[name];
      if (usages !== undefined && isObject(args[usages])) {
        args[usages] = converters["sequence<DOMString>"](args[usages], `Failed to execute '${name}' on 'SubtleCrypto'`);
      }
      for (const place of new SafeArrayIterator(places)) {
        if (place < args.length) args[place] = copiedAlgorithm(args[place]);
        bytes += bytesOfAlgorithm(args[place]);
      }
      let bits;
      if (name === "deriveBits") bits = args[2] === null || args[2] === undefined ? 0 : args[2] = +args[2];
      else if (name === "deriveKey") bits = isObject(args[2]) ? args[2].length : 0;
      if (isObject(args[0])) checkCost(args[0], bits);
      // The input is copied, and the result is another copy.
      bytes = 2 * (bytes + MathCeil(clamped(bits) / 8));
      if (bytes > LARGE_BYTES) op_isopod_room_for_memory(bytes, false);
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

return { limitCryptography, supportsArguments };
})();
