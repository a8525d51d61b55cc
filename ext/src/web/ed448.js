// Ed448 for `crypto.subtle`: https://wicg.github.io/webcrypto-secure-curves/#ed448
//
// deno_crypto has Ed25519, whose rules for arguments, usages and formats are the same. A key of Ed448 has a double: a key of
// Ed25519 of the same kind, by which deno_crypto checks the arguments of a method. The bytes are kept and used here.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_base64url_decode,
  op_base64url_encode_from_buffer,
  op_isopod_ed448_public,
  op_isopod_ed448_random,
  op_isopod_ed448_read,
  op_isopod_ed448_sign,
  op_isopod_ed448_verify,
} = core.ops;
const {
  ArrayPrototypeIncludes,
  JSONStringify,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  SafeArrayIterator,
  SafeWeakMap,
  String,
  StringPrototypeToUpperCase,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypeError,
  Uint8Array,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { assertBranded } = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { addKeys } = core.loadExtScript("ext:isopod_web/interfaces.js");
const { copyOfJwk } = core.loadExtScript("ext:isopod_web/keys.js");
const { copyOf, isBufferSource, isJwk, parsed, replace, unwrappedBytes } = core.loadExtScript(
  "ext:isopod_web/subtle.js",
);
const { supportsArguments } = core.loadExtScript("ext:isopod_quotas/cryptography.js");
const { CryptoKey, SubtleCrypto } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const getterOf = (name) => {
  const { get } = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, name);
  return (key) => ReflectApply(get, key, []);
};
const algorithmOf = getterOf("algorithm");
const extractableOf = getterOf("extractable");
const typeOf = getterOf("type");
const usagesOf = getterOf("usages");

const NAME = "Ed448";
const DOUBLE = "Ed25519";
const KEY_BYTES = 57;
const SIGNATURE_BYTES = 114;
/** The bytes before those of a key: RFC 8410, sections 4 and 7. */
const SPKI = new Uint8Array([0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x3a, 0x00]);
const PKCS8 = new Uint8Array([0x30, 0x47, 2, 1, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x04, 0x3b, 0x04, 0x39]);

/** A pair of keys of Ed25519, RFC 8032, section 7.1, test 1: nothing is signed with it. */
const double = {
  __proto__: null,
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
};

/** The methods of deno_crypto. */
const { exportKey: exportPlain, importKey: importPlain } = SubtleCrypto.prototype;
const plain = { __proto__: null, exportKey: exportPlain, importKey: importPlain };

/** The bytes of a key and its double. */
const keys = new SafeWeakMap();
const ownOf = (key) => key !== null && typeof key === "object" ? WeakMapPrototypeGet(keys, key) : undefined;

const dataError = (message) => new DOMException(message, "DataError");
const accessError = (message) => new DOMException(message, "InvalidAccessError");

/** Returns whether a script's algorithm is Ed448. */
function isOurs(algorithm) {
  if (algorithm === null || algorithm === undefined) return false;
  const name = typeof algorithm === "object" || typeof algorithm === "function" ? algorithm.name : algorithm;
  return StringPrototypeToUpperCase(String(name)) === "ED448";
}

function madeKey(bytes, double) {
  const key = make(typeOf(double), extractableOf(double), usagesOf(double));
  WeakMapPrototypeSet(keys, key, { __proto__: null, bytes, double });
  return key;
}

const make = addKeys(NAME, {
  __proto__: null,
  copy(key) {
    const { bytes, double } = ownOf(key);
    return madeKey(bytes, double);
  },
  material(key) {
    const type = typeOf(key);
    return { __proto__: null, type, data: encoded(type === "private" ? PKCS8 : SPKI, ownOf(key).bytes) };
  },
});

function encoded(before, bytes) {
  const whole = new Uint8Array(TypedArrayPrototypeGetByteLength(before) + KEY_BYTES);
  TypedArrayPrototypeSet(whole, before);
  TypedArrayPrototypeSet(whole, bytes, TypedArrayPrototypeGetByteLength(before));
  return whole;
}

function publicOf(bytes) {
  const made = new Uint8Array(KEY_BYTES);
  if (!op_isopod_ed448_public(bytes, made)) throw new DOMException("The key is not valid", "OperationError");
  return made;
}

// ---- generateKey and getPublicKey

async function generateKey(subtle, args, original) {
  const pair = await ReflectApply(original, subtle, [DOUBLE, args[1], args[2]]);
  const bytes = new Uint8Array(KEY_BYTES);
  if (!op_isopod_ed448_random(bytes)) throw new DOMException("There is no randomness", "OperationError");
  return { publicKey: madeKey(publicOf(bytes), pair.publicKey), privateKey: madeKey(bytes, pair.privateKey) };
}

async function getPublicKey(subtle, args, original) {
  const { bytes, double } = ownOf(args[0]);
  return madeKey(publicOf(bytes), await ReflectApply(original, subtle, [double, args[1]]));
}

// ---- importKey

function decodedMember(jwk, member) {
  let bytes;
  try {
    bytes = op_base64url_decode(jwk[member]);
  } catch {
    // Reported below.
  }
  if (bytes === undefined || TypedArrayPrototypeGetByteLength(bytes) !== KEY_BYTES) {
    throw dataError(`the member "${member}" of the key is not one of ${NAME}`);
  }
  return bytes;
}

function bytesOfJwk(jwk) {
  if (jwk.kty !== "OKP" || jwk.crv !== NAME) throw dataError(`the key is not one of ${NAME}`);
  const x = decodedMember(jwk, "x");
  if (jwk.d === undefined) return x;
  const d = decodedMember(jwk, "d");
  const made = publicOf(d);
  for (let i = 0; i < KEY_BYTES; i++) {
    if (made[i] !== x[i]) throw dataError('the public part "x" of the key does not match its private part');
  }
  return d;
}

function bytesOfSource(format, source) {
  const given = copyOf(source);
  if (format === "raw" || format === "raw-public") {
    if (TypedArrayPrototypeGetByteLength(given) !== KEY_BYTES) throw dataError(`a public key of ${NAME} has ${KEY_BYTES} bytes`);
    return given;
  }
  const bytes = new Uint8Array(KEY_BYTES);
  if (!op_isopod_ed448_read(format === "pkcs8", given, bytes)) throw dataError(`the key is not one of ${NAME}`);
  return bytes;
}

/** The data of the double of a key in this format: deno_crypto checks the other arguments by it. */
async function doubleOf(subtle, format, jwk) {
  const d = jwk === undefined && format === "pkcs8" || jwk?.d !== undefined ? double.d : undefined;
  if (jwk !== undefined) return { ...jwk, __proto__: null, crv: jwk.crv === NAME ? DOUBLE : "", x: double.x, d };
  if (format !== "raw" && format !== "raw-public" && format !== "spki" && format !== "pkcs8") return new Uint8Array(0);
  const whole = { __proto__: null, kty: "OKP", crv: DOUBLE, x: double.x, d };
  const key = await ReflectApply(plain.importKey, subtle, ["jwk", whole, DOUBLE, true, [d === undefined ? "verify" : "sign"]]);
  return ReflectApply(plain.exportKey, subtle, [format, key]);
}

async function importKey(subtle, args, original) {
  const format = String(args[0]);
  let keyData = args[1];
  const jwk = format === "jwk" && isJwk(keyData) ? copyOfJwk(keyData) : undefined;
  const isKnown = jwk !== undefined || format !== "jwk" && isBufferSource(keyData);
  if (isKnown) keyData = await doubleOf(subtle, format, jwk);
  const made = await ReflectApply(original, subtle, [format, keyData, DOUBLE, args[3], args[4]]);
  return madeKey(jwk === undefined ? bytesOfSource(format, args[1]) : bytesOfJwk(jwk), made);
}

// ---- exportKey, wrapKey and unwrapKey

const text = (bytes) => op_base64url_encode_from_buffer(bytes, 0, KEY_BYTES);

async function exportKey(subtle, args, original) {
  const format = String(args[0]);
  const { bytes, double } = ownOf(args[1]);
  const made = await ReflectApply(original, subtle, [format, double]);
  switch (format) {
    case "jwk":
      made.crv = NAME;
      made.x = text(typeOf(double) === "private" ? publicOf(bytes) : bytes);
      if (typeOf(double) === "private") made.d = text(bytes);
      return made;
    case "pkcs8":
      return TypedArrayPrototypeGetBuffer(encoded(PKCS8, bytes));
    case "spki":
      return TypedArrayPrototypeGetBuffer(encoded(SPKI, bytes));
    default:
      return TypedArrayPrototypeGetBuffer(copyOf(bytes));
  }
}

/** Wraps the bytes of a key as those of a key that may have any. */
async function wrapKey(subtle, args, original) {
  const format = String(args[0]);
  const data = await exportKey(subtle, [format, args[1]], plain.exportKey);
  const bytes = format === "jwk" ? core.encode(JSONStringify(data)) : data;
  const any = { __proto__: null, name: "HMAC", hash: "SHA-256" };
  const key = await ReflectApply(plain.importKey, subtle, ["raw", bytes, any, true, ["sign"]]);
  return ReflectApply(original, subtle, ["raw", key, args[2], args[3]]);
}

async function unwrapKey(subtle, args) {
  const format = String(args[0]);
  const data = parsed(format, await unwrappedBytes(subtle, args));
  return importKey(subtle, [format, data, args[4], args[5], args[6]], plain.importKey);
}

// ---- sign and verify

/** The bytes of a key for this use. */
function bytesFor(usage, key) {
  if (algorithmOf(key).name !== NAME) throw accessError(`the key is not one of ${NAME}`);
  if (!ArrayPrototypeIncludes(usagesOf(key), usage)) throw accessError(`the key may not be used to ${usage}`);
  return ownOf(key).bytes;
}

function bufferOf(value, what) {
  if (!isBufferSource(value)) throw new TypeError(`${what} is not an ArrayBuffer or a view of one`);
  return copyOf(value);
}

function sign(args) {
  const data = bufferOf(args[2], "data");
  const signature = new Uint8Array(SIGNATURE_BYTES);
  if (!op_isopod_ed448_sign(bytesFor("sign", args[1]), data, signature)) {
    throw new DOMException("Signing failed", "OperationError");
  }
  return TypedArrayPrototypeGetBuffer(signature);
}

function verify(args) {
  const signature = bufferOf(args[2], "signature");
  const data = bufferOf(args[3], "data");
  return op_isopod_ed448_verify(bytesFor("verify", args[1]), data, signature);
}

// ---- the methods

const { supports } = SubtleCrypto;
/** Replaces a method for calls that are ours; `act` gets the object, the arguments and the method so far. */
function extend(name, count, isForUs, act) {
  replace(name, (subtle, args, original) => {
    if (args.length < count || !isForUs(args)) return ReflectApply(original, subtle, args);
    assertBranded(subtle, SubtleCrypto.prototype);
    return act(subtle, args, original);
  });
}

extend("generateKey", 3, (args) => isOurs(args[0]), generateKey);
extend("importKey", 5, (args) => isOurs(args[2]), importKey);
extend("exportKey", 2, (args) => ownOf(args[1]) !== undefined, exportKey);
extend("getPublicKey", 2, (args) => ownOf(args[0]) !== undefined, getPublicKey);
extend("wrapKey", 4, (args) => ownOf(args[1]) !== undefined, wrapKey);
extend("unwrapKey", 7, (args) => isOurs(args[4]), unwrapKey);
extend("sign", 3, (args) => isOurs(args[0]), (_, args) => sign(args));
extend("verify", 4, (args) => isOurs(args[0]), (_, args) => verify(args));

const withDouble = (args) => {
  for (const place of new SafeArrayIterator([1, 2])) if (isOurs(args[place])) args[place] = DOUBLE;
  return args;
};
const supportsOurs = {
  supports(...args) {
    // Too few arguments are the method's error.
    const converted = args.length < 2 ? args : supportsArguments(args);
    return converted !== undefined && ReflectApply(supports, SubtleCrypto, withDouble(converted));
  },
}.supports;
ObjectDefineProperty(supportsOurs, "length", { __proto__: null, value: supports.length, configurable: true });
ObjectDefineProperty(SubtleCrypto, "supports", {
  __proto__: null,
  ...ObjectGetOwnPropertyDescriptor(SubtleCrypto, "supports"),
  value: supportsOurs,
});
// When a worker first loads a script that is not in the snapshot, deno_core sets the fast functions of the classes that it finds
// here once more, over what replaces them.
delete Deno.core.ops.SubtleCrypto;
})();
