// `http.request` and `http.get`: https://nodejs.org/api/http.html#httprequestoptions-callback
// Implemented with `fetch`, under its rules and limits: https://developers.cloudflare.com/workers/runtime-apis/nodejs/http/

(function () {
const { core, internals, primordials } = __bootstrap;
const {
  ArrayIsArray,
  ArrayPrototypePush,
  Error,
  FunctionPrototypeCall,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  ReflectApply,
  RegExpPrototypeTest,
  SafeArrayIterator,
  SafeRegExp,
  StringPrototypeIncludes,
  StringPrototypeToUpperCase,
  Symbol,
} = primordials;
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const { AbortController } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const { fetch } = core.loadExtScript("ext:isopod_fetch/fetch.js");
const { setStreamLength } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { toInnerResponse } = core.loadExtScript("ext:deno_fetch/23_response.js");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const { urlToHttpOptions } = core.loadExtScript("ext:deno_node/internal/url.ts");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateFunction, validateNumber } = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const { isToken } = core.loadExtScript("ext:isopod_node/http/headers.js");
const { isIP } = core.loadExtScript("ext:isopod_node/net/addresses.js");
const { Agent } = core.loadExtScript("ext:isopod_node/http/agent.js");
const { connectionReset, fill, IncomingMessage } = core.loadExtScript("ext:isopod_node/http/incoming.js");
const { append, headerList, kCancel, kSend, OutgoingMessage } = core.loadExtScript("ext:isopod_node/http/outgoing.js");
const { Peer } = core.loadExtScript("ext:isopod_node/http/peer.js");
const { setTimeout, clearTimeout } = internals.isopodNode.timers;

const kUrl = Symbol("url");
const kAbort = Symbol("abort");
const kTimer = Symbol("timer");

/** Methods that have no body unless one is written. */
const BODILESS = new SafeRegExp(/^(?:CONNECT|DELETE|GET|HEAD|OPTIONS|TRACE)$/);
// deno-lint-ignore no-control-regex
const INVALID_PATH = new SafeRegExp(/[^\x21-\xff]/);

/** Unsupported options about connections and their identities, which `fetch` does not have. */
const REFUSED = ["ca", "cert", "key", "pfx", "createConnection", "localAddress", "lookup", "socketPath"];

function refuse(option) {
  const error = new Error(
    `the option ${option} of a request is not available in workers: fetch() makes the connections; use node:tls or node:net`,
  );
  error.code = "ERR_OPTION_NOT_IMPLEMENTED";
  throw error;
}

function checkOptions(options) {
  const all = { ...options.agent?.options, ...options };
  if (all.rejectUnauthorized === false) refuse("rejectUnauthorized");
  for (const name of new SafeArrayIterator(REFUSED)) {
    if (all[name] !== undefined && all[name] !== null) refuse(name);
  }
}

/** `(url[, options][, callback])` or `(options[, callback])`. */
function requestArguments(args) {
  const last = args[args.length - 1];
  const callback = typeof last === "function" ? last : undefined;
  const { 0: first, 1: second } = args;
  const others = second !== null && typeof second === "object" ? second : undefined;
  if (typeof first === "string") return { options: { ...urlToHttpOptions(new URL(first)), ...others }, callback };
  if (ObjectPrototypeIsPrototypeOf(URL.prototype, first)) {
    return { options: { ...urlToHttpOptions(first), ...others }, callback };
  }
  return { options: { ...first }, callback };
}

function urlOf(request, { protocol, port, defaultPort }, host) {
  const bare = isIP(host) === 6 ? `[${host}]` : host;
  const isDefault = port === undefined || port === null || port === "" || +port === +defaultPort;
  const path = StringPrototypeIncludes(request.path, "://") ? refuse("path") : request.path;
  return `${protocol}//${bare}${isDefault ? "" : `:${port}`}${path[0] === "/" || path === "" ? "" : "/"}${path}`;
}

function ClientRequest(...args) {
  if (!ObjectPrototypeIsPrototypeOf(ClientRequest.prototype, this)) return new ClientRequest(...new SafeArrayIterator(args));
  FunctionPrototypeCall(OutgoingMessage, this, { autoDestroy: false });
  const { options, callback } = requestArguments(args);
  const defaultAgent = options._defaultAgent ?? globalAgent;
  const agent = options.agent === false || !options.agent ? defaultAgent : options.agent;
  const protocol = options.protocol || defaultAgent.protocol;
  const expected = agent.protocol;
  if (expected !== undefined && protocol !== expected) throw new errors.ERR_INVALID_PROTOCOL(protocol, expected);
  checkOptions(options);
  const host = options.hostname || options.host || "localhost";
  const path = options.path ? `${options.path}` : "/";
  if (RegExpPrototypeTest(INVALID_PATH, path)) throw new errors.ERR_UNESCAPED_CHARACTERS("Request path");
  const { method = "GET" } = options;
  if (!isToken(method)) throw new errors.ERR_INVALID_HTTP_TOKEN("Method", method);
  this.agent = agent;
  this.protocol = protocol;
  this.host = host;
  this.path = path;
  this.method = StringPrototypeToUpperCase(method);
  this.res = null;
  this.aborted = false;
  this.reusedSocket = false;
  this.maxHeadersCount = null;
  this.timeout = undefined;
  this.useChunkedEncodingByDefault = !RegExpPrototypeTest(BODILESS, this.method);
  const defaultPort = options.defaultPort ?? agent.defaultPort ?? (protocol === "https:" ? 443 : 80);
  this[kUrl] = urlOf(this, { protocol, port: options.port, defaultPort }, host);
  this[kAbort] = null;
  this[kTimer] = null;
  addHeaders(this, options, host, defaultPort);
  if (callback !== undefined) this.once("response", callback);
  if (options.timeout !== undefined) this.setTimeout(options.timeout);
  if (options.signal) {
    const { signal } = options;
    const abort = () => this.destroy(new errors.AbortError(undefined, { cause: signal.reason }));
    if (signal.aborted) nextTick(abort);
    else signal.addEventListener("abort", abort, { once: true });
  }
  this.socket = new Peer(this, { address: undefined, encrypted: protocol === "https:" });
  nextTick(() => {
    if (!this.destroyed) this.emit("socket", this.socket);
  });
}
ObjectSetPrototypeOf(ClientRequest.prototype, OutgoingMessage.prototype);
ObjectSetPrototypeOf(ClientRequest, OutgoingMessage);

function addHeaders(request, { auth, headers, port, setHost }, host, defaultPort) {
  if (ArrayIsArray(headers)) {
    const isFlat = !ArrayIsArray(headers[0]);
    for (let i = 0; i < headers.length; i += isFlat ? 2 : 1) {
      if (isFlat) append(request, headers[i], headers[i + 1]);
      else append(request, headers[i][0], headers[i][1]);
    }
  } else if (headers) {
    for (const name of new SafeArrayIterator(ObjectKeys(headers))) request.setHeader(name, headers[name]);
  }
  if (setHost !== false && !request.hasHeader("host")) {
    const isDefault = port === undefined || port === null || port === "" || +port === +defaultPort;
    const bare = isIP(host) === 6 ? `[${host}]` : host;
    request.setHeader("Host", isDefault ? bare : `${bare}:${port}`);
  }
  if (auth && !request.hasHeader("authorization")) {
    request.setHeader("Authorization", `Basic ${Buffer.from(auth).toString("base64")}`);
  }
}

ClientRequest.prototype._implicitHeader = function _implicitHeader() {
  this._header = `${this.method} ${this.path} HTTP/1.1\r\n`;
};

// ---- sending

ClientRequest.prototype[kSend] = function send(body) {
  const controller = this[kAbort] = new AbortController();
  const headers = [];
  for (const { 0: name, 1: value } of new SafeArrayIterator(headerList(this))) {
    if (!RegExpPrototypeTest(OWN, name)) ArrayPrototypePush(headers, [name, value]);
  }
  // Bodies are passed on undecoded, so the server must not choose a coding that was not requested.
  if (!this.hasHeader("accept-encoding")) ArrayPrototypePush(headers, ["accept-encoding", "identity"]);
  const init = {
    __proto__: null,
    method: this.method,
    headers,
    redirect: "manual",
    signal: controller.signal,
    encodeResponseBody: "manual",
  };
  if (body !== null) {
    init.body = body;
    if (body.getReader !== undefined) {
      init.duplex = "half";
      const length = this.getHeader("content-length");
      if (length !== undefined && +length >= 0) setStreamLength(body, +length);
    }
  }
  PromisePrototypeThen(fetch(this[kUrl], init), (response) => respond(this, response), (error) => {
    if (!this.destroyed) this.destroy(failureOf(error, this));
  });
};

/** Headers that follow from the URL, the body and the connection. */
const OWN = new SafeRegExp(/^(?:host|connection|content-length|keep-alive|transfer-encoding)$/i);

ClientRequest.prototype[kCancel] = function cancel() {
  // The server reads no more of the body, and may still answer.
};

ClientRequest.prototype.flushHeaders = function flushHeaders() {
  // Without a body, only the end of the request follows.
  if (this.useChunkedEncodingByDefault) FunctionPrototypeCall(OutgoingMessage.prototype.flushHeaders, this);
};

function respond(request, response) {
  if (request.destroyed) {
    if (response.body !== null) PromisePrototypeThen(response.body.cancel(), undefined, () => {});
    return;
  }
  const inner = toInnerResponse(response);
  const incoming = request.res = new IncomingMessage(request.socket);
  fill(incoming, inner.headerList, response.body);
  incoming.statusCode = response.status;
  incoming.statusMessage = response.statusText;
  incoming.url = "";
  incoming.req = request;
  stopTimer(request);
  incoming.once("close", () => request.destroy());
  // As in Node.js, a response without a listener is read and dropped.
  if (!request.emit("response", incoming)) incoming._dump();
}

const CAUSES = [
  [new SafeRegExp(/refused/i), "ECONNREFUSED"],
  [new SafeRegExp(/dns error|lookup|resolve|no address/i), "ENOTFOUND"],
  [new SafeRegExp(/timed out|no response within/i), "ETIMEDOUT"],
  [new SafeRegExp(/reset|closed before|broken pipe/i), "ECONNRESET"],
];

/** An error of `fetch` with the code that Node.js has for it, if there is one. */
function failureOf(error, { host }) {
  const cause = error?.cause;
  const text = cause?.message ?? error?.message ?? `${error}`;
  const failed = new Error(text, { cause: error });
  for (const { 0: pattern, 1: code } of new SafeArrayIterator(CAUSES)) {
    if (RegExpPrototypeTest(pattern, text)) {
      failed.code = code;
      failed.syscall = code === "ENOTFOUND" ? "getaddrinfo" : "connect";
      failed.hostname = host;
      break;
    }
  }
  return failed;
}

// ---- the end

ClientRequest.prototype._destroy = function _destroy(error, callback) {
  stopTimer(this);
  this[kAbort]?.abort();
  // A connection outlives the messages that were whole.
  if (!this.res?.complete) this.socket?._end(error);
  if (this.res !== null && !this.res.complete) this.res.destroy(error ?? connectionReset("aborted"));
  // A request that is destroyed before its response is an error.
  const failed = error ?? (this.res === null ? connectionReset("socket hang up") : null);
  FunctionPrototypeCall(OutgoingMessage.prototype._destroy, this, failed, callback);
};

ClientRequest.prototype.abort = function abort() {
  if (this.aborted) return;
  this.aborted = true;
  nextTick(() => this.emit("abort"));
  this.destroy();
};

function stopTimer(request) {
  if (request[kTimer] !== null) ReflectApply(clearTimeout, globalThis, [request[kTimer]]);
  request[kTimer] = null;
}

/** Emits `timeout` after a time without a response. */
ClientRequest.prototype.setTimeout = function (milliseconds, callback = undefined) {
  validateNumber(milliseconds, "msecs", 0);
  if (callback !== undefined) {
    validateFunction(callback, "callback");
    this.once("timeout", callback);
  }
  stopTimer(this);
  this.timeout = milliseconds;
  if (milliseconds > 0) {
    this[kTimer] = ReflectApply(setTimeout, globalThis, [() => {
      this[kTimer] = null;
      if (this.destroyed || this.res !== null) return;
      this.socket.emit("timeout");
      this.emit("timeout");
    }, milliseconds]);
  }
  return this;
};

ClientRequest.prototype.setNoDelay = function setNoDelay() {};
ClientRequest.prototype.setSocketKeepAlive = function setSocketKeepAlive() {};
ClientRequest.prototype.clearTimeout = function clearTimeout(callback) {
  this.setTimeout(0, callback);
};
ClientRequest.prototype.onSocket = function onSocket() {};

const globalAgent = new Agent({ keepAlive: true, scheduling: "lifo", timeout: 5000 });

/** https://nodejs.org/api/http.html#httprequesturl-options-callback */
function request(...args) {
  return new ClientRequest(...new SafeArrayIterator(args));
}

function get(...args) {
  const sent = request(...new SafeArrayIterator(args));
  sent.end();
  return sent;
}

return { ClientRequest, get, globalAgent, request, requestArguments };
})();
