// The JavaScript side of a KV namespace, with the interface of Workers KV:
// https://developers.cloudflare.com/kv/api/

(function () {
const { core, primordials } = __bootstrap;
const { isAnyArrayBuffer, isArrayBuffer } = core;
const {
  op_encoding_decode_utf8,
  op_isopod_kv_delete,
  op_isopod_kv_get,
  op_isopod_kv_get_now,
  op_isopod_kv_list,
  op_isopod_kv_put,
  op_isopod_room_for_memory,
} = core.ops;
const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { bytesOfView } = core.loadExtScript("ext:isopod_web/bytes.js");
const { askForText, COPY, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const { lengthOf } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const {
  ArrayBufferIsView,
  ArrayIsArray,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  Error,
  JSONParse,
  JSONStringify,
  Map,
  MapPrototypeSet,
  NumberIsNaN,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  ReflectApply,
  SafeArrayIterator,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypeError,
  Uint8Array,
} = primordials;
const {
  acquireReadableStreamDefaultReader,
  readableStreamCancel,
  readableStreamForRid,
  ReadableStreamDefaultReader,
  ReadableStreamPrototype,
} = streams;
const { read: readerRead } = ReadableStreamDefaultReader.prototype;

const VALUE_BYTES_MAX = 25 << 20;
const BULK_KEYS_MAX = 100;

const fail = (verb, message) => new Error(`KV ${verb} failed: ${message}`);
const tooLong = (length) => fail("PUT", `413 Value length of ${length} exceeds limit of ${VALUE_BYTES_MAX}.`);

/** A text for an op. */
function text(value) {
  const text = `${value}`;
  askForText(text, COPY);
  return text;
}

/** Converts to an `int` of workerd's interfaces. `NaN`: it is not given. */
const integer = (value) => value === undefined || value === null ? NaN : value | 0;

const typeOf = (options) => typeof options === "string" ? options : options?.type ?? "text";
const cacheTtlOf = (options) => typeof options === "string" ? NaN : integer(options?.cacheTtl);

// ---- reading

/** The value of an entry in the requested form, or a promise of it. */
function valueOf({ value, body }, type) {
  if (value !== null) return converted(value, type);
  const stream = readableStreamForRid(body);
  if (type === "stream") return stream;
  return PromisePrototypeThen(streams.readableStreamCollectIntoUint8Array(stream), (bytes) => converted(bytes, type));
}

function converted(bytes, type) {
  switch (type) {
    case "text":
      return decoded(bytes);
    case "json":
      return JSONParse(decoded(bytes));
    case "arrayBuffer":
      return TypedArrayPrototypeGetBuffer(bytes);
    case "stream":
      return new Response(bytes).body;
  }
  throw new TypeError('Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".');
}

/** A byte order mark is a part of the text. */
const decoded = (bytes) => op_encoding_decode_utf8(bytes, true);

const metadataOf = ({ metadata }) => metadata === null ? null : JSONParse(metadata);

async function getOne(name, key, cacheTtl) {
  const { 0: entry } = await op_isopod_kv_get(name, [key], false, cacheTtl, currentEvent());
  return entry;
}

async function getMany(name, keys, options, convert) {
  const type = typeOf(options);
  if (type !== "text" && type !== "json") {
    throw fail("GET_BULK", `400 "${type}" is not a valid type. Use "json" or "text"`);
  }
  if (keys.length > BULK_KEYS_MAX) throw fail("GET_BULK", `400 You can request a maximum of ${BULK_KEYS_MAX} keys`);
  if (keys.length < 1) throw fail("GET_BULK", "400 You must request a minimum of 1 key");
  const names = ArrayPrototypeMap(keys, text);
  const entries = await op_isopod_kv_get(name, names, true, cacheTtlOf(options), currentEvent());
  const found = new Map();
  for (let i = 0; i < names.length; i++) {
    const entry = entries[i];
    let value = null;
    try {
      if (entry !== null) value = convert(entry, type);
    } catch {
      throw fail("GET_BULK", `400 At least one of the requested keys corresponds to a non-${type} value`);
    }
    MapPrototypeSet(found, names[i], value);
  }
  return found;
}

/** Checks the first parameter of a read. */
function checkKeyOf(method, key) {
  if (key === undefined) {
    throw new TypeError(`Failed to execute '${method}' on 'KvNamespace': parameter 1 is not of type 'string or Array'.`);
  }
}

async function get(name, key, options) {
  checkKeyOf("get", key);
  if (ArrayIsArray(key)) return getMany(name, key, options, valueOf);
  const keyText = text(key);
  const cacheTtl = cacheTtlOf(options);
  const type = typeOf(options);
  const isText = type === "text" || type === "json";
  const now = op_isopod_kv_get_now(name, keyText, cacheTtl, isText, currentEvent());
  if (now === null) return null;
  if (now !== undefined) return !isText ? converted(now, type) : type === "text" ? now : JSONParse(now);
  const entry = await getOne(name, keyText, cacheTtl);
  return entry === null ? null : valueOf(entry, type);
}

async function getWithMetadata(name, key, options) {
  checkKeyOf("getWithMetadata", key);
  if (ArrayIsArray(key)) {
    return getMany(name, key, options, (entry, type) => ({ value: valueOf(entry, type), metadata: metadataOf(entry) }));
  }
  const entry = await getOne(name, text(key), cacheTtlOf(options));
  if (entry === null) return { value: null, metadata: null, cacheStatus: null };
  return { value: await valueOf(entry, typeOf(options)), metadata: metadataOf(entry), cacheStatus: null };
}

// ---- writing

/** Reads a stream, up to the limit of a value. */
async function collect(stream) {
  const known = lengthOf(stream);
  if (known > VALUE_BYTES_MAX) {
    await readableStreamCancel(stream, undefined);
    throw tooLong(known);
  }
  if (known !== null) return streams.readableStreamCollectIntoUint8Array(stream);
  const reader = acquireReadableStreamDefaultReader(stream);
  const chunks = [];
  let length = 0;
  for (;;) {
    const { value, done } = await ReflectApply(readerRead, reader, []);
    if (done) break;
    if (!ArrayBufferIsView(value) && !isArrayBuffer(value)) {
      const error = new TypeError("KV put() accepts streams of bytes: a chunk is neither an ArrayBuffer nor a view of one");
      await readableStreamCancel(stream, error);
      throw error;
    }
    const bytes = ArrayBufferIsView(value) ? bytesOfView(value) : new Uint8Array(value);
    length += TypedArrayPrototypeGetByteLength(bytes);
    if (length > VALUE_BYTES_MAX) {
      await readableStreamCancel(stream, undefined);
      throw tooLong(length);
    }
    ArrayPrototypePush(chunks, bytes);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of new SafeArrayIterator(chunks)) {
    TypedArrayPrototypeSet(whole, chunk, at);
    at += TypedArrayPrototypeGetByteLength(chunk);
  }
  return whole;
}

/** The bytes of a value, or a promise of them. */
function bytesOf(value) {
  if (typeof value !== "object" && typeof value !== "function" || value === null) return core.encode(`${value}`);
  if (ArrayBufferIsView(value)) return bytesOfView(value);
  if (isAnyArrayBuffer(value)) return new Uint8Array(value);
  if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value)) return collect(value);
  throw new TypeError("KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values.");
}

function metadataText(metadata) {
  if (metadata === undefined || metadata === null) return null;
  const json = JSONStringify(metadata);
  if (json === undefined) throw new TypeError("KV put() accepts only metadata that JSON.stringify() can write.");
  return text(json);
}

async function put(name, key, value, options) {
  if (options !== undefined && options !== null && typeof options !== "object") {
    throw new TypeError("Failed to execute 'put' on 'KvNamespace': parameter 3 is not of type 'PutOptions'.");
  }
  const event = currentEvent();
  const keyText = text(key);
  const ttl = integer(options?.expirationTtl);
  const expiration = integer64(options?.expiration);
  const metadata = metadataText(options?.metadata);
  const given = bytesOf(value);
  const bytes = core.isPromise(given) ? await given : given;
  const length = TypedArrayPrototypeGetByteLength(bytes);
  if (length > VALUE_BYTES_MAX) throw tooLong(length);
  // The op makes a copy.
  if (length > LARGE_BYTES) op_isopod_room_for_memory(length, false);
  await op_isopod_kv_put(name, keyText, bytes, metadata, ttl, expiration, event);
}

/** The same for a time, which need not fit into 32 bits. A given `NaN` is 0. */
function integer64(value) {
  if (value === undefined || value === null) return NaN;
  const number = +value;
  return NumberIsNaN(number) ? 0 : number;
}

async function remove(name, key) {
  await op_isopod_kv_delete(name, text(key), currentEvent());
}

// ---- listing

async function list(name, options) {
  const prefix = text(options?.prefix ?? "");
  const cursor = text(options?.cursor ?? "");
  const limit = (options?.limit ?? 0) | 0;
  const page = await op_isopod_kv_list(name, prefix, limit, cursor, currentEvent());
  const keys = ArrayPrototypeMap(page.keys, ({ name, expiration, metadata }) => {
    const key = { name };
    if (expiration !== null) key.expiration = expiration;
    if (metadata !== null) key.metadata = JSONParse(metadata);
    return key;
  });
  return page.cursor === null
    ? { keys, list_complete: true, cacheStatus: null }
    : { keys, list_complete: false, cursor: page.cursor, cacheStatus: null };
}

const constructKey = Symbol("construct");

class KvNamespace {
  #name;
  constructor(key, name) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#name = name;
  }
  /** Reads the value of a key, or a `Map` of those of several keys. */
  get(key, options = undefined) {
    return unlessEnded(get, undefined, [this.#name, key, options]);
  }
  getWithMetadata(key, options = undefined) {
    return unlessEnded(getWithMetadata, undefined, [this.#name, key, options]);
  }
  /** Resolves when the value is on the disk. */
  put(key, value, options = undefined) {
    return unlessEnded(put, undefined, [this.#name, key, value, options]);
  }
  delete(key) {
    return unlessEnded(remove, undefined, [this.#name, key]);
  }
  list(options = undefined) {
    return unlessEnded(list, undefined, [this.#name, options]);
  }
  get [SymbolToStringTag]() {
    return "KvNamespace";
  }
}

return { make: (name) => new KvNamespace(constructKey, name) };
})();
