// `http.ServerResponse`: https://nodejs.org/api/http.html#class-httpserverresponse
// It becomes the `Response` of a fetch handler.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayIsArray,
  Error,
  FunctionPrototypeCall,
  NumberIsInteger,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  Promise,
  SafeArrayIterator,
  Symbol,
} = primordials;
const { Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { setStreamLength } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { hasInvalidCharacter } = core.loadExtScript("ext:isopod_node/http/headers.js");
const { STATUS_CODES } = core.loadExtScript("ext:isopod_node/http/names.js");
const { append, headerList, kCancel, kSend, OutgoingMessage, set } = core.loadExtScript("ext:isopod_node/http/outgoing.js");

const kAnswer = Symbol("answer");

/** Statuses whose responses have no body: RFC 9110, section 15. */
const BODILESS = [204, 205, 304];

function ServerResponse(request, options = undefined) {
  if (!ObjectPrototypeIsPrototypeOf(ServerResponse.prototype, this)) return new ServerResponse(request, options);
  FunctionPrototypeCall(OutgoingMessage, this, options);
  this.req = request;
  this.statusCode = 200;
  this.statusMessage = undefined;
  this._sent100 = false;
  this._expect_continue = false;
  this._peer = null;
  if (request?.method === "HEAD") this._hasBody = false;
  this[kAnswer] = null;
}
ObjectSetPrototypeOf(ServerResponse.prototype, OutgoingMessage.prototype);
ObjectSetPrototypeOf(ServerResponse, OutgoingMessage);

/** Returns a promise of the `Response`, which resolves once the head is known. */
function answerOf(message) {
  return new Promise((resolve, reject) => {
    message[kAnswer] = { __proto__: null, resolve, reject };
  });
}

ServerResponse.prototype._implicitHeader = function _implicitHeader() {
  this.writeHead(this.statusCode);
};

/** https://nodejs.org/api/http.html#responsewriteheadstatuscode-statusmessage-headers */
ServerResponse.prototype.writeHead = function writeHead(statusCode, reason = undefined, headers = undefined) {
  if (this._header !== null) throw new errors.ERR_HTTP_HEADERS_SENT("write");
  const status = statusCode | 0;
  if (status < 100 || status > 999) throw new errors.ERR_HTTP_INVALID_STATUS_CODE(statusCode);
  if (typeof reason !== "string") {
    headers ??= reason;
    reason = undefined;
  }
  this.statusMessage = reason ?? this.statusMessage ?? STATUS_CODES[status] ?? "unknown";
  this.statusCode = status;
  if (hasInvalidCharacter(this.statusMessage)) throw new errors.ERR_INVALID_CHAR("statusMessage");
  if (ArrayIsArray(headers)) {
    writeList(this, headers);
  } else if (headers) {
    for (const name of new SafeArrayIterator(ObjectKeys(headers))) if (name) set(this, name, headers[name]);
  }
  for (const bodiless of new SafeArrayIterator(BODILESS)) if (status === bodiless) this._hasBody = false;
  this._header = `HTTP/1.1 ${status} ${this.statusMessage}\r\n`;
  return this;
};
ServerResponse.prototype.writeHeader = ServerResponse.prototype.writeHead;

/** Names and values in turn, or pairs of them. */
function writeList(message, list) {
  if (ArrayIsArray(list[0])) {
    for (const { 0: name, 1: value } of new SafeArrayIterator(list)) append(message, name, value);
    return;
  }
  if (list.length % 2 !== 0) throw new errors.ERR_INVALID_ARG_VALUE("headers", list);
  const seen = { __proto__: null };
  for (let i = 0; i < list.length; i += 2) {
    // The first value of a name replaces an earlier one, further values are added.
    if (seen[list[i]]) append(message, list[i], list[i + 1]);
    else set(message, list[i], list[i + 1]);
    seen[list[i]] = true;
  }
}

ServerResponse.prototype[kSend] = function send(body) {
  const answer = this[kAnswer];
  // A response without a server is written by its owner.
  if (answer === null) return;
  const headers = headerList(this);
  try {
    const init = { __proto__: null, status: this.statusCode, statusText: this.statusMessage, headers };
    // The body was written in its coding.
    if (this.hasHeader("content-encoding")) init.encodeBody = "manual";
    const length = +this.getHeader("content-length");
    const isStream = body !== null && body.getReader !== undefined;
    if (isStream && NumberIsInteger(length) && length >= 0) setStreamLength(body, length);
    answer.resolve(new Response(body, init));
  } catch (error) {
    answer.reject(error);
  }
};

/** The client has left. */
ServerResponse.prototype[kCancel] = function cancel() {
  this.destroy();
};

ServerResponse.prototype._destroy = function _destroy(error, callback) {
  this[kAnswer]?.reject(error ?? new Error("the response was destroyed before its head was written"));
  FunctionPrototypeCall(OutgoingMessage.prototype._destroy, this, error, (failed) => {
    callback(failed);
    // A connection outlives the messages that were whole.
    if (!this.writableFinished) this._peer?._end(failed);
  });
};

ServerResponse.prototype.assignSocket = function assignSocket(socket) {
  this.socket = socket;
  this.emit("socket", socket);
};

ServerResponse.prototype.detachSocket = function detachSocket() {
  this.socket = null;
};

// Nothing can be sent before the head of a `Response`.
const early = (name) => ({ [name](...args) {
  const callback = args[args.length - 1];
  if (typeof callback === "function") callback();
} }[name]);
for (const name of new SafeArrayIterator(["writeContinue", "writeEarlyHints", "writeProcessing"])) {
  ServerResponse.prototype[name] = early(name);
}

return { answerOf, ServerResponse };
})();
