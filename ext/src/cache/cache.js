// `caches`, with the interfaces of Workers: https://developers.cloudflare.com/workers/runtime-apis/cache/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_cache_check, op_isopod_cache_delete, op_isopod_cache_match, op_isopod_cache_put, op_isopod_room_for_memory } = core.ops;
const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { askForText, COPY, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const { sourceOf } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { InnerBody } = core.loadExtScript("ext:deno_fetch/22_body.js");
const { toInnerRequest } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { fromInnerResponse, newInnerResponse, toInnerResponse } = core.loadExtScript("ext:deno_fetch/23_response.js");
const { Request, Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const {
  Error,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypeError,
} = primordials;

const constructKey = Symbol("construct");

const wrongParameter = (of, method, parameter, type) =>
  new TypeError(`Failed to execute '${method}' on '${of}': parameter ${parameter} is not of type '${type}'.`);

function requestOf(input, method) {
  if (input === undefined) throw wrongParameter("Cache", method, 1, "Request or string");
  return toInnerRequest(ObjectPrototypeIsPrototypeOf(Request.prototype, input) ? input : new Request(input));
}

/** Returns true for requests for which no response is stored. */
const isOther = (request, options) => request.method !== "GET" && !options?.ignoreMethod;

async function find(name, input, options) {
  const request = requestOf(input, "match");
  if (isOther(request, options)) return undefined;
  const found = await op_isopod_cache_match(name, request.currentUrl(), request.headerList, currentEvent());
  if (found === null) return undefined;
  const response = newInnerResponse(found.status, found.statusText);
  response.headerList = found.headers;
  if (found.isEncoded) response.encodeBody = "manual";
  if (found.body !== null) response.body = new InnerBody(streams.readableStreamForRid(found.body));
  return fromInnerResponse(response, "immutable");
}

/** Takes the body of a response at once, which makes it used. */
function take(inner) {
  if (inner.body === null) return { __proto__: null, bytes: null, rid: null, hasFailed: false, error: undefined };
  if (inner.body.unusable()) {
    throw new TypeError(
      "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.",
    );
  }
  const given = sourceOf(inner.body.stream, inner.body.length ?? null);
  const length = given.bytes === null ? 0 : TypedArrayPrototypeGetByteLength(given.bytes);
  // The op makes a copy.
  if (length > LARGE_BYTES) op_isopod_room_for_memory(length, false);
  return given;
}

async function put(name, input, response) {
  if (!ObjectPrototypeIsPrototypeOf(Response.prototype, response)) throw wrongParameter("Cache", "put", 2, "Response");
  const inner = toInnerResponse(response);
  if (inner.type === "error") throw new TypeError("Cache is unable to store an error response");
  const request = requestOf(input, "put");
  if (request.method !== "GET") throw new TypeError("Cannot cache response to non-GET request.");
  if (inner.status === 101) throw new TypeError("Cannot cache WebSocket upgrade response.");
  // The answer to a conditional request is useless to others. As in workerd, it is ignored.
  if (inner.status === 304) return;
  op_isopod_cache_check(inner.status, inner.headerList);
  const given = take(inner);
  try {
    await op_isopod_cache_put(
      name,
      request.currentUrl(),
      inner.status,
      [request.headerList, inner.headerList],
      given.bytes,
      given.rid,
      inner.encodeBody === "manual",
      currentEvent(),
    );
  } catch (error) {
    throw given.hasFailed ? given.error : error;
  }
}

async function remove(name, input, options) {
  const request = requestOf(input, "delete");
  if (isOther(request, options)) return false;
  return await op_isopod_cache_delete(name, request.currentUrl(), currentEvent());
}

/** Makes the standard's methods throw that Workers do not support. */
function leaveOut(Interface, of, methods) {
  for (const method of new SafeArrayIterator(methods)) {
    const missing = {
      [method]() {
        throw new Error(`Failed to execute '${method}' on '${of}': the method is not implemented.`);
      },
    };
    ObjectDefineProperty(Interface.prototype, method, {
      __proto__: null,
      value: missing[method],
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}

class Cache {
  /** The name; `null` for the default cache. */
  #name;
  constructor(key, name) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#name = name;
  }
  match(request, options = undefined) {
    return unlessEnded(find, undefined, [this.#name, request, options]);
  }
  /** Stores a response, if its headers permit it. */
  put(request, response) {
    return unlessEnded(put, undefined, [this.#name, request, response]);
  }
  delete(request, options = undefined) {
    return unlessEnded(remove, undefined, [this.#name, request, options]);
  }
  get [SymbolToStringTag]() {
    return "Cache";
  }
}
leaveOut(Cache, "Cache", ["add", "addAll", "matchAll", "keys"]);

async function open(name) {
  if (name === undefined) throw wrongParameter("CacheStorage", "open", 1, "string");
  const text = `${name}`;
  askForText(text, COPY);
  return new Cache(constructKey, text);
}

class CacheStorage {
  #default = new Cache(constructKey, null);
  constructor(key) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
  }
  get default() {
    return this.#default;
  }
  open(cacheName) {
    return unlessEnded(open, undefined, [cacheName]);
  }
  get [SymbolToStringTag]() {
    return "CacheStorage";
  }
}
leaveOut(CacheStorage, "CacheStorage", ["match", "has", "delete", "keys"]);

return { Cache, CacheStorage, caches: new CacheStorage(constructKey) };
})();
