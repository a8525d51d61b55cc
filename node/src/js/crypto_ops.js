// The other ops that the borrowed scripts of `node:crypto` call, with limits on time and memory.

(function () {
const { core, primordials } = __bootstrap;
const { isArrayBuffer, ops } = core;
const { askForText, byteLengthOf, COPY, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { nativeOf, secretBytes, wrapped } = core.loadExtScript("ext:isopod_node/crypto_keys.js");
const {
  ArrayBuffer,
  ArrayBufferIsView,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteOffset,
  MathCeil,
  MathMin,
  ObjectFreeze,
  RangeError,
  SafeArrayIterator,
  SafeFinalizationRegistry,
  StringPrototypeCharCodeAt,
  StringPrototypeSlice,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  Uint8Array,
} = primordials;

const own = {};

/** Maximum number of bytes per op, because native code cannot be interrupted. */
const STEP_BYTES = 1024 * 1024;
const STEP_CHARACTERS = STEP_BYTES / 4;

/** Returns a part of a view or buffer, even if a script has replaced its properties. */
function partOf(value, start, length) {
  if (isArrayBuffer(value)) return new Uint8Array(value, start, length);
  if (!ArrayBufferIsView(value)) throw new TypeError("expected a buffer");
  return TypedArrayPrototypeGetSymbolToStringTag(value) === undefined
    ? new Uint8Array(DataViewPrototypeGetBuffer(value), DataViewPrototypeGetByteOffset(value) + start, length)
    : new Uint8Array(TypedArrayPrototypeGetBuffer(value), TypedArrayPrototypeGetByteOffset(value) + start, length);
}

/** Calls `run` with the start and length of each step, and stops when it returns false. */
function inSteps(length, run) {
  for (let at = 0; at < length; at += STEP_BYTES) {
    if (!run(at, MathMin(STEP_BYTES, length - at))) return false;
  }
  return true;
}

function checkLength(value, most, what) {
  const length = typeof value === "string" ? value.length : byteLengthOf(value);
  if (length > most) throw new RangeError(`${what} of ${length} bytes is above the limit of ${most}`);
}

// ---- random numbers

function fillRandom(buffer) {
  inSteps(byteLengthOf(buffer), (at, length) => {
    ops.op_node_fill_random(partOf(buffer, at, length));
    return true;
  });
}

const randomOps = {
  __proto__: null,
  op_node_fill_random: fillRandom,
  async op_node_fill_random_async(length) {
    const bytes = new Uint8Array(length);
    fillRandom(bytes);
    return bytes;
  },
  op_node_random_int(min, max) {
    if (!(min < max)) throw new RangeError("the range of random numbers is empty");
    return ops.op_node_random_int(min, max);
  },
};

// ---- digests

/** Maximum length of a digest of variable length. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
/** Size of the state of a digest. */
const HASHER_BYTES = 256;

let hasherOf;

class Hasher {
  #native;
  /** Stands for the memory of the state outside the heap, which V8 does not count. */
  #weight;

  constructor(key, native, outputLength) {
    if (key !== own) throw new TypeError("Illegal constructor");
    this.#native = native;
    this.#weight = new ArrayBuffer(HASHER_BYTES + (outputLength ?? 0));
  }

  static {
    hasherOf = (hasher) => hasher.#native;
  }
}
ObjectFreeze(Hasher.prototype);

function newHasher(native, outputLength) {
  return native === null ? null : new Hasher(own, native, outputLength);
}

function checkOutput(length) {
  if (length > OUTPUT_BYTES_MAX) {
    throw new RangeError(`a digest of ${length} bytes is above the limit of ${OUTPUT_BYTES_MAX}`);
  }
}

/** Returns whether a surrogate pair starts at this index. */
function isPair(text, at) {
  const code = StringPrototypeCharCodeAt(text, at);
  return code >= 0xd800 && code < 0xdc00;
}

const digestOps = {
  __proto__: null,
  Hasher,
  op_node_create_hash(algorithm, outputLength) {
    checkOutput(outputLength);
    return newHasher(ops.op_node_create_hash(algorithm, outputLength), outputLength);
  },
  op_node_get_hash_size: ops.op_node_get_hash_size,
  op_node_get_hashes: ops.op_node_get_hashes,
  op_node_hash_clone(hasher, outputLength) {
    checkOutput(outputLength);
    return newHasher(ops.op_node_hash_clone(hasherOf(hasher), outputLength), outputLength);
  },
  op_node_hash_digest: (hasher) => ops.op_node_hash_digest(hasherOf(hasher)),
  op_node_hash_digest_hex: (hasher) => ops.op_node_hash_digest_hex(hasherOf(hasher)),
  op_node_hash_update(hasher, data) {
    const native = hasherOf(hasher);
    const length = byteLengthOf(data);
    if (length <= STEP_BYTES) return ops.op_node_hash_update(native, data);
    return inSteps(length, (at, part) => ops.op_node_hash_update(native, partOf(data, at, part)));
  },
  op_node_hash_update_str(hasher, text) {
    const native = hasherOf(hasher);
    if (text.length <= LARGE_BYTES) return ops.op_node_hash_update_str(native, text);
    askForText(text, COPY);
    for (let at = 0; at < text.length;) {
      let end = MathMin(at + STEP_CHARACTERS, text.length);
      if (end < text.length && isPair(text, end - 1)) end += 1;
      if (!ops.op_node_hash_update_str(native, StringPrototypeSlice(text, at, end))) return false;
      at = end;
    }
    return true;
  },
};

// ---- ciphers

const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

let cipherOf;

class Cipher {
  #rid;

  constructor(key, rid) {
    if (key !== own) throw new TypeError("Illegal constructor");
    this.#rid = rid;
    abandoned.register(this, rid, this);
  }

  static {
    cipherOf = (cipher) => cipher.#rid;
  }
}

/** Converts a name before the op would, because a script's `toString` could call ops within the op. */
const nameOf = (algorithm) =>
  typeof algorithm === "object" || typeof algorithm === "function" ? `${algorithm}` : algorithm;

const startOf = (decrypts) => (algorithm, key, iv, tagBytes) =>
  new Cipher(own, ops.op_isopod_cipher_start(nameOf(algorithm), decrypts, key, iv, tagBytes));

/** Ends a cipher, whatever comes of it. */
function ended(cipher, end) {
  const rid = cipherOf(cipher);
  abandoned.unregister(cipher);
  try {
    return end(rid);
  } finally {
    core.tryClose(rid);
  }
}

const nothing = new Uint8Array(0);

function additional(cipher, data) {
  checkLength(data, STEP_BYTES, "additional data");
  return ops.op_isopod_cipher_aad(cipherOf(cipher), data);
}

function update(cipher, input, output) {
  const length = byteLengthOf(input);
  if (byteLengthOf(output) < length) return false;
  const rid = cipherOf(cipher);
  return inSteps(
    length,
    (at, part) => ops.op_isopod_cipher_update(rid, partOf(input, at, part), partOf(output, at, part)),
  );
}

const cipherOps = {
  __proto__: null,
  op_node_aes_unwrap_key: (algorithm, key, iv, data) => ops.op_isopod_wrap_key(algorithm, true, key, iv, data),
  op_node_aes_wrap_key: (algorithm, key, iv, data) => ops.op_isopod_wrap_key(algorithm, false, key, iv, data),
  op_node_cipheriv_encrypt: update,
  op_node_cipheriv_final: (cipher, isPadded, input, output) =>
    ended(cipher, (rid) => ops.op_isopod_cipher_finish(rid, isPadded, input, output, nothing)),
  op_node_cipheriv_set_aad: additional,
  op_node_cipheriv_take: (cipher) => ended(cipher, (rid) => ops.op_isopod_cipher_take_tag(rid)),
  op_node_create_cipheriv: startOf(false),
  op_node_create_decipheriv: startOf(true),
  op_node_decipheriv_auth_tag: (cipher, bytes) => ops.op_isopod_cipher_check_tag(cipherOf(cipher), bytes),
  op_node_decipheriv_decrypt: update,
  op_node_decipheriv_final: (cipher, isPadded, input, output, tag) =>
    ended(cipher, (rid) => ops.op_isopod_cipher_finish(rid, isPadded, input, output, tag)),
  op_node_decipheriv_set_aad: additional,
};

/** Limit for RSA encryption: these ops read the key themselves, and subtract from its length. */
const RSA_MESSAGE_BYTES_MAX = 8 * 1024;

const onRsaKey = (name) => (key, message, ...args) => {
  checkLength(message, RSA_MESSAGE_BYTES_MAX, "a message for RSA");
  const bytes = typeof key === "string" ? core.encode(key) : partOf(key, 0, byteLengthOf(key));
  ops.op_isopod_check_rsa_key(bytes);
  return ops[name](bytes, message, ...new SafeArrayIterator(args));
};

const rsaOps = {
  __proto__: null,
  op_node_private_decrypt: onRsaKey("op_node_private_decrypt"),
  op_node_private_encrypt: onRsaKey("op_node_private_encrypt"),
  op_node_public_decrypt: onRsaKey("op_node_public_decrypt"),
  op_node_public_encrypt: onRsaKey("op_node_public_encrypt"),
  op_node_validate_oaep_hash: ops.op_node_validate_oaep_hash,
};

// ---- keys from passwords and other keys

const UINT32_MAX = 0xffffffff;
const SHA256_BYTES = 32;

function pbkdf2(password, salt, iterations, digest, key) {
  const digestBytes = ops.op_node_get_hash_size(digest) ?? SHA256_BYTES;
  const blocks = MathCeil(byteLengthOf(key) / digestBytes);
  ops.op_isopod_check_key(MathMin(iterations * MathCeil(blocks), UINT32_MAX), 0);
  return ops.op_isopod_pbkdf2(password, salt, iterations, digest, key) ||
    ops.op_node_pbkdf2(password, salt, iterations, digest, key);
}

function scrypt(password, salt, keyLength, costLog2, blockSize, parallelization, maxmem) {
  // RFC 7914, section 6: the last step is PBKDF2 with one iteration.
  ops.op_isopod_check_key(MathMin(MathCeil(keyLength / SHA256_BYTES), UINT32_MAX), 0);
  const bytes = ops.op_isopod_check_scrypt(2 ** costLog2, blockSize, parallelization);
  const key = new Uint8Array(keyLength);
  ops.op_isopod_hold(bytes);
  try {
    ops.op_node_scrypt_sync(
      password,
      salt,
      keyLength,
      costLog2,
      blockSize,
      parallelization,
      maxmem,
      TypedArrayPrototypeGetBuffer(key),
    );
  } finally {
    ops.op_isopod_release(bytes);
  }
  return key;
}

/** https://www.rfc-editor.org/rfc/rfc5869 */
function hkdf(digest, handle, salt, info, key) {
  const { Hmac } = core.loadExtScript("ext:deno_node/internal/crypto/hash.ts");
  const hmac = (secret, parts) => {
    const computing = Hmac(digest, secret);
    for (const part of new SafeArrayIterator(parts)) computing.update(part);
    return computing.digest();
  };
  const length = byteLengthOf(key);
  const pseudorandom = hmac(salt, [secretBytes(handle)]);
  let block = nothing;
  for (let at = 0, count = 1; at < length; count++) {
    if (count > 255) throw new RangeError("HKDF-Expand failed");
    block = hmac(pseudorandom, [block, info, new Uint8Array([count])]);
    const part = MathMin(byteLengthOf(block), length - at);
    TypedArrayPrototypeSet(key, partOf(block, 0, part), at);
    at += part;
  }
}

const derivationOps = {
  __proto__: null,
  op_node_hkdf: hkdf,
  async op_node_hkdf_async(digest, handle, salt, info, length) {
    const key = new Uint8Array(length);
    hkdf(digest, handle, salt, info, key);
    return key;
  },
  op_node_pbkdf2: pbkdf2,
  async op_node_pbkdf2_async(password, salt, iterations, digest, length) {
    const key = new Uint8Array(length);
    if (!pbkdf2(password, salt, iterations, digest, key)) throw new TypeError(`Invalid digest: ${digest}`);
    return key;
  },
  op_node_pbkdf2_validate: ops.op_node_pbkdf2_validate,
  async op_node_scrypt_async(...args) {
    return scrypt(...new SafeArrayIterator(args));
  },
  op_node_scrypt_sync(password, salt, keyLength, costLog2, blockSize, parallelization, maxmem, output) {
    const key = scrypt(password, salt, keyLength, costLog2, blockSize, parallelization, maxmem);
    TypedArrayPrototypeSet(new Uint8Array(output), key);
  },
};

// ---- agreement on keys

/** Size of the prime of the longest group, modp18. */
const GROUP_BYTES_MAX = 1024;

function modularPower(prime, exponent, base) {
  for (const number of new SafeArrayIterator([prime, exponent, base])) {
    checkLength(number, GROUP_BYTES_MAX, "a number for Diffie-Hellman");
  }
  let isZero = true;
  for (let i = 0; i < prime.length; i++) isZero &&= prime[i] === 0;
  if (isZero) throw new RangeError("the prime is zero");
  return ops.op_node_dh_compute_secret(prime, exponent, base);
}

/** Lengths of private keys, and of shared secrets. */
const curveBytes = {
  __proto__: null,
  prime256v1: 32,
  secp224r1: 28,
  secp256k1: 32,
  secp256r1: 32,
  secp384r1: 48,
  secp521r1: 66,
};

function bytesOfCurve(curve) {
  const bytes = curveBytes[curve];
  if (bytes === undefined) throw new TypeError("Unsupported curve");
  return bytes;
}

const plain = (bytes) => partOf(bytes, 0, byteLengthOf(bytes));

const agreementOps = {
  __proto__: null,
  op_node_dh_check(prime, generator) {
    checkLength(prime, GROUP_BYTES_MAX, "a prime for Diffie-Hellman");
    checkLength(generator, GROUP_BYTES_MAX, "a generator for Diffie-Hellman");
    return ops.op_node_dh_check(plain(prime), plain(generator));
  },
  op_node_dh_compute_secret: (prime, exponent, base) => modularPower(plain(prime), plain(exponent), plain(base)),
  op_node_dh_keys_generate_and_export(prime, _primeLength, generator) {
    checkLength(prime, GROUP_BYTES_MAX, "a prime for Diffie-Hellman");
    const exponent = new Uint8Array(byteLengthOf(prime));
    fillRandom(exponent);
    const base = new Uint8Array([generator >>> 24, generator >>> 16, generator >>> 8, generator]);
    return [exponent, modularPower(plain(prime), exponent, base)];
  },
  op_node_ecdh_compute_public_key(curve, privateKey, publicKey) {
    const point = new Uint8Array(2 * bytesOfCurve(curve) + 1);
    ops.op_node_ecdh_compute_public_key(curve, privateKey, point);
    TypedArrayPrototypeSet(publicKey, point);
  },
  op_node_ecdh_compute_secret(curve, privateKey, publicKey, otherKey, secret) {
    const shared = new Uint8Array(bytesOfCurve(curve));
    ops.op_node_ecdh_compute_secret(curve, privateKey, publicKey, otherKey, shared);
    TypedArrayPrototypeSet(secret, shared);
  },
  op_node_ecdh_encode_pubkey: ops.op_node_ecdh_encode_pubkey,
  op_node_ecdh_generate_keys(curve, publicKey, privateKey, format) {
    const bytes = bytesOfCurve(curve);
    const point = new Uint8Array((format === "compressed" ? bytes : 2 * bytes) + 1);
    const scalar = new Uint8Array(bytes);
    ops.op_node_ecdh_generate_keys(curve, point, scalar, format);
    TypedArrayPrototypeSet(publicKey, point);
    TypedArrayPrototypeSet(privateKey, scalar);
  },
  op_node_ecdh_validate_private_key: ops.op_node_ecdh_validate_private_key,
  op_node_ecdh_validate_public_key: ops.op_node_ecdh_validate_public_key,
};

// ---- certificates

const CERTIFICATE_BYTES_MAX = 64 * 1024;

let certificateOf;

class Certificate {
  #native;
  #weight;

  constructor(key, native, bytes) {
    if (key !== own) throw new TypeError("Illegal constructor");
    this.#native = native;
    this.#weight = new ArrayBuffer(bytes);
  }

  static {
    certificateOf = (certificate) => certificate.#native;
  }
}

const certificateOps = {
  __proto__: null,
  op_node_x509_check_issued: (one, other) =>
    ops.op_node_x509_check_issued(certificateOf(one), certificateOf(other)),
  op_node_x509_check_private_key: (certificate, key) =>
    ops.op_node_x509_check_private_key(certificateOf(certificate), nativeOf(key)),
  op_node_x509_parse(data) {
    checkLength(data, CERTIFICATE_BYTES_MAX, "a certificate");
    // Includes the names and extensions that are read from it.
    return new Certificate(own, ops.op_node_x509_parse(data), 4 * byteLengthOf(data));
  },
  op_node_x509_public_key(certificate) {
    const key = ops.op_node_x509_public_key(certificateOf(certificate));
    ops.op_isopod_check_key(0, ops.op_node_get_asymmetric_key_details(key)?.modulusLength ?? 0);
    if (ops.op_node_get_asymmetric_key_type(key) === "dh") throw new TypeError("Diffie-Hellman keys cannot be read");
    return wrapped(key);
  },
  op_node_x509_verify: (certificate, key) => ops.op_node_x509_verify(certificateOf(certificate), nativeOf(key)),
};
for (
  const name of new SafeArrayIterator([
    "ca",
    "check_email",
    "check_host",
    "check_ip",
    "fingerprint",
    "fingerprint256",
    "fingerprint512",
    "get_info_access",
    "get_issuer",
    "get_raw",
    "get_serial_number",
    "get_signature_algorithm_name",
    "get_signature_algorithm_oid",
    "get_subject",
    "get_subject_alt_name",
    "get_valid_from",
    "get_valid_to",
    "key_usage",
    "to_legacy_object",
    "to_string",
  ])
) {
  const op = ops[`op_node_x509_${name}`];
  certificateOps[`op_node_x509_${name}`] = (certificate, ...args) =>
    op(certificateOf(certificate), ...new SafeArrayIterator(args));
}
for (
  const name of new SafeArrayIterator([
    "op_node_cert_export_challenge",
    "op_node_cert_export_public_key",
    "op_node_verify_spkac",
  ])
) {
  certificateOps[name] = (data) => {
    checkLength(data, CERTIFICATE_BYTES_MAX, "a certificate");
    return ops[name](data);
  };
}

const cryptoOps = {
  __proto__: null,
  ...randomOps,
  ...digestOps,
  ...cipherOps,
  ...rsaOps,
  ...derivationOps,
  ...agreementOps,
  ...certificateOps,
};

return { cryptoOps, fillRandom };
})();
