// Keys whose parts do not belong together: https://w3c.github.io/webcrypto/, "import key" of each algorithm.

const { subtle } = crypto;

const nameOf = (act) => act().then(() => "taken", (error) => error.name);

/** Another character where the text has its sixth. */
const flip = (text) => text.slice(0, 5) + (text[5] === "A" ? "B" : "A") + text.slice(6);

const pairs = async (algorithm, usages) => {
  const [own, other] = await Promise.all([1, 2].map(() => subtle.generateKey(algorithm, true, usages)));
  const jwk = (key) => subtle.exportKey("jwk", key);
  return { own, priv: await jwk(own.privateKey), pub: await jwk(own.publicKey), other: await jwk(other.publicKey) };
};

const parts = ({ x, y, n, pub }) => JSON.parse(JSON.stringify({ x, y, n, pub }));

const asJwk = (name, algorithm, usages) => async () => {
  const { own, priv, pub, other } = await pairs(algorithm, usages);
  const list = {};
  const add = (change, wanted, from = priv, key = own.privateKey) => {
    list[`${name} ${JSON.stringify(change)}`] = async () =>
      (await nameOf(() => subtle.importKey("jwk", { ...from, ...change }, algorithm, true, key.usages))) === wanted;
  };
  add({ whole: 1 }, "taken");
  add({ whole: 2 }, "taken", pub, own.publicKey);
  add(parts(other), "DataError");
  for (const [part, value] of Object.entries(parts(other))) add({ [part]: value }, "DataError");
  // RFC 7517, section 4.3.
  add({ key_ops: [...priv.key_ops, ...priv.key_ops] }, "DataError");
  if (priv.x !== undefined) {
    // RFC 7518, section 6.2.1 and RFC 8037, section 2.
    add({ x: undefined }, "DataError");
    add({ x: "%" }, "DataError");
  }
  if (priv.y !== undefined) {
    add({ x: flip(pub.x) }, "DataError", pub, own.publicKey);
    add({ x: pub.x.slice(4) }, "DataError", pub, own.publicKey);
    add({ crv: "P-1" }, "DataError", pub, own.publicKey);
    add({ crv: undefined }, "DataError", pub, own.publicKey);
  }
  // RFC 8017, section 3.2.
  for (const part of ["d", "p", "q", "dp", "dq", "qi"]) if (priv.n !== undefined) add({ [part]: flip(priv[part]) }, "DataError");
  const [wrapping, iv] = [await subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt", "unwrapKey"]), new Uint8Array(12)];
  const unwrap = async (jwk) => {
    const wrapped = await subtle.encrypt({ name: "AES-GCM", iv }, wrapping, new TextEncoder().encode(JSON.stringify(jwk)));
    const { usages } = own.privateKey;
    return nameOf(() => subtle.unwrapKey("jwk", wrapped, wrapping, { name: "AES-GCM", iv }, algorithm, false, usages));
  };
  list[`${name} unwrapped`] = async () =>
    (await unwrap(priv)) === "taken" && (await unwrap({ ...priv, ...parts(other) })) === "DataError";
  return checks(list);
};

export const ec = asJwk("ECDSA", { name: "ECDSA", namedCurve: "P-256" }, ["sign", "verify"]);
export const ecOf384 = asJwk("ECDH", { name: "ECDH", namedCurve: "P-384" }, ["deriveBits"]);
export const ecOf521 = asJwk("ECDSA", { name: "ECDSA", namedCurve: "P-521" }, ["sign", "verify"]);
export const ed25519 = asJwk("Ed25519", { name: "Ed25519" }, ["sign", "verify"]);
export const x25519 = asJwk("X25519", { name: "X25519" }, ["deriveBits"]);

const publicExponent = new Uint8Array([1, 0, 1]);
const rsaAlgorithm = { name: "RSA-PSS", modulusLength: 1024, publicExponent, hash: "SHA-256" };
export const rsa = asJwk("RSA", rsaAlgorithm, ["sign", "verify"]);

export const asBytes = async () => {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const { own } = await pairs(algorithm, ["sign", "verify"]);
  const changed = async (format, key) => {
    const bytes = new Uint8Array(await subtle.exportKey(format, key));
    bytes[bytes.length - 3] ^= 1;
    return nameOf(() => subtle.importKey(format, bytes, algorithm, true, key.usages));
  };
  return checks({
    "raw, off the curve": async () => (await changed("raw", own.publicKey)) === "DataError",
    "spki, off the curve": async () => (await changed("spki", own.publicKey)) === "DataError",
    // RFC 5915, section 3: the public key is at its end.
    "pkcs8, of another public key": async () => (await changed("pkcs8", own.privateKey)) === "DataError",
    async "pkcs8 of RSA whose numbers do not belong together"() {
      const { privateKey } = await subtle.generateKey(rsaAlgorithm, true, ["sign"]);
      const bytes = new Uint8Array(await subtle.exportKey("pkcs8", privateKey));
      bytes[bytes.length - 3] ^= 1;
      return (await nameOf(() => subtle.importKey("pkcs8", bytes, rsaAlgorithm, true, ["sign"]))) === "DataError";
    },
  });
};

// What is wrong is said in the order of the standard, and members are read once.
export const order = () =>
  checks({
    "usages first": async () =>
      (await nameOf(() => subtle.importKey("jwk", { kty: "EC" }, { name: "ECDSA", namedCurve: "P-256" }, true, ["encrypt"]))) ===
        "SyntaxError",
    "no key at all": async () =>
      (await Promise.all([null, 1, new Uint8Array(1)].map((data) =>
        nameOf(() => subtle.importKey("jwk", data, { name: "HMAC", hash: "SHA-1" }, true, ["sign"]))
      ))).every((name) => name === "TypeError"),
    async "each member once"() {
      const read = [];
      const jwk = new Proxy({ kty: "oct", k: "AAAA" }, { get: (of, name) => (read.push(name), of[name]) });
      await subtle.importKey("jwk", jwk, { name: "HMAC", hash: "SHA-1" }, true, ["sign"]);
      return new Set(read).size === read.length;
    },
  });
