//! Limits of `node:crypto` and `node:zlib`. Tampering with their objects breaks only the worker's own calls.

use std::time::Duration;

use isopod_runtime::handlers::FaultKind;
use isopod_runtime::quotas::Quotas;
use isopod_runtime::{Limits, ScriptBuilder};
use serde_json::{Value, json};

use crate::common::{call, script};

/// `tried(f)` returns the result of `f`, or the setting named by its error, or else the error's class.
const TRIED: &str = "
    import { Buffer } from 'node:buffer';
    import crypto from 'node:crypto';
    import zlib from 'node:zlib';
    const tried = (act) => {
        try { return act(); } catch (error) {
            return error.message?.match(/limits\\.[a-z0-9_]+/)?.[0] ?? error.constructor.name;
        }
    };\n";

fn with(source: &str, limits: Limits) -> ScriptBuilder {
    script(&format!("{TRIED}{source}")).limits(limits)
}

fn given(source: &str, quotas: Quotas) -> Value {
    call(with(source, Limits::default().quotas(quotas)), "f", vec![]).unwrap()
}

#[test]
fn derivations_beyond_the_limit_are_refused_before_they_begin() {
    let source = "
        const { privateKey } = crypto.generateKeyPairSync('ed25519');
        // 2,048 iterations.
        const key = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'p' });
        const later = (run) => new Promise((resolve) => run((error) => resolve(tried(() => { throw error; }))));
        export const f = async () => [
            tried(() => crypto.pbkdf2Sync('p', 's', 1000, 32, 'sha256').length),
            tried(() => crypto.pbkdf2Sync('p', 's', 1001, 32, 'sha256')),
            tried(() => crypto.pbkdf2Sync('p', 's', 501, 33, 'sha256')),
            tried(() => crypto.pbkdf2Sync('p', 's', 1001, 1, 'ripemd160')),
            await later((done) => crypto.pbkdf2('p', 's', 1e9, 32, 'sha512', done)),
            tried(() => crypto.scryptSync('p', 's', 32, { N: 64, r: 8, p: 1 }).length),
            tried(() => crypto.scryptSync('p', 's', 32, { N: 128, r: 8, p: 1 })),
            await later((done) => crypto.scrypt('p', 's', 32, { N: 16, r: 1, p: 100 }, done)),
            tried(() => crypto.createPrivateKey({ key, passphrase: 'p' })),
            tried(() => crypto.createPublicKey({ key, passphrase: 'p' })),
            tried(() => crypto.privateDecrypt({ key, passphrase: 'p' }, Buffer.alloc(1))),
        ];";
    let key = "limits.pbkdf2_iterations";
    assert_eq!(
        given(source, Quotas::default().pbkdf2_iterations(1000)),
        json!([32, key, key, key, key, 32, key, key, key, key, key])
    );
}

#[test]
fn memory_of_derivations_and_engines_is_within_the_native_quota() {
    let source = "
        const many = (make) => tried(() => { const kept = []; for (let i = 0; i < 1000; i++) kept.push(make()); });
        export const f = () => [
            tried(() => zlib.brotliCompressSync('a', { params: { 1: 5, 2: 16 } }).length > 0),
            tried(() => crypto.scryptSync('p', 's', 32, { N: 16384, r: 8, p: 1 })),
            many(() => zlib.createGzip()),
            many(() => zlib.createGunzip()),
            tried(() => zlib.brotliCompressSync('a')),
            // A window of 16 MiB, and no more data.
            tried(() => zlib.brotliDecompressSync(Buffer.from([0x0f, 0, 0, 0]))),
        ];";
    let native = "limits.native";
    assert_eq!(
        given(source, Quotas::default().native_bytes(8 << 20)),
        json!([true, native, native, native, native, native])
    );
}

#[test]
fn long_keys_and_numbers_are_refused() {
    let source = "
        const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', {
            modulusLength: 1024, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
        });
        const open = crypto.createPublicKey(publicKey);
        const long = Buffer.alloc(2000, 255);
        const jwk = { kty: 'RSA', n: Buffer.alloc(256, 255).toString('base64url'), e: 'AQAB' };
        export const f = () => [
            open.asymmetricKeyDetails.modulusLength,
            tried(() => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })),
            tried(() => crypto.generateKeyPairSync('rsa-pss', { modulusLength: 2048 })),
            tried(() => crypto.createPublicKey({ key: jwk, format: 'jwk' })),
            tried(() => crypto.publicEncrypt(publicKey, Buffer.from('a')).length),
            tried(() => crypto.generatePrimeSync(5000)),
            tried(() => crypto.checkPrimeSync(long)),
            tried(() => crypto.createDiffieHellman(long)),
            tried(() => crypto.generateKeyPairSync('dsa', { modulusLength: 1024 })),
            tried(() => crypto.createHash('shake256', { outputLength: 2 ** 31 })),
            tried(() => crypto.createPrivateKey(privateKey).type),
        ];";
    let key = "limits.rsa_bits";
    assert_eq!(
        given(source, Quotas::default().rsa_bits(1024)),
        json!([
            1024,
            key,
            key,
            key,
            128,
            "RangeError",
            "RangeError",
            "RangeError",
            "Error",
            "RangeError",
            "private"
        ])
    );
}

/// An op that panics outside of `unwind::catch` would abort the process.
#[test]
fn objects_that_were_tampered_with_throw() {
    let source = "
        const symbolOf = (object, name) => Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === name);
        export const f = () => {
            const cipher = crypto.createCipheriv('aes-256-cbc', Buffer.alloc(32), Buffer.alloc(16));
            cipher._cache.get = () => new Uint8Array(7);
            const other = crypto.createCipheriv('aes-256-cbc', Buffer.alloc(32), Buffer.alloc(16));
            other._cache.cache = new Uint8Array(100);
            const foreign = crypto.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
            foreign._context = crypto.createHash('md5')[symbolOf(crypto.createHash('md5'), 'kHandle')];
            const hash = crypto.createHash('md5');
            const handle = hash[symbolOf(hash, 'kHandle')];
            const gzip = zlib.createGzip();
            const alloc = Buffer.alloc;
            const ecdh = crypto.createECDH('prime256v1');
            ecdh.generateKeys();
            const peer = ecdh.getPublicKey();
            Buffer.alloc = () => alloc(3);
            const small = [tried(() => ecdh.computeSecret(peer)), tried(() => crypto.createECDH('secp384r1').generateKeys())];
            Buffer.alloc = alloc;
            return [
                tried(() => cipher.update('a')),
                tried(() => other.final()),
                tried(() => foreign.update('a')),
                tried(() => new handle.constructor()),
                tried(() => new handle.constructor({}, {})),
                tried(() => crypto.createHmac('sha256', { type: 'secret' })),
                ...small,
                tried(() => crypto.createDiffieHellman(Buffer.alloc(64)).generateKeys().length),
                tried(() => gzip._handle.writeSync(0, Buffer.alloc(4), 2, 9, Buffer.alloc(4), 0, 4)),
                tried(() => gzip._handle.writeSync(0, Buffer.alloc(4), 0, 4, Buffer.alloc(4), -1, 4)),
                tried(() => new gzip._handle.constructor(99).init(15, 6, 8, 0)),
                tried(() => new gzip._handle.constructor(1).writeSync(0, Buffer.alloc(4), 0, 4, Buffer.alloc(4), 0, 4, [])),
            ];
        };";
    let seen = given(source, Quotas::default());
    let seen = seen.as_array().unwrap();
    assert!(seen.len() == 13 && seen.iter().all(Value::is_string), "{seen:?}");
}

#[test]
fn endless_searches_and_compressions_end_at_the_cpu_limit() {
    for work in [
        "crypto.generatePrimeSync(1024, { safe: true })",
        "crypto.generatePrimeSync(64, { add: 4n, rem: 2n })",
        "(() => { const hash = crypto.createHash('sha3-512'); const data = Buffer.alloc(32 << 20); while (true) hash.update(data); })()",
        "(() => { const data = crypto.randomBytes(8 << 20); while (true) zlib.deflateSync(data, { level: 9, chunkSize: 16 << 20 }); })()",
        "(() => { while (true) zlib.brotliCompressSync(crypto.randomBytes(1 << 20), { params: { 2: 20 } }); })()",
    ] {
        let limits = Limits::default()
            .cpu(Duration::from_millis(300))
            .memory_bytes(256 << 20);
        let fault = call(with(&format!("export const f = () => {work};"), limits), "f", vec![]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ExceededCpu, "{work}: {fault}");
    }
}

#[test]
fn a_small_archive_of_much_data_ends_at_the_memory_limit() {
    let source = "
        export const f = () => {
            const part = zlib.gzipSync(Buffer.alloc(16 << 20));
            const bomb = Buffer.concat(Array.from({ length: 40 }, () => part));
            return [bomb.length < 1 << 20, tried(() => zlib.gunzipSync(bomb, { chunkSize: 1 << 20 })), tried(() => zlib.gunzipSync(bomb, { maxOutputLength: 1 << 20 }))];
        };";
    match call(with(source, Limits::default().memory_bytes(96 << 20)), "f", vec![]) {
        Ok(seen) => assert_eq!(seen, json!([true, "RangeError", "RangeError"])),
        Err(fault) => assert_eq!(fault.kind, FaultKind::ExceededMemory, "{fault}"),
    }
}
