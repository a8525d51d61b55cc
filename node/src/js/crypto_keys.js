// The ops on keys that the borrowed scripts of `node:crypto` call. A script can reach the handle of a key, so the handle hides
// the object for the ops, and arguments that an op does not check are checked here.

(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const { byteLengthOf } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayBuffer,
  Error,
  SafeArrayIterator,
  StringPrototypeStartsWith,
  TypeError,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;

const own = {};
let nativeOf, secretOf;

/** A key: the object of an op, or the bytes of a secret. */
class KeyHandle {
  #native;
  #secret;
  /** Stands for the memory of the key outside the heap, which V8 does not count. */
  #weight;

  constructor(key, native, secret) {
    if (key !== own) throw new TypeError("Illegal constructor");
    this.#native = native;
    this.#secret = secret;
    this.#weight = native === undefined ? undefined : new ArrayBuffer(weightOf(native));
  }

  static {
    nativeOf = (handle) => handle.#native;
    secretOf = (handle) => handle.#secret;
  }
}

const SMALL_KEY_BYTES = 512;
const PUBLIC_KEY_BYTES = 1024;
const PRIVATE_KEY_BYTES = 6 * 1024;

/** Keys of RSA and DSA are several long numbers. */
function weightOf(native) {
  const type = ops.op_node_get_asymmetric_key_type(native);
  if (!StringPrototypeStartsWith(type, "rsa") && type !== "dsa" && type !== "dh") return SMALL_KEY_BYTES;
  return ops.op_node_key_type(native) === "private" ? PRIVATE_KEY_BYTES : PUBLIC_KEY_BYTES;
}

const wrapped = (native) => new KeyHandle(own, native, undefined);

function secretHandle(bytes) {
  const copy = new Uint8Array(byteLengthOf(bytes));
  TypedArrayPrototypeSet(copy, bytes);
  return new KeyHandle(own, undefined, copy);
}

/** The bytes of a secret key. */
function secretBytes(handle) {
  const secret = secretOf(handle);
  if (secret === undefined) throw new TypeError("key is not a secret key");
  return secret;
}

const onKey = (name) => (handle, ...args) => ops[name](nativeOf(handle), ...new SafeArrayIterator(args));

// ---- signatures over a whole message

const textOrBytes = (data) => typeof data === "string" ? core.encode(data) : data;

/** Returns an op that fills a signature of exactly this length. */
const signer = (name, length) => (handle, data, signature) => {
  const bytes = new Uint8Array(length);
  ops[name](nativeOf(handle), textOrBytes(data), bytes);
  TypedArrayPrototypeSet(signature, bytes);
};

const verifier = (name) => (handle, data, signature) =>
  ops[name](nativeOf(handle), textOrBytes(data), textOrBytes(signature));

// ---- new keys

const pairOf = (privateKey, publicKey) => ({ __proto__: null, privateKey, publicKey });

const borrowedPair = (name) => (...args) => {
  const pair = ops[name](...new SafeArrayIterator(args));
  return pairOf(
    wrapped(ops.op_node_get_private_key_from_pair(pair)),
    wrapped(ops.op_node_get_public_key_from_pair(pair)),
  );
};

const rsaPair = (name) => (...args) => {
  const native = ops[name](...new SafeArrayIterator(args));
  return pairOf(wrapped(native), wrapped(ops.op_node_derive_public_key_from_private_key(native)));
};

function refused(what, instead) {
  return () => {
    const error = new Error(`${what} cannot be generated in workers; ${instead}`);
    error.code = "ERR_METHOD_NOT_IMPLEMENTED";
    throw error;
  };
}

function generateSecret(length) {
  const bytes = new Uint8Array(length);
  core.loadExtScript("ext:isopod_node/crypto_ops.js").fillRandom(bytes);
  return new KeyHandle(own, undefined, bytes);
}

const generators = {
  __proto__: null,
  op_node_generate_dh_group_key: borrowedPair("op_node_generate_dh_group_key"),
  op_node_generate_dh_key: refused("Diffie-Hellman keys with a prime of their own", "name a group, such as modp14"),
  op_node_generate_dsa_key: refused("DSA keys", "use an elliptic curve or Ed25519"),
  op_node_generate_ec_key: borrowedPair("op_node_generate_ec_key"),
  op_node_generate_ed25519_key: borrowedPair("op_node_generate_ed25519_key"),
  op_node_generate_ed448_key: borrowedPair("op_node_generate_ed448_key"),
  op_node_generate_rsa_key: rsaPair("op_isopod_generate_rsa"),
  op_node_generate_rsa_pss_key: rsaPair("op_isopod_generate_rsa_pss"),
  op_node_generate_secret_key: generateSecret,
  op_node_generate_x25519_key: borrowedPair("op_node_generate_x25519_key"),
  op_node_generate_x448_key: borrowedPair("op_node_generate_x448_key"),
};

const keyOps = {
  __proto__: null,
  ...generators,
  op_node_create_ec_jwk: (jwk, isPublic) => wrapped(ops.op_node_create_ec_jwk(jwk, isPublic)),
  op_node_create_ed_raw: (curve, key, isPublic) => wrapped(ops.op_isopod_edwards_key(curve, key, isPublic)),
  op_node_create_private_key: (key, format, type, passphrase) =>
    wrapped(ops.op_isopod_private_key(key, format, type, passphrase)),
  op_node_create_public_key: (key, format, type, passphrase) =>
    wrapped(ops.op_isopod_public_key(key, format, type, passphrase)),
  op_node_create_rsa_jwk: (jwk, isPublic) => wrapped(ops.op_isopod_rsa_jwk(jwk, isPublic)),
  op_node_create_secret_key: secretHandle,
  op_node_derive_public_key_from_private_key: (handle) =>
    wrapped(ops.op_node_derive_public_key_from_private_key(nativeOf(handle))),
  op_node_diffie_hellman: (one, other) => ops.op_node_diffie_hellman(nativeOf(one), nativeOf(other)),
  op_node_export_private_key_der: onKey("op_node_export_private_key_der"),
  op_node_export_private_key_jwk: onKey("op_node_export_private_key_jwk"),
  op_node_export_private_key_pem: onKey("op_node_export_private_key_pem"),
  op_node_export_public_key_der: onKey("op_node_export_public_key_der"),
  op_node_export_public_key_jwk: onKey("op_node_export_public_key_jwk"),
  op_node_export_public_key_pem: onKey("op_node_export_public_key_pem"),
  op_node_export_secret_key(handle) {
    const secret = secretBytes(handle);
    const copy = new Uint8Array(byteLengthOf(secret));
    TypedArrayPrototypeSet(copy, secret);
    return copy;
  },
  op_node_export_secret_key_b64url(handle) {
    const secret = secretBytes(handle);
    return ops.op_base64url_encode_from_buffer(secret, 0, byteLengthOf(secret));
  },
  // Some kinds of keys have no details.
  op_node_get_asymmetric_key_details: (handle) =>
    ops.op_node_get_asymmetric_key_details(nativeOf(handle)) ?? { __proto__: null },
  op_node_get_asymmetric_key_type: onKey("op_node_get_asymmetric_key_type"),
  op_node_get_private_key_from_pair: (pair) => pair.privateKey,
  op_node_get_public_key_from_pair: (pair) => pair.publicKey,
  op_node_get_symmetric_key_size: (handle) => byteLengthOf(secretBytes(handle)),
  op_node_key_equals(one, other) {
    const secrets = [secretOf(one), secretOf(other)];
    if (secrets[0] !== undefined && secrets[1] !== undefined) return ops.op_isopod_is_equal(secrets[0], secrets[1]);
    if (secrets[0] !== undefined || secrets[1] !== undefined) return false;
    return ops.op_node_key_equals(nativeOf(one), nativeOf(other));
  },
  op_node_key_type: (handle) => secretOf(handle) === undefined ? ops.op_node_key_type(nativeOf(handle)) : "secret",
  op_node_sign: onKey("op_isopod_sign"),
  op_node_sign_ed25519: signer("op_node_sign_ed25519", 64),
  op_node_sign_ed448: signer("op_node_sign_ed448", 114),
  op_node_verify: onKey("op_isopod_verify"),
  op_node_verify_ed25519: verifier("op_node_verify_ed25519"),
  op_node_verify_ed448: verifier("op_node_verify_ed448"),
};

// The asynchronous forms run on the worker's thread too, where the CPU limit applies.
for (const name in generators) {
  const generate = generators[name];
  keyOps[`${name}_async`] = async (...args) => generate(...new SafeArrayIterator(args));
}

return { keyOps, nativeOf, secretBytes, wrapped };
})();
