// Code of a script that runs while an argument is converted may call anything: https://webidl.spec.whatwg.org/#js-type-mapping.

const { subtle } = crypto;

/** Its conversions call operations. */
const act = () => {
  crypto.getRandomValues(new Uint8Array(1));
  structuredClone(new TextEncoder().encode("x"));
};

const text = (value) => ({
  toString() {
    act();
    return value;
  },
});

const number = (value) => ({
  valueOf() {
    act();
    return value;
  },
});

const list = (...values) => ({
  *[Symbol.iterator]() {
    act();
    yield* values.map(text);
  },
});

/** An object whose members are read by getters. */
const members = (values, target = {}) => {
  for (const [name, value] of Object.entries(values)) {
    const get = () => {
      act();
      return value;
    };
    Object.defineProperty(target, name, { get, configurable: true, enumerable: true });
  }
  return target;
};

const iv = new Uint8Array(12);
const bytes = new Uint8Array(16);

// https://w3c.github.io/webcrypto/#subtlecrypto-interface
export const cryptography = async () => {
  const aes = members({ name: text("AES-GCM"), length: number(128) });
  const gcm = members({ name: text("AES-GCM"), iv, tagLength: number(128) });
  const hmac = members({ name: text("HMAC"), hash: members({ name: text("SHA-256") }) });
  const ecdh = members({ name: text("ECDH"), namedCurve: text("P-256") });
  const kw = await subtle.generateKey({ name: "AES-KW", length: 128 }, true, ["wrapKey", "unwrapKey"]);
  const key = await subtle.generateKey(aes, true, list("encrypt", "decrypt"));
  const sign = await subtle.generateKey(hmac, true, list("sign", "verify"));
  const pair = await subtle.generateKey(ecdh, true, list("deriveBits", "deriveKey"));
  const derive = members({ name: text("ECDH"), public: pair.publicKey });
  const same = (one, other) => String(new Uint8Array(one)) === String(new Uint8Array(other));
  return checks({
    digest: async () => same(await subtle.digest(members({ name: text("SHA-256") }, () => {}), bytes), await subtle.digest("SHA-256", bytes)),
    "encrypt and decrypt": async () => same(await subtle.decrypt(gcm, key, await subtle.encrypt(gcm, key, bytes)), bytes),
    "sign and verify": async () => subtle.verify(members({ name: text("HMAC") }), sign, await subtle.sign(members({ name: text("HMAC") }), sign, bytes), bytes),
    "importKey, exportKey": async () => {
      const imported = await subtle.importKey(text("raw"), bytes, aes, true, list("encrypt"));
      return same(await subtle.exportKey(text("raw"), imported), bytes);
    },
    "importKey of JSON": async () => {
      const jwk = members({ kty: text("oct"), k: text("AAAA"), ext: {}, key_ops: list("sign"), alg: text("HS256") });
      const imported = await subtle.importKey(text("jwk"), jwk, hmac, true, list("sign"));
      return (await subtle.exportKey("jwk", imported)).k === "AAAA";
    },
    "an object instead of bytes": async () => {
      const refused = await subtle.importKey("raw", members({ kty: text("oct") }), aes, true, list("encrypt")).catch((error) => error);
      return refused instanceof TypeError;
    },
    "wrapKey, unwrapKey": async () => {
      const algorithm = members({ name: text("AES-KW") });
      const wrapped = await subtle.wrapKey(text("raw"), key, kw, algorithm);
      const unwrapped = await subtle.unwrapKey(text("raw"), wrapped, kw, algorithm, aes, true, list("encrypt"));
      return same(await subtle.exportKey("raw", unwrapped), await subtle.exportKey("raw", key));
    },
    deriveBits: async () => (await subtle.deriveBits(derive, pair.privateKey, number(128))).byteLength === 16,
    deriveKey: async () => (await subtle.deriveKey(derive, pair.privateKey, aes, true, list("encrypt"))).type === "secret",
    getPublicKey: async () => (await subtle.getPublicKey(pair.privateKey, list()))?.type === "public",
    supports: () =>
      // Its script is not in the snapshot.
      typeof BroadcastChannel === "function" && SubtleCrypto.supports("sign", "Ed448") &&
      SubtleCrypto.supports(text("encrypt"), gcm) && SubtleCrypto.supports("importKey", hmac)
      && SubtleCrypto.supports("deriveKey", derive, aes) && !SubtleCrypto.supports("digest", members({ name: text("none") }))
      && !SubtleCrypto.supports("deriveBits", members({ name: text("Argon2id"), memory: number(0) }), 8),
    // https://wicg.github.io/webcrypto-modern-algos/#dfn-check-support-for-an-algorithm: what cannot be normalized is not supported.
    "supports of what throws": () => SubtleCrypto.supports("digest", { get name() { throw new Error("mine"); } }) === false,
    "usages that are no list": async () => {
      const refused = await subtle.generateKey(aes, true, members({ length: 1 })).catch((error) => error);
      return refused instanceof TypeError;
    },
    "a name that cannot be converted": async () => {
      const failure = new Error("mine");
      const name = { toString: () => { throw failure; } };
      return await subtle.digest({ name }, bytes).catch((error) => error) === failure;
    },
  });
};
