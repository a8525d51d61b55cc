import zlib from "node:zlib";
import * as pako from "pako";

// Each unpacks what the other packed.
const text = "a text that repeats itself, ".repeat(100);
const texts = (bytes) => Buffer.from(bytes).toString() === text;
export default {
  fetch: () =>
    Response.json([
      texts(zlib.gunzipSync(pako.gzip(text))),
      texts(pako.ungzip(zlib.gzipSync(text))),
      texts(pako.inflateRaw(zlib.deflateRawSync(text))),
      pako.deflate("abc").length,
    ]),
};
