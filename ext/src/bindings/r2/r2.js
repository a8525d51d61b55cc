// The JavaScript side of a bucket, with the interface of R2:
// https://developers.cloudflare.com/r2/api/workers/workers-api-reference/

(function () {
const { core, primordials } = __bootstrap;
const { isAnyArrayBuffer } = core;
const {
  op_isopod_r2_abort_upload,
  op_isopod_r2_complete_upload,
  op_isopod_r2_create_upload,
  op_isopod_r2_delete,
  op_isopod_r2_get,
  op_isopod_r2_head,
  op_isopod_r2_list,
  op_isopod_r2_put,
  op_isopod_r2_put_part,
  op_isopod_room_for_memory,
} = core.ops;
const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const { BlobPrototype } = core.loadExtScript("ext:deno_web/09_file.js");
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { lengthOf, sourceOf } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { define, head, read, written } = core.loadExtScript("ext:isopod_r2/object.js");
const { getOptions, listOptions, putOptions, text, uploadOptions } = core.loadExtScript("ext:isopod_r2/options.js");
const {
  ArrayBufferIsView,
  ArrayIsArray,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  ObjectPrototypeIsPrototypeOf,
  ReflectApply,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypeError,
  Uint8Array,
} = primordials;
const { stream: blobStream } = BlobPrototype;

const PARTS_MAX = 10_000;

const wrongParameter = (method, of, parameter, type) =>
  new TypeError(`Failed to execute '${method}' on '${of}': parameter ${parameter} is not of type '${type}'.`);

function keyOf(key, method) {
  if (key === undefined) throw wrongParameter(method, "R2Bucket", 1, "string");
  return text(key);
}

// ---- content

/** Content for an op, except streams. */
const content = (bytes) => ({ __proto__: null, bytes, rid: null, hasFailed: false, error: undefined });

function contentOf(value, method, of) {
  if (typeof value === "string") return content(core.encode(value));
  if (ArrayBufferIsView(value)) return copied(bytesOf(value));
  if (isAnyArrayBuffer(value)) return copied(new Uint8Array(value));
  if (ObjectPrototypeIsPrototypeOf(BlobPrototype, value)) return streamed(ReflectApply(blobStream, value, []));
  if (ObjectPrototypeIsPrototypeOf(streams.ReadableStreamPrototype, value)) return streamed(value);
  throw wrongParameter(method, of, 2, "ReadableStream or ArrayBuffer or ArrayBufferView or string or Blob");
}

/** Checks for room for the copy that the op makes. */
function roomFor(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  if (length > LARGE_BYTES) op_isopod_room_for_memory(length, false);
}

function copied(bytes) {
  roomFor(bytes);
  return content(bytes);
}

function streamed(stream) {
  const length = lengthOf(stream);
  if (length === null) {
    throw new TypeError(
      "Provided readable stream must have a known length (request/response body or readable half of FixedLengthStream)",
    );
  }
  const source = sourceOf(stream, length);
  if (source.bytes !== null) roomFor(source.bytes);
  return source;
}

/** Waits for an op that reads content. If the content's stream fails, its error is thrown. */
async function reading(given, op) {
  try {
    return await op;
  } catch (error) {
    throw given.hasFailed ? given.error : error;
  }
}

// ---- the bucket

async function headOf(name, key) {
  const found = await op_isopod_r2_head(name, keyOf(key, "head"), currentEvent());
  return found === null ? null : head(found);
}

async function get(name, key, options) {
  const got = await op_isopod_r2_get(name, keyOf(key, "get"), getOptions(options), currentEvent());
  return got === null ? null : read(got);
}

async function put(name, args) {
  const { 0: key, 1: value, 2: options } = args;
  const event = currentEvent();
  const keyText = keyOf(key, "put");
  if (args.length < 2) contentOf(undefined, "put", "R2Bucket");
  const about = putOptions(options);
  const given = value === undefined || value === null ? content(null) : contentOf(value, "put", "R2Bucket");
  const found = await reading(given, op_isopod_r2_put(name, keyText, about, given.bytes, given.rid, event));
  return found === null ? null : written(found);
}

async function remove(name, keys) {
  if (keys === undefined) throw wrongParameter("delete", "R2Bucket", 1, "string or Array");
  await op_isopod_r2_delete(name, ArrayIsArray(keys) ? ArrayPrototypeMap(keys, text) : [text(keys)], currentEvent());
}

async function list(name, options) {
  const { shows, read } = listOptions(options);
  const page = await op_isopod_r2_list(name, read, currentEvent());
  const objects = ArrayPrototypeMap(page.objects, (found) => {
    if (!shows.httpMetadata) {
      found.httpMetadata = ArrayPrototypeMap(found.httpMetadata, () => null);
      found.cacheExpiry = null;
    }
    if (!shows.customMetadata) found.customMetadata = [];
    return written(found);
  });
  const truncated = page.cursor !== null;
  return { objects, truncated, cursor: truncated ? page.cursor : undefined, delimitedPrefixes: page.prefixes };
}

async function createUpload(name, key, options) {
  const keyText = keyOf(key, "createMultipartUpload");
  const id = await op_isopod_r2_create_upload(name, keyText, uploadOptions(options), currentEvent());
  return new R2MultipartUpload(constructKey, name, keyText, id);
}

// ---- uploads in parts

function partNumber(number) {
  const value = number | 0;
  if (value < 1 || value > PARTS_MAX) {
    throw new TypeError(`Part number must be between 1 and ${PARTS_MAX} (inclusive). Actual value was: ${value}`);
  }
  return value;
}

async function uploadPart({ name, key, id }, number, value) {
  const event = currentEvent();
  const checked = partNumber(number);
  const given = contentOf(value, "uploadPart", "R2MultipartUpload");
  const op = op_isopod_r2_put_part(name, key, id, checked, given.bytes, given.rid, event);
  return { partNumber: checked, etag: await reading(given, op) };
}

async function complete({ name, key, id }, uploaded) {
  if (!ArrayIsArray(uploaded)) throw wrongParameter("complete", "R2MultipartUpload", 1, "Array");
  const parts = [];
  // A number above the maximum is refused like a part that was not uploaded.
  for (let i = 0; i < uploaded.length && i <= PARTS_MAX; i++) {
    const part = uploaded[i];
    ArrayPrototypePush(parts, { __proto__: null, number: partNumber(part?.partNumber), etag: text(part?.etag) });
  }
  return written(await op_isopod_r2_complete_upload(name, key, id, parts, currentEvent()));
}

async function abort({ name, key, id }) {
  await op_isopod_r2_abort_upload(name, key, id, currentEvent());
}

const constructKey = Symbol("construct");

class R2MultipartUpload {
  #upload;
  constructor(construct, name, key, id) {
    if (construct !== constructKey) throw new TypeError("Illegal constructor");
    this.#upload = { __proto__: null, name, key, id };
    define(this, { __proto__: null, uploadId: id, key });
  }
  uploadPart(partNumber, value, _options = undefined) {
    return unlessEnded(uploadPart, undefined, [this.#upload, partNumber, value]);
  }
  abort() {
    return unlessEnded(abort, undefined, [this.#upload]);
  }
  /** Combines uploaded parts to an object. */
  complete(uploadedParts) {
    return unlessEnded(complete, undefined, [this.#upload, uploadedParts]);
  }
  get [SymbolToStringTag]() {
    return "R2MultipartUpload";
  }
}

class R2Bucket {
  #name;
  constructor(key, name) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#name = name;
  }
  head(key) {
    return unlessEnded(headOf, undefined, [this.#name, key]);
  }
  get(key, options = undefined) {
    return unlessEnded(get, undefined, [this.#name, key, options]);
  }
  /** Resolves when the object is on disk. */
  put(key, value, options = undefined) {
    return unlessEnded(put, undefined, [this.#name, arguments]);
  }
  delete(keys) {
    return unlessEnded(remove, undefined, [this.#name, keys]);
  }
  list(options = undefined) {
    return unlessEnded(list, undefined, [this.#name, options]);
  }
  createMultipartUpload(key, options = undefined) {
    return unlessEnded(createUpload, undefined, [this.#name, key, options]);
  }
  /** Returns an earlier upload. Its existence is checked on use. */
  resumeMultipartUpload(key, uploadId) {
    return new R2MultipartUpload(constructKey, this.#name, text(key), text(uploadId));
  }
  get [SymbolToStringTag]() {
    return "R2Bucket";
  }
}

return { make: (name) => new R2Bucket(constructKey, name) };
})();
