// `http.Server`: https://nodejs.org/api/http.html#class-httpserver
// A server has no socket: `listen` assigns a port number, by which the functions of `cloudflare:node` find it.
// https://developers.cloudflare.com/workers/runtime-apis/nodejs/http/#server-side-methods

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSome,
  Error,
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  Number,
  ObjectDefineProperties,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  Promise,
  SafeMap,
  StringPrototypeIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  Symbol,
  SymbolAsyncDispose,
} = primordials;
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const { EventEmitter } = core.loadExtScript("ext:deno_node/_events.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateFunction, validateObject, validatePort } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);
const { toInnerRequest } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { endUnread, fill, IncomingMessage, later } = core.loadExtScript("ext:isopod_node/http/incoming.js");
const { Peer } = core.loadExtScript("ext:isopod_node/http/peer.js");
const { answerOf, ServerResponse } = core.loadExtScript("ext:isopod_node/http/response.js");

/** Listening servers by port. */
const servers = new SafeMap();
/** The first port that `listen(0)` assigns. */
const FIRST_PORT = 49152;

const kOptions = Symbol("options");
const kPort = Symbol("port");
const kHost = Symbol("host");

function Server(options = undefined, listener = undefined) {
  if (!ObjectPrototypeIsPrototypeOf(Server.prototype, this)) return new Server(options, listener);
  FunctionPrototypeCall(EventEmitter, this);
  if (typeof options === "function") {
    listener = options;
    options = undefined;
  } else if (options !== undefined && options !== null) {
    validateObject(options, "options");
  }
  if (listener) this.on("request", listener);
  this[kOptions] = { ...options };
  this[kPort] = null;
  this[kHost] = undefined;
  this.httpAllowHalfOpen = false;
  this.timeout = 0;
  this.keepAliveTimeout = options?.keepAliveTimeout ?? 5000;
  this.headersTimeout = options?.headersTimeout ?? 60_000;
  this.requestTimeout = options?.requestTimeout ?? 300_000;
  this.maxHeadersCount = null;
  this.maxRequestsPerSocket = 0;
  this.maxConnections = undefined;
}
ObjectSetPrototypeOf(Server.prototype, EventEmitter.prototype);
ObjectSetPrototypeOf(Server, EventEmitter);

// ---- listening

function addressInUse(port) {
  const error = new Error(`listen EADDRINUSE: address already in use :::${port}`);
  error.code = "EADDRINUSE";
  error.errno = -98;
  error.syscall = "listen";
  error.address = "::";
  error.port = port;
  return error;
}

/** `(options[, callback])` or `([port[, host[, backlog]]][, callback])`. Hosts are ignored. */
Server.prototype.listen = function listen(...args) {
  const last = args[args.length - 1];
  const callback = typeof last === "function" ? last : undefined;
  const { 0: first } = args;
  const options = first !== null && typeof first === "object" ? first : {
    port: typeof first === "function" ? undefined : first,
    host: typeof args[1] === "string" ? args[1] : undefined,
  };
  if (typeof options.path === "string" || typeof first === "string" && !(Number(first) >= 0)) {
    throw new errors.ERR_INVALID_ARG_VALUE("options", first, "must have a port: workers have no sockets of the file system");
  }
  if (this[kPort] !== null) throw new errors.ERR_SERVER_ALREADY_LISTEN();
  let port = Number(validatePort(options.port ?? 0, "options.port"));
  if (callback !== undefined) this.once("listening", callback);
  if (port === 0) {
    for (port = FIRST_PORT; MapPrototypeHas(servers, port);) port++;
  }
  const other = MapPrototypeGet(servers, port);
  if (other !== undefined && other[kHost] === options.host) {
    nextTick(() => this.emit("error", addressInUse(port)));
    return this;
  }
  this[kPort] = port;
  this[kHost] = options.host;
  // Servers with the same port on several addresses are equivalent.
  if (other === undefined) MapPrototypeSet(servers, port, this);
  nextTick(() => this.emit("listening"));
  return this;
};

Server.prototype.close = function close(callback = undefined) {
  const port = this[kPort];
  if (port === null) {
    if (callback !== undefined) nextTick(callback, new errors.ERR_SERVER_NOT_RUNNING());
    return this;
  }
  if (MapPrototypeGet(servers, port) === this) MapPrototypeDelete(servers, port);
  this[kPort] = null;
  if (callback !== undefined) this.once("close", callback);
  nextTick(() => this.emit("close"));
  return this;
};

Server.prototype[SymbolAsyncDispose] = function () {
  return new Promise((resolve) => this.close(resolve));
};

Server.prototype.address = function address() {
  return this[kPort] === null ? null : { address: "127.0.0.1", family: "IPv4", port: this[kPort] };
};

Server.prototype.getConnections = function getConnections(callback) {
  validateFunction(callback, "callback");
  nextTick(callback, null, 0);
  return this;
};

Server.prototype.setTimeout = function setTimeout(milliseconds, callback = undefined) {
  if (typeof milliseconds === "function") callback = milliseconds;
  else this.timeout = milliseconds;
  if (callback !== undefined) this.on("timeout", callback);
  return this;
};

Server.prototype.closeAllConnections = function closeAllConnections() {};
Server.prototype.closeIdleConnections = function closeIdleConnections() {};
Server.prototype.ref = function ref() {
  return this;
};
Server.prototype.unref = Server.prototype.ref;

ObjectDefineProperties(Server.prototype, {
  connections: { __proto__: null, configurable: true, get: () => 0 },
  listening: {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get() {
      return this[kPort] !== null;
    },
  },
});

// ---- requests

/** The path and query of a URL. */
function targetOf(url) {
  const start = StringPrototypeIndexOf(url, "/", StringPrototypeIndexOf(url, "://") + 3);
  const target = start < 0 ? "/" : StringPrototypeSlice(url, start);
  const hash = StringPrototypeIndexOf(target, "#");
  return hash < 0 ? target : StringPrototypeSlice(target, 0, hash);
}

/** Returns the headers of a request, with those that HTTP/1.1 requires. */
function headersOf(request) {
  const list = ArrayPrototypeSlice(toInnerRequest(request).headerList);
  const has = (wanted) => ArrayPrototypeSome(list, ({ 0: name }) => StringPrototypeToLowerCase(name) === wanted);
  if (!has("host")) ArrayPrototypePush(list, ["host", new URL(request.url).host]);
  if (request.body !== null && !has("content-length") && !has("transfer-encoding")) {
    ArrayPrototypePush(list, ["transfer-encoding", "chunked"]);
  }
  return list;
}

/** The messages of a request. */
function messagesOf(server, request) {
  const { IncomingMessage: Incoming = IncomingMessage, ServerResponse: Outgoing = ServerResponse } = server[kOptions];
  const { url } = request;
  const incoming = new Incoming(undefined);
  fill(incoming, headersOf(request), request.body);
  incoming.method = request.method;
  incoming.url = targetOf(url);
  const response = new Outgoing(incoming);
  const socket = () => {
    const peer = new Peer(response, {
      address: incoming.headers["cf-connecting-ip"],
      encrypted: StringPrototypeStartsWith(url, "https:"),
    });
    peer.server = server;
    peer._httpMessage = response;
    response._peer = peer;
    if (response.destroyed && !response.writableFinished) peer._end();
    return peer;
  };
  later(incoming, "socket", socket);
  later(incoming, "client", () => incoming.socket);
  later(response, "socket", () => incoming.socket);
  return { incoming, response };
}

/** Calls a server's listeners for a request. Returns a promise of the `Response`. */
function handle(server, request) {
  const { incoming, response } = messagesOf(server, request);
  const answer = answerOf(response);
  // The client has left, or the event's deadline has passed.
  request.signal.addEventListener("abort", () => {
    incoming.destroy();
    response.destroy();
  });
  response.once("close", () => endUnread(incoming, response.writableFinished));
  if (!server.emit("request", incoming, response)) {
    response.destroy(new Error('the server has no listener for "request": give one to createServer()'));
  }
  return answer;
}

const serverAt = (port) => MapPrototypeGet(servers, port);

/** https://nodejs.org/api/http.html#httpcreateserveroptions-requestlistener */
const createServer = (options, listener) => new Server(options, listener);

return { createServer, handle, Server, serverAt };
})();
