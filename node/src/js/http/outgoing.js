// `http.OutgoingMessage`: https://nodejs.org/api/http.html#class-httpoutgoingmessage
// Headers, and a body that is either whole in memory when the message ends, or a stream from its first write on.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  ArrayIsArray,
  ArrayPrototypePush,
  Error,
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  ObjectDefineProperties,
  ObjectKeys,
  ObjectSetPrototypeOf,
  SafeArrayIterator,
  SafeMap,
  SafeMapIterator,
  Symbol,
  SymbolIterator,
  StringPrototypeToLowerCase,
} = primordials;
const { Writable } = core.loadExtScript("ext:deno_node/internal/streams/writable.js");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateHeaderName, validateHeaderValue } = core.loadExtScript("ext:isopod_node/http/headers.js");
const { Sink } = core.loadExtScript("ext:isopod_node/http/sink.js");

const kFields = Symbol("headers");
const kSink = Symbol("sink");
/** Sends the body. Called once, with bytes, a stream, or null. */
const kSend = Symbol("send");
/** Called when the reader wants no more of the body. */
const kCancel = Symbol("cancel");

function OutgoingMessage(options = undefined) {
  FunctionPrototypeCall(Writable, this, {
    highWaterMark: options?.highWaterMark,
    decodeStrings: true,
    emitClose: true,
    autoDestroy: options?.autoDestroy ?? true,
  });
  this[kFields] = new SafeMap();
  this[kSink] = null;
  this.socket = null;
  this.finished = false;
  this.sendDate = true;
  this.shouldKeepAlive = true;
  this.chunkedEncoding = false;
  this.useChunkedEncodingByDefault = true;
  this.strictContentLength = false;
  this._header = null;
  this._headerSent = false;
  this._hasBody = true;
  this._removedHeader = {};
  this._trailer = "";
}
ObjectSetPrototypeOf(OutgoingMessage.prototype, Writable.prototype);
ObjectSetPrototypeOf(OutgoingMessage, Writable);

// ---- headers

function checkUnsent(message, action) {
  if (message._header !== null) throw new errors.ERR_HTTP_HEADERS_SENT(action);
}

/** Sets a header, whose value is a text, a number, or a list of texts. */
function set(message, name, value) {
  validateHeaderName(name);
  if (ArrayIsArray(value)) for (const one of new SafeArrayIterator(value)) validateHeaderValue(name, one);
  else validateHeaderValue(name, value);
  MapPrototypeSet(message[kFields], StringPrototypeToLowerCase(name), { __proto__: null, name, value });
}

OutgoingMessage.prototype.setHeader = function setHeader(name, value) {
  checkUnsent(this, "set");
  set(this, name, value);
  return this;
};

OutgoingMessage.prototype.setHeaders = function setHeaders(headers) {
  checkUnsent(this, "set");
  if (typeof headers?.[SymbolIterator] !== "function" || ArrayIsArray(headers)) {
    throw new errors.ERR_INVALID_ARG_TYPE("headers", ["Headers", "Map"], headers);
  }
  const cookies = [];
  for (const { 0: name, 1: value } of headers) {
    // `Headers` takes cookies one by one.
    if (name === "set-cookie") ArrayPrototypePush(cookies, ...new SafeArrayIterator(ArrayIsArray(value) ? value : [value]));
    else set(this, name, value);
  }
  if (cookies.length > 0) set(this, "set-cookie", cookies);
  return this;
};

/** Adds a value to those of a header. */
function append(message, name, value) {
  const before = MapPrototypeGet(message[kFields], StringPrototypeToLowerCase(name));
  if (before === undefined) return set(message, name, value);
  const values = (given) => new SafeArrayIterator(ArrayIsArray(given) ? given : [given]);
  set(message, before.name, [...values(before.value), ...values(value)]);
}

OutgoingMessage.prototype.appendHeader = function appendHeader(name, value) {
  checkUnsent(this, "append");
  append(this, name, value);
  return this;
};

OutgoingMessage.prototype.getHeader = function getHeader(name) {
  if (typeof name !== "string") throw new errors.ERR_INVALID_ARG_TYPE("name", ["string"], name);
  return MapPrototypeGet(this[kFields], StringPrototypeToLowerCase(name))?.value;
};

OutgoingMessage.prototype.hasHeader = function hasHeader(name) {
  if (typeof name !== "string") throw new errors.ERR_INVALID_ARG_TYPE("name", ["string"], name);
  return MapPrototypeHas(this[kFields], StringPrototypeToLowerCase(name));
};

OutgoingMessage.prototype.removeHeader = function removeHeader(name) {
  if (typeof name !== "string") throw new errors.ERR_INVALID_ARG_TYPE("name", ["string"], name);
  checkUnsent(this, "remove");
  const lower = StringPrototypeToLowerCase(name);
  if (lower === "date") this.sendDate = false;
  MapPrototypeDelete(this[kFields], lower);
};

OutgoingMessage.prototype.getHeaders = function getHeaders() {
  const headers = { __proto__: null };
  for (const { 0: lower, 1: { value } } of new SafeMapIterator(this[kFields])) headers[lower] = value;
  return headers;
};

OutgoingMessage.prototype.getHeaderNames = function getHeaderNames() {
  return ObjectKeys(this.getHeaders());
};

OutgoingMessage.prototype.getRawHeaderNames = function getRawHeaderNames() {
  const names = [];
  for (const { 1: { name } } of new SafeMapIterator(this[kFields])) ArrayPrototypePush(names, name);
  return names;
};

/** The headers as a list of names and values, for `Headers`. */
function headerList(message) {
  const list = [];
  for (const { 1: { name, value } } of new SafeMapIterator(message[kFields])) {
    const values = ArrayIsArray(value) ? value : [value];
    for (const one of new SafeArrayIterator(values)) ArrayPrototypePush(list, [name, `${one}`]);
  }
  return list;
}

/** Trailers are not sent, as on Workers. */
OutgoingMessage.prototype.addTrailers = function addTrailers() {};

// ---- body

/** Starts sending, with a stream of the bytes that are written from now on. */
function stream(message) {
  if (message[kSink] !== null || message._headerSent) return;
  if (message._header === null) message._implicitHeader();
  message._headerSent = true;
  message[kSink] = new Sink(() => message[kCancel]());
  message[kSend](message._hasBody ? message[kSink].stream : null);
}

OutgoingMessage.prototype._implicitHeader = function _implicitHeader() {
  throw new errors.ERR_METHOD_NOT_IMPLEMENTED("_implicitHeader()");
};

OutgoingMessage.prototype.flushHeaders = function flushHeaders() {
  if (this.destroyed) return;
  stream(this);
};

OutgoingMessage.prototype._write = function _write(chunk, _encoding, callback) {
  stream(this);
  if (this._hasBody) this[kSink].write(chunk, callback);
  else callback();
};

OutgoingMessage.prototype._writev = function _writev(chunks, callback) {
  const parts = [];
  for (const { chunk } of new SafeArrayIterator(chunks)) ArrayPrototypePush(parts, chunk);
  this._write(Buffer.concat(parts), "buffer", callback);
};

OutgoingMessage.prototype._final = function _final(callback) {
  this[kSink]?.end();
  callback();
};

function bytesOf(chunk, encoding) {
  if (typeof chunk === "string") return Buffer.from(chunk, encoding);
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

const isData = (chunk) => typeof chunk === "string" || ArrayBufferIsView(chunk);

OutgoingMessage.prototype.end = function end(chunk = undefined, encoding = undefined, callback = undefined) {
  if (typeof chunk === "function") {
    callback = chunk;
    chunk = undefined;
  } else if (typeof encoding === "function") {
    callback = encoding;
    encoding = undefined;
  }
  const hasChunk = chunk !== undefined && chunk !== null;
  const isWhole = !this.finished && !this._headerSent && !this.destroyed && this.writableLength === 0;
  // Writable reports any other kind of chunk.
  if (!isWhole || (hasChunk && !isData(chunk))) {
    this.finished = true;
    return FunctionPrototypeCall(Writable.prototype.end, this, chunk, encoding, callback);
  }
  this.finished = true;
  const bytes = hasChunk ? bytesOf(chunk, encoding) : null;
  if (this._header === null) {
    this._contentLength = bytes === null ? 0 : bytes.length;
    this._implicitHeader();
  }
  this._headerSent = true;
  this[kSend](this._hasBody ? bytes : null);
  return FunctionPrototypeCall(Writable.prototype.end, this, callback);
};

OutgoingMessage.prototype._destroy = function _destroy(error, callback) {
  this[kSink]?.fail(error ?? new Error("the message was destroyed before it was written to its end"));
  callback(error);
};

OutgoingMessage.prototype.setTimeout = function setTimeout(milliseconds, callback = undefined) {
  if (callback !== undefined) this.on("timeout", callback);
  this.socket?.setTimeout(milliseconds);
  return this;
};

OutgoingMessage.prototype.pipe = function pipe() {
  this.destroy(new errors.ERR_STREAM_CANNOT_PIPE());
};

ObjectDefineProperties(OutgoingMessage.prototype, {
  connection: {
    __proto__: null,
    configurable: true,
    get() {
      return this.socket;
    },
    set(socket) {
      this.socket = socket;
    },
  },
  headersSent: {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get() {
      return this._header !== null;
    },
  },
});

return { append, headerList, kCancel, kSend, OutgoingMessage, set };
})();
