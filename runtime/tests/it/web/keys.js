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
