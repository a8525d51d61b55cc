// The `Request` passed to a fetch handler. Its properties are computed on first use.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_request_body,
  op_isopod_request_bytes,
  op_isopod_request_cf,
  op_isopod_request_header,
  op_isopod_request_headers,
  op_isopod_request_text,
} = core.ops;
const { FunctionPrototypeCall, JSONParse, JSONStringify, ObjectDefineProperty, RangeError, Uint8Array } = primordials;

const { readableStreamForRid } = core.loadExtScript("ext:deno_web/06_streams.js");
const { InnerBody } = core.loadExtScript("ext:deno_fetch/22_body.js");
const { fromInnerRequest, processUrlList, RequestPrototype, toInnerRequest } = core.loadExtScript(
  "ext:deno_fetch/23_request.js",
);
const { cfKey, originalKey } = core.loadExtScript("ext:isopod_fetch/responses.js");

// In the order of `COMMON_METHODS` in begin.rs.
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

let heldFor;

/**
 * The inner object of deno's `Request`. It has the properties that `newInnerRequest()` gives it, without creating functions for each
 * request, and reads headers one by one.
 */
class IncomingRequest {
  #held;
  #url;
  #urls = null;
  #urlsProcessed = null;
  #headers = null;
  /** The number of bytes in memory for which no body has been created yet; 0 if there are none. */
  #waiting;
  #body;
  method;
  // https://developers.cloudflare.com/workers/runtime-apis/request/: the client follows redirects.
  redirectMode = "manual";
  redirectCount = 0;
  clientRid = null;
  blobUrlEntry = null;
  encodeResponseBody = undefined;
  [cfKey] = undefined;
  constructor(held, method, url, waiting, body) {
    this.#held = held;
    this.#url = url;
    this.#waiting = waiting;
    this.#body = body;
    this.method = typeof method === "number" ? METHODS[method] : method;
  }
  get body() {
    if (this.#waiting > 0) {
      const bytes = new Uint8Array(this.#waiting);
      op_isopod_request_bytes(this.#held.key, bytes);
      const body = new InnerBody({ body: bytes, consumed: false });
      body.source = bytes;
      body.length = this.#waiting;
      this.#body = body;
      this.#waiting = 0;
    }
    return this.#body;
  }
  set body(body) {
    this.#body = body;
    this.#waiting = 0;
  }
  /** Reads a body in memory as a text, if no body has been created for it yet. Used by deno's `Request.json()`. */
  consumeTextBody() {
    if (this.#waiting === 0) return undefined;
    const text = op_isopod_request_text(this.#held.key);
    const body = new InnerBody({ body: "", consumed: true });
    body.length = this.#waiting;
    this.#body = body;
    this.#waiting = 0;
    return text;
  }
  get headerList() {
    return this.#headers ??= op_isopod_request_headers(this.#held.key);
  }
  set headerList(list) {
    this.#headers = list;
  }
  /** The value of one header, or `null`. */
  header(name) {
    return op_isopod_request_header(this.#held.key, name);
  }
  get urlList() {
    return this.#urls ??= [() => this.#url];
  }
  get urlListProcessed() {
    return this.#urlsProcessed ??= [];
  }
  url() {
    return this.#url;
  }
  currentUrl() {
    if (this.#urls === null) return this.#url;
    const urls = processUrlList(this.urlList, this.urlListProcessed);
    return urls[urls.length - 1];
  }
  /** Calls this when the client has left, or the event's time is over. */
  onCancel(callback) {
    const held = this.#held;
    const before = held.onCancel;
    held.onCancel = () => {
      before?.();
      callback();
    };
  }
  static {
    heldFor = (inner) => #held in inner ? inner.#held : undefined;
    // Scripts can reach an inner request, and must not create others.
    delete this.prototype.constructor;
  }
}

/**
 * Properties of the connection: https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties
 * A request of a script has the properties given to its constructor, or those of the request that it was created from.
 */
function cfOf(inner) {
  if (inner[cfKey] !== undefined) return inner[cfKey];
  const held = heldFor(inner);
  let cf;
  if (held !== undefined) {
    cf = op_isopod_request_cf(held.key) ?? undefined;
    if (typeof cf === "string") cf = JSONParse(cf);
  } else if (inner[originalKey] !== undefined) {
    cf = cfOf(inner[originalKey]);
  }
  return inner[cfKey] = cf;
}

/** The longest `cf`, in UTF-16 code units of its JSON. */
const CF_MAX = 65_536;

/** The `cf` of a request as JSON, for another worker; `null` without one. */
function cfText(request) {
  const cf = cfOf(request);
  const text = cf === undefined ? null : JSONStringify(cf) ?? null;
  if (text !== null && text.length > CF_MAX) {
    throw new RangeError(`the cf of a request to a service must not be longer than ${CF_MAX} characters as JSON`);
  }
  return text;
}

ObjectDefineProperty(RequestPrototype, "cf", {
  __proto__: null,
  configurable: true,
  enumerable: true,
  get: function cf() {
    return cfOf(toInnerRequest(this));
  },
});

const { clone: cloneRequest } = RequestPrototype;
ObjectDefineProperty(RequestPrototype, "clone", {
  __proto__: null,
  configurable: true,
  enumerable: true,
  writable: true,
  value: function clone() {
    const second = FunctionPrototypeCall(cloneRequest, this);
    toInnerRequest(second)[cfKey] = this.cf;
    return second;
  },
});

/** `length`: the length of a body in memory; 0 without a body, -1 for a large one or one that has yet to be received. */
const makeRequest = (function makeRequest(held, method, url, length) {
  const body = length < 0 ? new InnerBody(readableStreamForRid(op_isopod_request_body(held.key))) : null;
  const waiting = length < 0 ? 0 : length;
  return fromInnerRequest(new IncomingRequest(held, method, url, waiting, body), "immutable");
});

return { cfText, makeRequest };
})();
