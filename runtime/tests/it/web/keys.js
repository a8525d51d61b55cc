// Keys with inconsistent parts: https://w3c.github.io/webcrypto/, "import key" of each algorithm.

const { subtle } = crypto;

const nameOf = (act) => act().then(() => "taken", (error) => error.name);

/** Changes the sixth character of a text. */
const flip = (text) => text.slice(0, 5) + (text[5] === "A" ? "B" : "A") + text.slice(6);

const pairs = async (algorithm, usages) => {
  const [own, other] = await Promise.all([1, 2].map(() => subtle.generateKey(algorithm, true, usages)));
  const jwk = (key) => subtle.exportKey("jwk", key);
  return { own, priv: await jwk(own.privateKey), pub: await jwk(own.publicKey), other: await jwk(other.publicKey) };
};

// Generating a key takes too long.
const rsaPrivate = {
  kty: "RSA",
  n: "2l2ICBvdwJUSG4F23kFZVTZ8m-5JBwTrzhN2zTZnmtzwq352QDvivaBDqqOX5rg6bNUVemksQyEPX9nQqX9N9eQLPnwjBGLZ4Jg9tlx6C4jLTCr7IgG05iIiGCsxVHLtAm4Th0z_LE1A_admLL0xifq-AB-XaR2Pzi-FUTrgprs",
  e: "AQAB",
  d: "NqdgS79FwlTNQmsl6Dzs8gIAMDr0tjgKGPsQKg6q4bzY0-OED1Gtz45UQVpOw6VqoiC3DntSY77bjT8EFdhSF3m7x7SekGhre3qTUY3m3ZcAbMoxwxg5WjfFC--LNJ2CVo3Hv2OLNeDzNo5D3WsIxGzuobN9N93p83GtdPgheTE",
  p: "9VZpf2uVem3FNal8tw4MEzlFD8MQGthhOh9i2T8s-6RRBokeEu63nhNef0BklEm_Mk07zlM1PSwo8a0nAypfIw",
  q: "49sH5AGwwPBEjiAbmXXej94pVpQ9YgIr9e2Eyf3zU-diCqDJ6DJc7Za57klG46-ZoDx5Tw0uyV81IJ09H7-fiQ",
  dp: "KuOlY8oqApIoFL6Bd_rzr3Smlx_Rs--555BPFo2NzpwmMg9Me6DR5seaEILwUmAmFaQc3W_8capDqiRMGqiQow",
  dq: "DsB4g0-EtQkZNyZnAwl5jlDw1jUkwDqpw_NLvJQfc9gwJcYBLHJOR-eRRBckastMo-4mYHLXC5yJYQItGegbGQ",
  qi: "mjNX9U21YRNK4QMxN9_RkxaY-QdSjz3N4kU6PtdbgaJCJjEeWJzbaQjkVc276DZNG3Albv5d_6iSNnF8QK0Ysg",
};
const rsaOther = {
  kty: "RSA",
  e: "AQAB",
  n: "0-TmGglewxGFpDtsLWd1N6CjQH_JQzZk5cLcXEOt-BWTHUcCYnGaZIFB_eDeTGjf104g6jvLI9QLjTiLyHuk46oIBHKSQgPIZaTiN2o1JDyMSM3r8X7WPyC50YH-xXrNuDlgY7wmC6QS2Wk8tpo2V9aaLJnPg4Mvn00iTxKvjFE",
};
const rsaAlgorithm = { name: "RSA-PSS", hash: "SHA-256" };

const rsaPair = async () => {
  const { kty, n, e } = rsaPrivate;
  const take = (jwk, usage) => subtle.importKey("jwk", jwk, rsaAlgorithm, true, [usage]);
  const own = { privateKey: await take(rsaPrivate, "sign"), publicKey: await take({ kty, n, e }, "verify") };
  const [priv, pub] = [await subtle.exportKey("jwk", own.privateKey), await subtle.exportKey("jwk", own.publicKey)];
  return { own, priv, pub, other: rsaOther };
};

const parts = ({ x, y, n, pub }) => JSON.parse(JSON.stringify({ x, y, n, pub }));

const asJwk = (name, algorithm, usages) => async () => {
  const { own, priv, pub, other } = await (usages === undefined ? rsaPair() : pairs(algorithm, usages));
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
  // RFC 8017, section 3.1.
  const publicParts = [{ n: "" }, { n: "AA" }, { n: pub.n?.replace(/.$/, "A") }, { e: "AA" }, { e: "AQ" }, { e: "Ag" }, { e: pub.n }];
  for (const part of publicParts) if (pub.n !== undefined) add(part, "DataError", pub, own.publicKey);
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
export const ed448 = asJwk("Ed448", { name: "Ed448" }, ["sign", "verify"]);
export const x25519 = asJwk("X25519", { name: "X25519" }, ["deriveBits"]);

export const rsa = asJwk("RSA", rsaAlgorithm);

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
    async "spki of RSA with an even exponent"() {
      const { own } = await rsaPair();
      // The exponent, 65537, is at its end.
      const bytes = new Uint8Array(await subtle.exportKey("spki", own.publicKey));
      bytes[bytes.length - 1] ^= 1;
      return (await nameOf(() => subtle.importKey("spki", bytes, rsaAlgorithm, true, ["verify"]))) === "DataError";
    },
    async "pkcs8 of RSA whose numbers do not belong together"() {
      const { own } = await rsaPair();
      const bytes = new Uint8Array(await subtle.exportKey("pkcs8", own.privateKey));
      bytes[bytes.length - 3] ^= 1;
      return (await nameOf(() => subtle.importKey("pkcs8", bytes, rsaAlgorithm, true, ["sign"]))) === "DataError";
    },
  });
};

// Errors are reported in the order of the standard, and members are read once.
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

export const rsaCopies = async () => {
  const { own } = await rsaPair();
  const all = ({ type, extractable, usages, algorithm: { name, modulusLength, publicExponent, hash } }) =>
    JSON.stringify([type, extractable, usages, name, modulusLength, publicExponent, hash]);
  return checks({
    "an RSA key is cloned": () =>
      [own.privateKey, own.publicKey].every((key) => {
        const copy = structuredClone(key);
        return copy instanceof CryptoKey && all(copy) === all(key);
      }),
  });
};

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const fromHex = (text) => new Uint8Array(text.match(/../g).map((pair) => parseInt(pair, 16)));

// RFC 8032, section 7.4: "1 octet".
const seed = "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e";
const point = "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480";
const signature = "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0d" +
  "bcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00";
// RFC 8410, sections 4 and 7.
const spki = "3043300506032b6571033a00" + point;
const pkcs8 = "3047020100300506032b6571043b0439" + seed;

/** Keys of Ed448 support the same operations and usages as those of Ed25519. */
export const ed448Signs = async () => {
  const data = new Uint8Array([3]);
  const take = (format, bytes, usages, extractable = true) =>
    subtle.importKey(format, fromHex(bytes), "ed448", extractable, usages);
  const priv = await take("pkcs8", pkcs8, ["sign"]);
  const pub = await take("spki", spki, ["verify"]);
  const pair = await subtle.generateKey({ name: "Ed448" }, false, ["verify", "sign"]);
  const other = await subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const named = (act, name) => async () => (await nameOf(act)) === name;
  return checks({
    "the signature of the standard": async () => hex(await subtle.sign("Ed448", priv, data)) === signature,
    "it is verified": () => subtle.verify({ name: "ED448" }, pub, fromHex(signature), data.buffer),
    "other data are not": async () => !(await subtle.verify("Ed448", pub, fromHex(signature), new Uint8Array(1))),
    "a short signature is none": async () => !(await subtle.verify("Ed448", pub, new Uint8Array(3), data)),
    "the formats of a key": async () =>
      hex(await subtle.exportKey("raw", pub)) === point && hex(await subtle.exportKey("spki", pub)) === spki &&
      hex(await subtle.exportKey("pkcs8", priv)) === pkcs8,
    async "the public key of a private one"() {
      const made = await subtle.getPublicKey(priv, ["verify"]);
      return made.type === "public" && hex(await subtle.exportKey("raw", made)) === point;
    },
    async "a key in JSON"() {
      const jwk = await subtle.exportKey("jwk", priv);
      const again = await subtle.importKey("jwk", jwk, "Ed448", true, ["sign"]);
      return jwk.kty === "OKP" && jwk.crv === "Ed448" && hex(await subtle.exportKey("pkcs8", again)) === pkcs8;
    },
    "a generated pair": async () =>
      pair.publicKey.extractable && !pair.privateKey.extractable && pair.privateKey.usages.join() === "sign" &&
      pair.privateKey instanceof CryptoKey && pair.privateKey.algorithm.name === "Ed448" &&
      (await subtle.verify("Ed448", pair.publicKey, await subtle.sign("Ed448", pair.privateKey, data), data)),
    async "a wrapped key"() {
      const wrapping = await subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["wrapKey", "unwrapKey"]);
      const algorithm = { name: "AES-GCM", iv: new Uint8Array(12) };
      const results = [];
      for (const format of ["pkcs8", "jwk"]) {
        const wrapped = await subtle.wrapKey(format, priv, wrapping, algorithm);
        const key = await subtle.unwrapKey(format, wrapped, wrapping, algorithm, "Ed448", true, ["sign"]);
        results.push(hex(await subtle.exportKey("pkcs8", key)) === pkcs8);
      }
      return results.every(Boolean) &&
        (await nameOf(() => subtle.wrapKey("pkcs8", pair.privateKey, wrapping, algorithm))) === "InvalidAccessError";
    },
    async "a cloned key"() {
      const copy = structuredClone(pair.privateKey);
      return copy !== pair.privateKey && !copy.extractable &&
        (await subtle.verify("Ed448", pair.publicKey, await subtle.sign("Ed448", copy, data), data));
    },
    "it is listed": () =>
      SubtleCrypto.supports("sign", "Ed448") && SubtleCrypto.supports("generateKey", "Ed448") &&
      !SubtleCrypto.supports("encrypt", "Ed448"),
    "nothing leaves a key that is not extractable": named(() => subtle.exportKey("pkcs8", pair.privateKey), "InvalidAccessError"),
    "no bytes hang on a key": () =>
      Object.getOwnPropertySymbols(priv).every((name) => !JSON.stringify(priv[name]?.data ?? "").includes("196")),
    "a public key does not sign": named(() => subtle.sign("Ed448", pub, data), "InvalidAccessError"),
    "nor does a key of another curve": named(() => subtle.sign("Ed448", other.privateKey, data), "InvalidAccessError"),
    "nor does one of its own by another name": named(() => subtle.sign("Ed25519", priv, data), "InvalidAccessError"),
    "uses that it does not have": named(() => take("raw", point, ["sign"]), "SyntaxError"),
    "a private key without a use": named(() => take("pkcs8", pkcs8, []), "SyntaxError"),
    "bytes of another length": named(() => take("raw", point + "00", ["verify"]), "DataError"),
    "the form of another curve": named(() => take("spki", "302a300506032b6570032100" + point.slice(0, 64), ["verify"]), "DataError"),
    "an unknown format": named(() => take("pem", point, ["verify"]), "TypeError"),
    "data that are no bytes": named(() => subtle.sign("Ed448", priv, "text"), "TypeError"),
    "another object in its place": named(() => subtle.generateKey.call({}, "Ed448", true, ["sign"]), "TypeError"),
    async "points of small order"() {
      const neutral = await take("raw", "01" + "00".repeat(56), ["verify"]);
      return !(await subtle.verify("Ed448", neutral, fromHex("01" + "00".repeat(113)), data));
    },
  });
};
