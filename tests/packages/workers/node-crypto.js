// `node:crypto`, with keys that are for this test alone.

import { Buffer } from "node:buffer";
import crypto from "node:crypto";

const RSA = `-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQClfOSv2bSI4kYJ
y6NycG8O896krR8DWvOyss8i679rs3ezdjH/J4ouCleTk6A6bqcadi2L5f8iooWO
BPB2MgTi+S5pR2QZ1kRWTQ1YEawCW2j8IvKesdRYf+Wby0NJawmgf9jLINyxKRKL
YSWnPxpevUJ+UR/up5YImABuwP8GUoLIZ7RFNqoj7sFfnQNDkPAL35vCeOqaRxhC
ZYh4Rpw0rQCtGX4/F7mF16nds3Bbgoc1HA014zQUBiYuKtAWATK1s7F0q20DELRk
obTRm+KL7lZNag+GqRl4JsvFAndb7vstGXXL87IFwrgD170V2lp6OO/7Oe2v6b90
qADwz9HLAgMBAAECggEAPXYJKRZd6oi/IlwzNAl19cO06MwzPHfHEpM+QuXzjfh1
eH1pTC5PL5I/vFuTop/+B+HkQJUHEMHzgC9tbzhcgD+zcP5GuyHM95BeaFsH20g/
0YTZPv8kskmt6RKwxs+uH6HbznVCAboTXRiTd24ESTNZQri2d1hebIqnfnrHPH1H
N6ldqkHmiw4OrDfkUPV/DxfZYDHdYmILAt+nPwAT49aI6OO8WmlrFZLAPWiXJ3Bc
/CL4FIb3lF7xX71B6BB0Sp1EnVQwiwKOOiQeRzXj3m3FpEXM8TehfCI+B58Buf3d
+DzKdNKBnf2XcPYoeZPHGiu/QRSmx1WKs/+zvynLIQKBgQDc8MaEYqKMKcJVeTTB
nRCwLBtk44jO1FyPR3Z7AZFS+wC9MOhVhUrpTidZFVprIv28BtZl5H2AmynC9SqC
xa3By/07U5+lMUxFdXLth3tKLNAifI5Ka3S1O+zSba6Nqm0gxZ6AoJxGhKYMS2/e
+gQ1h4yCvdcNNP8ev6wZIwUvxwKBgQC/v3mVqHEFkPLO/pzsXTykSmKQOn3eudkP
o4Zmip1cCCFWoiIK6ssy7Qk73y7xnZPZu2CpId4QacXnS9z8xtBt5MYpcvL7MjPo
V8mtoi3w+BHVODCdG349PPyR9DLKAPDgxt4XBOu8Rlj8LLbceIP5IcNBj82843Vw
hRURAMPV3QKBgQCIXcwJdd+h5zxdCRx4y/q64d5enNmZ3xTqEk+ciFEsCGRiYUdl
UYn1ChnbMATIz6YQYZ/+79JOiHZ0MGH2qRAf50n7ThfhG9ZZoK440UBVfedRAdPJ
Nx2npr76+luccK4+Zfr4pSkPlVvvhrgbxfDHIUymfYm4SxeT4PXV5fmTjQKBgATV
Wsc++7pcMQKuwF3k68ZoaZuhHdMjdClEwfqLu/O58L0yURFdYcni17y+n3xPsI5o
fsNEq0hWojp2Wxe0G0Tp42TgFOfoGA7fR6Is2GOenTR2uiL7sm7wvp0fPriA1ZGU
8bw6z4Zrb4rLxcBA+XKqOzXH3jPIuAkiEangDw+xAoGANA79ZKTUPrkbl4CkTETU
NPwlfx9nqPN/SOR1g0zHMl++3lqNZeuVkWC0DUQBTIBaPrUPMXNh6rKZqx/pi4SR
zYoYYuXjC04UMGtYuJJz4578C2M1hoS+DB2pZu1BmHF8E0/mpB2d9riH8nGbPu01
MmPwdoeGnbc7t0NVMTS2m3s=
-----END PRIVATE KEY-----
`;
const EC = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaShmrVe9quuS70BH
fmZ1TNwhj5514D0ZqB4CUtn//3ahRANCAARLl3Mz6rsCE89uflaZnWD3/0E+FgQS
HZc+1pnlWY0Vc8fneXUYQF/K9wnKX1yXj79e0sNrE+FgeruNvXPNXG8K
-----END PRIVATE KEY-----
`;
const ED25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINX5xOe427RaCRssmGh8bcHRiG+SUS9hPbIBUcXydbd3
-----END PRIVATE KEY-----
`;
const X25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIKA8+PR5QFM2+lnGrBKgOrAqpREY9Fl/pY4pYUTS+1hr
-----END PRIVATE KEY-----
`;
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIDazCCAlOgAwIBAgIUK4CwLIvPcKiO/5OW6ixrB4ulZoIwDQYJKoZIhvcNAQEL
BQAwNTELMAkGA1UEBhMCREUxEDAOBgNVBAoMB0V4YW1wbGUxFDASBgNVBAMMC2V4
YW1wbGUuY29tMCAXDTI2MTEyOTE3MDczNloYDzIxMjYxMTA1MTcwNzM2WjA1MQsw
CQYDVQQGEwJERTEQMA4GA1UECgwHRXhhbXBsZTEUMBIGA1UEAwwLZXhhbXBsZS5j
b20wggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQClfOSv2bSI4kYJy6Ny
cG8O896krR8DWvOyss8i679rs3ezdjH/J4ouCleTk6A6bqcadi2L5f8iooWOBPB2
MgTi+S5pR2QZ1kRWTQ1YEawCW2j8IvKesdRYf+Wby0NJawmgf9jLINyxKRKLYSWn
PxpevUJ+UR/up5YImABuwP8GUoLIZ7RFNqoj7sFfnQNDkPAL35vCeOqaRxhCZYh4
Rpw0rQCtGX4/F7mF16nds3Bbgoc1HA014zQUBiYuKtAWATK1s7F0q20DELRkobTR
m+KL7lZNag+GqRl4JsvFAndb7vstGXXL87IFwrgD170V2lp6OO/7Oe2v6b90qADw
z9HLAgMBAAGjcTBvMB0GA1UdDgQWBBSUR/AWb2T+pUc/bgZR4RNoyEPWEjAfBgNV
HSMEGDAWgBSUR/AWb2T+pUc/bgZR4RNoyEPWEjAPBgNVHRMBAf8EBTADAQH/MBwG
A1UdEQQVMBOCC2V4YW1wbGUuY29thwTAAAIBMA0GCSqGSIb3DQEBCwUAA4IBAQAm
yZCJd9eavqh1fiAbqDrsNXFd6Z9KTqFGkJVoYE7L3Wxlpb4GXwpSndxRAlZKBM3M
eFaumOl/T+idM/PTDZGrXcfLnyDt2pYT+1Qqzqr7s3660MpPOiEUBXJnQItdi+So
k/Fi/JrFxVdWsN/cCZktSDbL3/yOiTeu4MS3665wX5TSQnwPN1MAFL8bVHjla2J6
vE325++pyoj3c8Z0KBLfv8ku//BlwmkckBj+QSmgkE+ZXs/F84BW2VDh/WVBIhFr
29yCzZapSbLE8xQbIHWgtexjaK5hl05KjU3no/PrFEgiRbzJP18VVZ7hwIwjJIRV
EpurSer9z+J+Uqb6PSWq
-----END CERTIFICATE-----
`;

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 255));
const text = "The quick brown fox jumps over the lazy dog, ünïcödé 🦊";

/** The code of the error of a call that should fail. */
const failure = (act) => {
  try {
    return ["no error", act()];
  } catch (error) {
    return [error.name, error.code];
  }
};

const digests = () => {
  const names = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512-256", "sha3-256", "sha3-512", "ripemd160", "blake2b512", "blake2s256"];
  const stream = crypto.createHash("sha256");
  stream.write(text);
  stream.end();
  const copied = crypto.createHash("sha256").update("a");
  return {
    each: names.map((name) => [name, crypto.createHash(name).update(text).update(bytes(300)).digest("hex")]),
    encodings: ["base64", "base64url", "latin1", "buffer"].map((encoding) => crypto.createHash("sha256").update(text, "utf8").digest(encoding)),
    hexInput: crypto.createHash("sha1").update("6162", "hex").digest("hex"),
    large: crypto.createHash("sha256").update("é🦊".repeat(200_000)).update(Buffer.alloc(1_200_000, 7)).digest("hex"),
    shake: crypto.createHash("shake256", { outputLength: 10 }).update("a").digest("hex"),
    copy: [copied.copy().update("b").digest("hex"), copied.digest("hex")],
    stream: hex(stream.read()),
    listed: names.every((name) => crypto.getHashes().map((hash) => hash.toLowerCase()).some((hash) => hash.includes(name))),
    errors: [failure(() => copied.update("c")), failure(() => crypto.createHash("sha256").update(1)), failure(() => crypto.createHash())],
    hmac: ["md5", "sha1", "sha256", "sha512"].map((name) => crypto.createHmac(name, "key").update(text).digest("hex")),
    longKey: crypto.createHmac("sha256", bytes(500)).update(text).digest("base64"),
    keyObject: crypto.createHmac("sha256", crypto.createSecretKey(bytes(32))).update(text).digest("hex"),
  };
};

const derivations = async () => {
  const asked = (call) => new Promise((resolve, reject) => call((error, key) => (error ? reject(error) : resolve(hex(key)))));
  return {
    pbkdf2: ["sha1", "sha256", "sha384", "sha512", "sha224"].map((name) => hex(crypto.pbkdf2Sync("password", "salt", 100, 50, name))),
    pbkdf2Later: await asked((done) => crypto.pbkdf2("password", "salt", 10, 20, "sha512", done)),
    // RFC 7914, section 12.
    scrypt: hex(crypto.scryptSync("", "", 64, { N: 16, r: 1, p: 1 })),
    scryptLater: await asked((done) => crypto.scrypt("pleaseletmein", "SodiumChloride", 64, { N: 256, p: 2 }, done)),
    hkdf: ["sha1", "sha256", "sha512"].map((name) => hex(crypto.hkdfSync(name, bytes(22), bytes(13), bytes(10), 42))),
    hkdfWithoutSalt: hex(crypto.hkdfSync("sha256", bytes(22), "", "", 100)),
    hkdfLater: await asked((done) => crypto.hkdf("sha256", "key", "salt", "info", 64, done)),
    errors: [
      failure(() => crypto.pbkdf2Sync("password", "salt", 1, 1, "none")),
      failure(() => crypto.hkdfSync("sha256", "key", "salt", "info", 255 * 32 + 1)),
      failure(() => crypto.scryptSync("password", "salt", 1, { N: 3 })),
    ],
  };
};

const ciphers = () => {
  const there = (name, keyLength, ivLength, data, options) => {
    const [key, iv] = [bytes(keyLength), ivLength === 0 ? null : bytes(ivLength)];
    const cipher = crypto.createCipheriv(name, key, iv, options);
    const isSealed = name.includes("gcm") || name.includes("poly1305");
    if (isSealed) cipher.setAAD(Buffer.from("more"), { plaintextLength: data.length });
    const sealed = Buffer.concat([cipher.update(data.subarray(0, 5)), cipher.update(data.subarray(5)), cipher.final()]);
    const decipher = crypto.createDecipheriv(name, key, iv, options);
    const tag = isSealed ? cipher.getAuthTag() : Buffer.alloc(0);
    if (isSealed) decipher.setAAD(Buffer.from("more"), { plaintextLength: data.length }).setAuthTag(tag);
    const opened = Buffer.concat([decipher.update(sealed), decipher.final()]);
    return [name, crypto.createHash("md5").update(sealed).digest("hex"), hex(tag), opened.equals(data)];
  };
  const forged = (name) => {
    const decipher = crypto.createDecipheriv(name, bytes(32), bytes(name.endsWith("gcm") ? 12 : 16));
    if (name.endsWith("gcm")) decipher.setAuthTag(bytes(16));
    decipher.update(bytes(32));
    return decipher.final();
  };
  const unpadded = crypto.createCipheriv("aes-256-cbc", bytes(32), bytes(16)).setAutoPadding(false);
  const modes = [128, 192, 256].flatMap((length) => [["cbc", 16], ["ctr", 16], ["ecb", 0]].map(([mode, iv]) => [`aes-${length}-${mode}`, length / 8, iv]));
  const gcm = [128, 256].map((length) => [`aes-${length}-gcm`, length / 8, 12]);
  return {
    each: [...modes, ...gcm].flatMap(([name, key, iv]) => [0, 15, 16, 100].map((length) => there(name, key, iv, bytes(length)))),
    // More than one call of native code takes.
    large: there("aes-256-cbc", 32, 16, bytes(1_100_000)),
    chacha: there("chacha20-poly1305", 32, 12, bytes(100), { authTagLength: 16 }),
    encodings: (() => {
      const cipher = crypto.createCipheriv("aes-192-cbc", crypto.scryptSync("password", "salt", 24, { N: 16 }), Buffer.alloc(16, 0));
      return cipher.update("some clear text data", "utf8", "hex") + cipher.final("hex");
    })(),
    unpadded: hex(Buffer.concat([unpadded.update(bytes(32)), unpadded.final()])),
    info: Object.entries(crypto.getCipherInfo("aes-256-cbc")).sort(),
    listed: [...modes, ...gcm].every(([name]) => crypto.getCiphers().includes(name)),
    // The codes differ between versions of OpenSSL.
    forged: ["aes-256-cbc", "aes-256-gcm"].map((name) => failure(() => forged(name)).length),
    errors: [
      failure(() => crypto.createCipheriv("aes-256-cbc", bytes(31), bytes(16)))[0],
      failure(() => crypto.createCipheriv("none", bytes(32), bytes(16))),
    ],
  };
};

const keys = () => {
  const each = { RSA, EC, ED25519, X25519 };
  return Object.entries(each).map(([name, pem]) => {
    const key = crypto.createPrivateKey(pem);
    const open = crypto.createPublicKey(pem);
    const { publicExponent, ...details } = key.asymmetricKeyDetails;
    const again = crypto.createPublicKey({ key: open.export({ format: "jwk" }), format: "jwk" });
    const locked = key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" });
    return [
      name,
      key.type,
      key.asymmetricKeyType,
      details,
      String(publicExponent),
      key.export({ type: "pkcs8", format: "pem" }) === pem,
      hex(key.export({ type: "pkcs8", format: "der" })).slice(-64),
      Object.entries(key.export({ format: "jwk" })).sort(),
      open.export({ type: "spki", format: "pem" }),
      open.equals(again),
      crypto.createPrivateKey({ key: locked, passphrase: "secret" }).equals(key),
    ];
  });
};

const signatures = () => {
  const open = (pem) => crypto.createPublicKey(pem);
  const sign = (algorithm, options) => crypto.sign(algorithm, Buffer.from(text), options);
  const verified = (algorithm, key, signature) => [
    crypto.verify(algorithm, Buffer.from(text), key, signature),
    crypto.verify(algorithm, Buffer.from(`${text}.`), key, signature),
  ];
  const rsa = ["sha1", "sha256", "sha512"].map((name) => crypto.createSign(name).update(text).sign(RSA, "hex"));
  const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
  const ec = sign("sha256", EC);
  const encrypted = crypto.publicEncrypt({ key: open(RSA), oaepHash: "sha256" }, Buffer.from("a secret"));
  const sealed = crypto.privateEncrypt(RSA, Buffer.from("sealed"));
  return {
    rsa,
    rsaVerified: crypto.createVerify("sha256").update(text).verify(open(RSA), rsa[1], "hex"),
    pss: verified("sha256", { key: open(RSA), padding, saltLength: 32 }, sign("sha256", { key: RSA, padding, saltLength: 32 })),
    ec: verified("sha256", open(EC), ec),
    raw: sign("sha256", { key: EC, dsaEncoding: "ieee-p1363" }).length,
    ed25519: sign(null, ED25519).toString("hex"),
    ed25519Verified: verified(null, open(ED25519), sign(null, ED25519)),
    oaep: crypto.privateDecrypt({ key: RSA, oaepHash: "sha256" }, encrypted).toString(),
    sealed: [hex(sealed).slice(0, 64), crypto.publicDecrypt(open(RSA), sealed).toString()],
  };
};

const agreements = () => {
  const generator = (group) => crypto.getDiffieHellman(group);
  const [alice, bob] = [generator("modp5"), generator("modp5")];
  alice.generateKeys();
  bob.generateKeys();
  const own = crypto.createDiffieHellman(alice.getPrime(), alice.getGenerator());
  own.setPrivateKey(bytes(32));
  own.generateKeys();
  const ecdh = ["secp256k1", "prime256v1", "secp384r1"].map((curve) => {
    const one = crypto.createECDH(curve);
    one.setPrivateKey(bytes(curve === "secp384r1" ? 48 : 32));
    const other = crypto.createECDH(curve);
    other.generateKeys("hex", "compressed");
    return [one.getPublicKey("hex", "compressed"), one.computeSecret(other.getPublicKey()).equals(other.computeSecret(one.getPublicKey()))];
  });
  const pair = crypto.generateKeyPairSync("x25519");
  const secret = crypto.diffieHellman({ privateKey: pair.privateKey, publicKey: crypto.createPublicKey(X25519) });
  return {
    modp: alice.computeSecret(bob.getPublicKey()).equals(bob.computeSecret(alice.getPublicKey())),
    modpPublic: crypto.createHash("sha1").update(own.getPublicKey()).digest("hex"),
    ecdh,
    x25519: secret.equals(crypto.diffieHellman({ privateKey: crypto.createPrivateKey(X25519), publicKey: pair.publicKey })),
  };
};

const generated = async () => {
  const made = (type, options) => new Promise((resolve, reject) => crypto.generateKeyPair(type, options, (error, publicKey, privateKey) => (error ? reject(error) : resolve([publicKey, privateKey]))));
  const kinds = [["rsa", { modulusLength: 512 }], ["ec", { namedCurve: "P-384" }], ["ed25519", {}], ["x25519", {}]];
  const pairs = await Promise.all(kinds.map(([type, options]) => made(type, options)));
  const prime = crypto.generatePrimeSync(64, { bigint: true });
  const safe = crypto.generatePrimeSync(32, { safe: true, bigint: true });
  const uuid = crypto.randomUUID();
  const numbers = Array.from({ length: 100 }, () => crypto.randomInt(3, 6));
  return {
    pairs: pairs.map(([publicKey, privateKey]) => [publicKey.asymmetricKeyType, privateKey.asymmetricKeyType, crypto.createPublicKey(privateKey).equals(publicKey)]),
    pem: crypto.generateKeyPairSync("rsa", { modulusLength: 2048, publicKeyEncoding: { type: "pkcs1", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } }).publicKey.split("\n")[0],
    secret: crypto.generateKeySync("hmac", { length: 64 }).symmetricKeySize,
    primes: [crypto.checkPrimeSync(prime), prime.toString(2).length, crypto.checkPrimeSync((safe - 1n) / 2n), crypto.checkPrimeSync(91n)],
    random: [crypto.randomBytes(16).length, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid), new Set(numbers).size, Math.min(...numbers), Math.max(...numbers)],
    filled: crypto.randomFillSync(Buffer.alloc(2_000_000)).subarray(-16).some((byte) => byte !== 0),
    equal: [crypto.timingSafeEqual(bytes(4), bytes(4)), crypto.timingSafeEqual(bytes(4), Buffer.alloc(4)), failure(() => crypto.timingSafeEqual(bytes(4), bytes(5)))],
  };
};

const certificate = () => {
  const x509 = new crypto.X509Certificate(CERTIFICATE);
  return [
    x509.subject,
    x509.issuer,
    x509.subjectAltName,
    x509.serialNumber,
    x509.fingerprint256,
    x509.ca,
    x509.checkHost("example.com"),
    x509.checkHost("example.org"),
    x509.checkPrivateKey(crypto.createPrivateKey(RSA)),
    x509.verify(x509.publicKey),
    x509.verify(crypto.createPublicKey(EC)),
  ];
};

const web = async () => {
  const digest = await crypto.webcrypto.subtle.digest("SHA-256", Buffer.from(text));
  const key = await crypto.subtle.importKey("raw", bytes(32), { name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
  return [hex(digest), crypto.KeyObject.from(key).export().equals(bytes(32)), crypto.webcrypto.getRandomValues(new Uint8Array(4)).length];
};

export default {
  fetch: async () =>
    Response.json({
      digests: digests(),
      derivations: await derivations(),
      ciphers: ciphers(),
      keys: keys(),
      signatures: signatures(),
      agreements: agreements(),
      generated: await generated(),
      certificate: certificate(),
      web: await web(),
    }),
};
