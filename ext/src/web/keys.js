// Rejects imported keys with inconsistent parts: https://w3c.github.io/webcrypto/
//
// deno_crypto trusts a private key's public part, and does not check whether a point is on its curve. The imported keys
// are checked here, with the same functions.

(function () {
const { core, primordials } = __bootstrap;
const { op_base64url_decode } = core.ops;
const {
  ArrayPrototypeMap,
  BigInt,
  NumberPrototypeToString,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  SafeArrayIterator,
  SafeSet,
  String,
  StringPrototypePadStart,
  TypedArrayPrototypeGetByteLength,
} = primordials;
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { converters } = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { askForText, COPY } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { isJwk, parsed, replace, unwrappedBytes } = core.loadExtScript("ext:isopod_web/subtle.js");
const { SubtleCrypto, CryptoKey } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const { exportKey, importKey, unwrapKey } = SubtleCrypto.prototype;
const algorithmOf = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, "algorithm").get;
const usagesOf = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, "usages").get;

/** Longer numbers of an RSA key are rejected, because multiplying them takes too long. */
const RSA_BYTES_MAX = 16_384 / 8;

/** NIST SP 800-186, section 3.2.1: y^2 = x^3 - 3x + b modulo p. */
const curves = {
  __proto__: null,
  "P-256": {
    bytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  "P-384": {
    bytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  "P-521": {
    bytes: 66,
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
};

const dataError = (message) => new DOMException(message, "DataError");

// ---- the parts of a JSON Web Key

/** The members of the dictionary, in the order in which Web IDL reads them. */
const members = [
  "alg", "crv", "d", "dp", "dq", "e", "ext", "k", "key_ops", "kty", "n", "oth", "p", "priv", "pub", "q", "qi", "use", "x", "y",
];

/** A string of a key, which is copied and decoded several times. */
function textOf(value) {
  const text = converters.DOMString(value);
  askForText(text, COPY, 4);
  return text;
}

/** Read once, because a getter might return another value the next time. */
function copyOfJwk(jwk) {
  const copy = { __proto__: null };
  for (const member of new SafeArrayIterator(members)) {
    const value = jwk[member];
    if (value === undefined) continue;
    if (member === "key_ops") copy[member] = converters["sequence<DOMString>"](value);
    else if (member === "ext") copy[member] = !!value;
    // What is in it does not matter: such keys are rejected.
    else if (member === "oth") copy[member] = [];
    else copy[member] = textOf(value);
  }
  return copy;
}

function bytesOf(jwk, member) {
  const text = jwk[member];
  try {
    if (text !== undefined) return op_base64url_decode(text);
  } catch {
    // Reported below.
  }
  throw dataError(`the member "${member}" of the key is ${text === undefined ? "missing" : "not base64url"}`);
}

function numberOf(jwk, member) {
  const bytes = bytesOf(jwk, member);
  if (TypedArrayPrototypeGetByteLength(bytes) > RSA_BYTES_MAX) throw dataError(`the member "${member}" of the key is too long`);
  return numberFrom(bytes);
}

function numberFrom(bytes) {
  let digits = "0x0";
  for (let i = 0; i < TypedArrayPrototypeGetByteLength(bytes); i++) {
    digits += StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, "0");
  }
  return BigInt(digits);
}

function isSame(one, other) {
  const length = TypedArrayPrototypeGetByteLength(one);
  if (length !== TypedArrayPrototypeGetByteLength(other)) return false;
  for (let i = 0; i < length; i++) if (one[i] !== other[i]) return false;
  return true;
}

// ---- consistency of the parts

/** Derives the public part from the private one, and compares it with the key's. */
async function checkPair(subtle, key, jwk, names) {
  const { key_ops: _, ext: __, ...free } = jwk;
  const made = await ReflectApply(importKey, subtle, [
    "jwk",
    { ...free, __proto__: null },
    ReflectApply(algorithmOf, key, []),
    true,
    ReflectApply(usagesOf, key, []),
  ]);
  const own = await ReflectApply(exportKey, subtle, ["jwk", made]);
  for (const name of new SafeArrayIterator(names)) {
    if (!isSame(bytesOf(own, name), bytesOf(jwk, name))) {
      throw dataError(`the public part "${name}" of the key does not match its private part`);
    }
  }
}

function checkPoint({ p, b }, x, y) {
  if (x >= p || y >= p || (y * y - (x * x * x - 3n * x + b)) % p !== 0n) {
    throw dataError("the public part of the key is not on its curve");
  }
}

async function checkCurve(subtle, key, jwk) {
  const { namedCurve } = ReflectApply(algorithmOf, key, []);
  if (jwk.crv !== namedCurve) throw dataError(`the key is for the curve "${jwk.crv}", not "${namedCurve}"`);
  const curve = curves[namedCurve];
  // RFC 7518, section 6.2: each has the full length of a coordinate.
  for (const member of new SafeArrayIterator(jwk.d === undefined ? ["x", "y"] : ["d", "x", "y"])) {
    if (TypedArrayPrototypeGetByteLength(bytesOf(jwk, member)) !== curve.bytes) {
      throw dataError(`the member "${member}" of the key does not have the length of its curve`);
    }
  }
  checkPoint(curve, numberOf(jwk, "x"), numberOf(jwk, "y"));
  if (jwk.d !== undefined) await checkPair(subtle, key, jwk, ["x", "y"]);
}

/** RFC 8017, sections 3.1 and 3.2: the modulus is a product of odd primes, and the exponent is odd as well. */
function checkRsa(jwk) {
  const { 0: n, 1: e } = ArrayPrototypeMap(["n", "e"], (part) => numberOf(jwk, part));
  if (n % 2n === 0n || e % 2n === 0n || e < 3n || e >= n) throw dataError("the modulus or the exponent of the RSA key is invalid");
  if (jwk.d === undefined) return;
  const parts = ["d", "p", "q", "dp", "dq", "qi"];
  const { 0: d, 1: p, 2: q, 3: dp, 4: dq, 5: qi } = ArrayPrototypeMap(parts, (part) => numberOf(jwk, part));
  const belong = p > 1n && q > 1n && n === p * q && (d * e) % (p - 1n) === 1n && (d * e) % (q - 1n) === 1n &&
    dp === d % (p - 1n) && dq === d % (q - 1n) && (qi * q) % p === 1n;
  if (!belong) throw dataError("the numbers of the RSA key are inconsistent");
}

async function checkJwk(subtle, key, jwk) {
  const { key_ops: operations } = jwk;
  // RFC 7517, section 4.3.
  if (operations !== undefined && new SafeSet(operations).size !== operations.length) {
    throw dataError('the member "key_ops" of the key contains an operation twice');
  }
  switch (jwk.kty) {
    case "EC":
      return checkCurve(subtle, key, jwk);
    case "OKP":
      if (jwk.d !== undefined) return checkPair(subtle, key, jwk, ["x"]);
      return;
    case "AKP":
      if (jwk.priv !== undefined) return checkPair(subtle, key, jwk, ["pub"]);
      return;
    case "RSA":
      checkRsa(jwk);
  }
}

/** Checks a key imported from bytes like one imported from JSON. */
async function checkBytes(subtle, format, keyData, key) {
  const algorithm = ReflectApply(algorithmOf, key, []);
  const isCurve = algorithm.namedCurve !== undefined;
  if (!isCurve && algorithm.modulusLength === undefined) return;
  const args = [format, keyData, algorithm, true, ReflectApply(usagesOf, key, [])];
  const jwk = await ReflectApply(exportKey, subtle, ["jwk", await ReflectApply(importKey, subtle, args)]);
  if (isCurve) return checkPoint(curves[algorithm.namedCurve], numberOf(jwk, "x"), numberOf(jwk, "y"));
  checkRsa(jwk);
}

async function importChecked(subtle, args) {
  const isKey = isJwk(args[1]);
  if (isKey) args[1] = copyOfJwk(args[1]);
  const jwk = isKey && args[0] === "jwk";
  const key = await ReflectApply(importKey, subtle, args);
  try {
    if (jwk) await checkJwk(subtle, key, args[1]);
    else await checkBytes(subtle, args[0], args[1], key);
  } catch (error) {
    // A key that can be imported but not used is invalid.
    throw error.name === "OperationError" ? dataError(error.message) : error;
  }
  return key;
}

async function unwrapChecked(subtle, args) {
  if (args.length < 7 || String(args[0]) !== "jwk") return ReflectApply(unwrapKey, subtle, args);
  // It reports errors in the arguments.
  await ReflectApply(unwrapKey, subtle, args);
  const jwk = parsed("jwk", await unwrappedBytes(subtle, args));
  return importChecked(subtle, ["jwk", jwk, args[4], args[5], args[6]]);
}

replace("importKey", importChecked);
replace("unwrapKey", unwrapChecked);

return { copyOfJwk };
})();
