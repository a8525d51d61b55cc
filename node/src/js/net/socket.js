// `net.Socket`: https://nodejs.org/api/net.html#class-netsocket
// A stream over a connection of `cloudflare:sockets`, under its limits. The connection ends with the event that opened it.

(function () {
const { core, internals, primordials } = __bootstrap;
const { op_void_async_deferred } = core.ops;
const {
  ArrayPrototypePush,
  Error,
  MathMax,
  Number,
  ObjectDefineProperties,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  ReflectApply,
  SafeArrayIterator,
  SafeWeakMap,
  StringPrototypeLastIndexOf,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  TypedArrayPrototypeSubarray,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const { Duplex } = core.loadExtScript("ext:deno_node/internal/streams/duplex.js");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateFunction, validateNumber, validatePort } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);
const { CHUNK_BYTES, open } = core.loadExtScript("ext:isopod_sockets/link.js");
const { isOfEndedEvent, nodeError } = core.loadExtScript("ext:isopod_node/net/errors.js");
const { isIP } = core.loadExtScript("ext:isopod_node/net/addresses.js");
const { performance } = core.loadExtScript("ext:deno_web/15_performance.js");
const { setTimeout, clearTimeout } = internals.isopodNode.timers;

/** The state of a socket besides its stream. Scripts cannot reach it. */
class State {
  /** The connection; null before there is one. */
  link = null;
  /** True once the connection is established, with TLS if requested. */
  isReady = false;
  /** Called once it is ready, or with an error. */
  waiting = [];
  /** True if reading starts once it is ready. */
  isAwaited = false;
  isReading = false;
  bytesRead = 0;
  bytesWritten = 0;
  host = undefined;
  port = undefined;
  remote = undefined;
  local = undefined;
  /** `{ buffer, callback }`, instead of events. */
  onread = null;
  timer = null;
  /** The time of the last byte. */
  active = 0;
  /** Called with the link once the connection is established, before it is ready. */
  onConnected = null;
}

const states = new SafeWeakMap();
const stateOf = (socket) => WeakMapPrototypeGet(states, socket);

function refusal(what) {
  const error = new Error(what);
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  return error;
}

function Socket(options) {
  if (!ObjectPrototypeIsPrototypeOf(Socket.prototype, this)) return new Socket(options);
  if (typeof options === "number" || options?.fd !== undefined || options?.handle) {
    throw refusal("a worker has no file descriptors, and no handles, for a Socket; use connect()");
  }
  const settings = { ...options, emitClose: false, autoDestroy: true, decodeStrings: true };
  settings.allowHalfOpen = !!settings.allowHalfOpen;
  ReflectApply(Duplex, this, [settings]);
  const state = new State();
  WeakMapPrototypeSet(states, this, state);
  state.onread = settings.onread ?? null;
  this.connecting = false;
  this.timeout = 0;
  this._hadError = false;
  this._host = null;
  this._parent = null;
  this.server = null;
}
ObjectSetPrototypeOf(Socket.prototype, Duplex.prototype);
ObjectSetPrototypeOf(Socket, Duplex);

/** The arguments of `connect`: `(options[, callback])` or `(port[, host][, callback])`. */
function connectArguments(args) {
  const { 0: first, length } = args;
  const callback = typeof args[length - 1] === "function" ? args[length - 1] : null;
  if (first !== null && typeof first === "object") return { options: first, callback };
  if (typeof first === "string" && !(Number(first) >= 0)) return { options: { path: first }, callback };
  const host = typeof args[1] === "string" ? args[1] : undefined;
  return { options: { port: first, host }, callback };
}

// ---- connecting

Socket.prototype.connect = function connect(...args) {
  const { options, callback } = connectArguments(args);
  const { host = "localhost", port, path, lookup } = options;
  if (path !== undefined && path !== null) {
    throw refusal("a worker cannot connect to a socket of the file system; give a port, and a host");
  }
  if (port === undefined) throw new errors.ERR_MISSING_ARGS(["options", "port", "path"]);
  validatePort(port, "options.port");
  if (lookup !== undefined) validateFunction(lookup, "options.lookup");
  if (this.destroyed || stateOf(this).link !== null) restart(this);
  const state = stateOf(this);
  if (callback !== null) this.once("connect", callback);
  if (options.onread) state.onread = options.onread;
  this.connecting = true;
  this._host = host;
  state.host = host;
  state.port = Number(port);
  if (options.timeout !== undefined) this.setTimeout(options.timeout);
  if (lookup === undefined || isIP(host) !== 0) {
    start(this, state, host);
    return this;
  }
  lookup(host, { family: options.family, hints: options.hints, all: false }, (error, address, family) => {
    this.emit("lookup", error, address, family, host);
    if (!this.connecting || stateOf(this) !== state) return;
    if (error) this.destroy(error);
    else start(this, state, typeof address === "string" ? address : address?.[0]?.address);
  });
  return this;
};

/** A socket may connect again once its connection is over. */
function restart(socket) {
  const { onread, onConnected } = stateOf(socket);
  socket._undestroy();
  const state = new State();
  state.onread = onread;
  state.onConnected = onConnected;
  WeakMapPrototypeSet(states, socket, state);
}

function start(socket, state, host) {
  // The stream decides how it ends, so that it may be half open.
  const link = state.link = open(host, state.port, "starttls", true);
  PromisePrototypeThen(link.opening, ({ remoteAddress, localAddress }) => {
    if (state.link !== link || socket.destroyed) return link.release();
    state.remote = remoteAddress;
    state.local = localAddress;
    socket.connecting = false;
    touch(socket, state);
    if (state.onConnected !== null) state.onConnected(link);
    else ready(socket, state);
    nextTick(connected, socket, state);
  }, (error) => {
    if (state.link === link) fail(socket, nodeError(error, "connect", state.host, state.port));
  });
}

function connected(socket, state) {
  if (socket.destroyed) return;
  socket.emit("connect");
  socket.emit("ready");
  if (state.isReady && socket.readable && !socket.isPaused()) socket.read(0);
}

/** Sends what was written before, and starts reading. */
function ready(socket, state) {
  state.isReady = true;
  settleWaiting(state, undefined);
  if (!state.isAwaited) return;
  state.isAwaited = false;
  socket._read();
}

function settleWaiting(state, error) {
  const { waiting } = state;
  state.waiting = [];
  for (const act of new SafeArrayIterator(waiting)) act(error);
}

/** Ends a socket by an error, or silently with its event. */
function fail(socket, error) {
  socket.destroy(isOfEndedEvent(error) ? undefined : error);
}

/** Takes the connection away from another socket, and returns it. */
function adopt(socket, parent) {
  const from = stateOf(parent);
  const state = stateOf(socket);
  const { link } = from;
  state.host = from.host;
  state.port = from.port;
  state.remote = from.remote;
  state.local = from.local;
  from.link = null;
  from.isReady = false;
  return link;
}

// ---- reading

Socket.prototype._read = function _read() {
  const state = stateOf(this);
  if (!state.isReady) {
    state.isAwaited = true;
    return;
  }
  if (state.isReading) return;
  state.isReading = true;
  read(this, state);
};

function read(socket, state) {
  const { link, onread } = state;
  const buffer = onread === null ? Buffer.allocUnsafeSlow(CHUNK_BYTES) : bufferOf(onread);
  PromisePrototypeThen(link.read(buffer), (count) => {
    state.isReading = false;
    if (state.link !== link || socket.destroyed) return;
    touch(socket, state);
    if (count === 0) {
      socket.push(null);
      // Emits the end even if nothing reads.
      socket.read(0);
      return;
    }
    state.bytesRead += count;
    if (onread !== null) {
      if (onread.callback(count, buffer) === false) socket.pause();
      else if (!socket.destroyed) socket._read();
      return;
    }
    // Copied, so that a small part does not keep the whole chunk.
    const part = TypedArrayPrototypeSubarray(buffer, 0, count);
    socket.push(count < CHUNK_BYTES / 4 ? Buffer.from(part) : part);
  }, (error) => {
    state.isReading = false;
    if (state.link === link) fail(socket, nodeError(error, "read"));
  });
}

const bufferOf = ({ buffer }) => typeof buffer === "function" ? buffer() : buffer;

// ---- writing

/** Calls `act` once the connection is ready. */
function whenReady(socket, act) {
  const state = stateOf(socket);
  if (state.isReady) return act(undefined);
  if (state.link === null && !socket.connecting) return act(new errors.ERR_SOCKET_CLOSED());
  ArrayPrototypePush(state.waiting, act);
}

function write(socket, bytes, callback) {
  const state = stateOf(socket);
  state.bytesWritten += bytes.length;
  whenReady(socket, (error) => {
    if (error) return callback(error);
    const { link } = state;
    touch(socket, state);
    PromisePrototypeThen(link.write(bytes), () => {
      touch(socket, state);
      callback();
    }, (error) => {
      if (isOfEndedEvent(error)) return socket.destroy();
      callback(error.code === undefined ? brokenPipe(error) : nodeError(error, "write"));
    });
  });
}

/** Returns the error of a connection that was closed by either side. */
function brokenPipe(cause) {
  const error = nodeError({ __proto__: null, code: "EPIPE" }, "write");
  error.cause = cause;
  return error;
}

Socket.prototype._write = function _write(chunk, encoding, callback) {
  write(this, typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk, callback);
};

Socket.prototype._writev = function _writev(chunks, callback) {
  const parts = [];
  for (const { chunk, encoding } of new SafeArrayIterator(chunks)) {
    ArrayPrototypePush(parts, typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk);
  }
  write(this, Buffer.concat(parts), callback);
};

Socket.prototype._final = function _final(callback) {
  if (stateOf(this).link === null && !this.connecting) return callback();
  whenReady(this, (error) => {
    if (error) return callback(error);
    // Reading reports the failure.
    const done = () => callback();
    PromisePrototypeThen(stateOf(this).link.endWrites(), done, done);
  });
};

// ---- the end

Socket.prototype._destroy = function _destroy(error, callback) {
  const state = stateOf(this);
  this.connecting = false;
  this._hadError = !!error;
  clear(state);
  state.isReady = false;
  settleWaiting(state, error ?? new errors.ERR_SOCKET_CLOSED_BEFORE_CONNECTION());
  callback(error);
  const closed = () => nextTick((socket) => socket.emit("close", socket._hadError), this);
  if (state.link === null) return closed();
  state.link.release();
  // As in Node.js, in a later turn.
  PromisePrototypeThen(op_void_async_deferred(), closed);
};

Socket.prototype.destroySoon = function destroySoon() {
  if (this.writable) this.end();
  if (this.writableFinished) this.destroy();
  else this.once("finish", this.destroy);
};

Socket.prototype.resetAndDestroy = function resetAndDestroy() {
  this.destroy(stateOf(this).link === null ? new errors.ERR_SOCKET_CLOSED() : undefined);
  return this;
};

// ---- the timeout of an idle connection

function touch(socket, state) {
  if (socket.timeout === 0) return;
  state.active = performance.now();
  if (state.timer === null && !socket.destroyed) arm(socket, state, socket.timeout);
}

function arm(socket, state, delay) {
  state.timer = ReflectApply(setTimeout, globalThis, [() => {
    state.timer = null;
    if (socket.timeout === 0 || socket.destroyed) return;
    const left = state.active + socket.timeout - performance.now();
    if (left > 0) arm(socket, state, MathMax(1, left));
    else socket.emit("timeout");
  }, delay]);
}

function clear(state) {
  if (state.timer !== null) ReflectApply(clearTimeout, globalThis, [state.timer]);
  state.timer = null;
}

Socket.prototype.setTimeout = function setTimeout(milliseconds, callback = undefined) {
  validateNumber(milliseconds, "msecs", 0);
  if (callback !== undefined) validateFunction(callback, "callback");
  const state = stateOf(this);
  this.timeout = milliseconds;
  clear(state);
  if (milliseconds === 0) {
    if (callback !== undefined) this.removeListener("timeout", callback);
    return this;
  }
  touch(this, state);
  if (callback !== undefined) this.once("timeout", callback);
  return this;
};

// ---- settings without effect: chunks are sent immediately, and connections end with their event

for (const name of new SafeArrayIterator(["ref", "setKeepAlive", "setNoDelay", "setTypeOfService", "unref"])) {
  Socket.prototype[name] = { [name]() {
    return this;
  } }[name];
}

// ---- addresses and states

/** `host:port`, whose host is in brackets if it is of IPv6. */
function parts(address) {
  if (address === undefined) return {};
  const colon = StringPrototypeLastIndexOf(address, ":");
  const host = StringPrototypeReplaceAll(StringPrototypeReplaceAll(StringPrototypeSlice(address, 0, colon), "[", ""), "]", "");
  return { address: host, family: `IPv${isIP(host)}`, port: Number(StringPrototypeSlice(address, colon + 1)) };
}

Socket.prototype.address = function address() {
  return parts(stateOf(this).local);
};

const getter = (get) => ({ __proto__: null, configurable: true, enumerable: true, get });

ObjectDefineProperties(Socket.prototype, {
  bufferSize: getter(function () {
    return this.writableLength;
  }),
  bytesRead: getter(function () {
    return stateOf(this).bytesRead;
  }),
  bytesWritten: getter(function () {
    let bytes = stateOf(this).bytesWritten;
    // Without the chunks that are being written.
    for (const { chunk, encoding } of new SafeArrayIterator(this._writableState.getBuffer())) {
      bytes += typeof chunk === "string" ? Buffer.byteLength(chunk, encoding) : chunk.length;
    }
    return bytes;
  }),
  localAddress: getter(function () {
    return parts(stateOf(this).local).address;
  }),
  localFamily: getter(function () {
    return parts(stateOf(this).local).family;
  }),
  localPort: getter(function () {
    return parts(stateOf(this).local).port;
  }),
  pending: getter(function () {
    return stateOf(this).link === null || this.connecting;
  }),
  readyState: getter(function () {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }),
  remoteAddress: getter(function () {
    return parts(stateOf(this).remote).address;
  }),
  remoteFamily: getter(function () {
    return parts(stateOf(this).remote).family;
  }),
  remotePort: getter(function () {
    return parts(stateOf(this).remote).port;
  }),
});

return { adopt, connectArguments, fail, ready, refusal, Socket, stateOf };
})();
