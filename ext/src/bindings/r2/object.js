// The objects of a bucket, with the interfaces of R2:
// https://developers.cloudflare.com/r2/api/workers/workers-api-reference/

(function () {
const { core, primordials } = __bootstrap;
const { op_encoding_decode_utf8 } = core.ops;
const { unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { Blob } = core.loadExtScript("ext:deno_web/09_file.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const {
  Date,
  DatePrototypeToUTCString,
  JSONParse,
  ObjectDefineProperty,
  ObjectKeys,
  ReflectApply,
  SafeArrayIterator,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetLength,
  TypedArrayPrototypeSlice,
  TypeError,
} = primordials;
const { set: setHeader } = Headers.prototype;

const constructKey = Symbol("construct");

/** The names of HTTP metadata and of its headers, in the order in which ops pass texts. */
const TEXTS = [
  ["contentType", "content-type"],
  ["contentLanguage", "content-language"],
  ["contentDisposition", "content-disposition"],
  ["contentEncoding", "content-encoding"],
  ["cacheControl", "cache-control"],
];

/** Defines read-only members of an object. */
function define(object, members) {
  for (const name of new SafeArrayIterator(ObjectKeys(members))) {
    ObjectDefineProperty(object, name, {
      __proto__: null,
      value: members[name],
      enumerable: true,
      writable: false,
      configurable: true,
    });
  }
}

const HEX = "0123456789abcdef";

function hexOf(bytes) {
  if (bytes === null) return undefined;
  let hex = "";
  for (let i = 0; i < TypedArrayPrototypeGetLength(bytes); i++) hex += HEX[bytes[i] >> 4] + HEX[bytes[i] & 15];
  return hex;
}

class Checksums {
  #sums;
  constructor(key, sums) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#sums = sums;
    const { 0: md5, 1: sha1, 2: sha256, 3: sha384, 4: sha512 } = sums;
    const buffer = (bytes) => bytes === null ? undefined : TypedArrayPrototypeGetBuffer(TypedArrayPrototypeSlice(bytes));
    define(this, {
      __proto__: null,
      sha512: buffer(sha512),
      sha384: buffer(sha384),
      sha256: buffer(sha256),
      sha1: buffer(sha1),
      md5: buffer(md5),
    });
  }
  toJSON() {
    const { 0: md5, 1: sha1, 2: sha256, 3: sha384, 4: sha512 } = this.#sums;
    return { md5: hexOf(md5), sha1: hexOf(sha1), sha256: hexOf(sha256), sha384: hexOf(sha384), sha512: hexOf(sha512) };
  }
  get [SymbolToStringTag]() {
    return "Checksums";
  }
}

const given = (value) => value === null ? undefined : value;

function httpMetadataOf({ httpMetadata, cacheExpiry }) {
  const metadata = {};
  for (let i = 0; i < TEXTS.length; i++) metadata[TEXTS[i][0]] = given(httpMetadata[i]);
  metadata.cacheExpiry = cacheExpiry === null ? undefined : new Date(cacheExpiry);
  return metadata;
}

function customMetadataOf({ customMetadata }) {
  const metadata = {};
  for (let i = 0; i < customMetadata.length; i++) {
    const { 0: key, 1: value } = customMetadata[i];
    // Not by assignment, because a key may be `__proto__`.
    ObjectDefineProperty(metadata, key, {
      __proto__: null,
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return metadata;
}

/** The metadata of an object. */
class HeadResult {
  #found;
  constructor(key, found, range) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#found = found;
    define(this, {
      __proto__: null,
      ssecKeyMd5: undefined,
      storageClass: found.storageClass,
      range,
      customMetadata: customMetadataOf(found),
      httpMetadata: httpMetadataOf(found),
      uploaded: new Date(found.uploaded),
      checksums: new Checksums(constructKey, found.checksums),
      httpEtag: `"${found.etag}"`,
      etag: found.etag,
      size: found.size,
      version: found.version,
      key: found.key,
    });
  }
  writeHttpMetadata(headers) {
    const { httpMetadata, cacheExpiry } = this.#found;
    for (let i = 0; i < TEXTS.length; i++) {
      if (httpMetadata[i] !== null) ReflectApply(setHeader, headers, [TEXTS[i][1], httpMetadata[i]]);
    }
    if (cacheExpiry !== null) {
      ReflectApply(setHeader, headers, ["expires", DatePrototypeToUTCString(new Date(cacheExpiry))]);
    }
  }
  get [SymbolToStringTag]() {
    return "HeadResult";
  }
}

async function bytesOf(body) {
  if (streams.isReadableStreamDisturbed(body)) {
    throw new TypeError(
      "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.",
    );
  }
  return streams.readableStreamCollectIntoUint8Array(body);
}

const bufferOf = async (body) => TypedArrayPrototypeGetBuffer(await bytesOf(body));
const textOf = async (body) => op_encoding_decode_utf8(await bytesOf(body), false);
const jsonOf = async (body) => JSONParse(await textOf(body));
const blobOf = async (body, type) => new Blob([await bytesOf(body)], { __proto__: null, type });

/** An object and its content. */
class GetResult extends HeadResult {
  #body;
  #type;
  constructor(key, found, range, body) {
    super(key, found, range);
    this.#body = body;
    this.#type = found.httpMetadata[0] ?? "";
  }
  get body() {
    return this.#body;
  }
  get bodyUsed() {
    return streams.isReadableStreamDisturbed(this.#body);
  }
  arrayBuffer() {
    return unlessEnded(bufferOf, undefined, [this.#body]);
  }
  bytes() {
    return unlessEnded(bytesOf, undefined, [this.#body]);
  }
  text() {
    return unlessEnded(textOf, undefined, [this.#body]);
  }
  json() {
    return unlessEnded(jsonOf, undefined, [this.#body]);
  }
  blob() {
    return unlessEnded(blobOf, undefined, [this.#body, this.#type]);
  }
  get [SymbolToStringTag]() {
    return "GetResult";
  }
}

const rangeOf = (offset, length) => ({ offset, length, suffix: undefined });

/** An object that was written or listed. */
const written = (found) => new HeadResult(constructKey, found, undefined);

/** An object that was read without its content. */
const head = (found) => new HeadResult(constructKey, found, rangeOf(0, found.size));

/** An object that was read. */
function read({ object, offset, length, body }) {
  if (body === null) return head(object);
  return new GetResult(constructKey, object, rangeOf(offset, length), streams.readableStreamForRid(body));
}

return { define, head, read, TEXTS, written };
})();
