// `tls.TLSSocket`: https://nodejs.org/api/tls.html#class-tlstlssocket

(function () {
const { core, primordials } = __bootstrap;
const {
  FunctionPrototypeCall,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  Promise,
  PromisePrototypeThen,
  ReflectApply,
  SafeArrayIterator,
  SafeWeakMap,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { validateFunction, validateObject, validateString } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);
const { nodeError } = core.loadExtScript("ext:isopod_node/net/errors.js");
const { adopt, connectArguments, fail, ready, Socket, stateOf } = core.loadExtScript("ext:isopod_node/net/socket.js");
const { refusal, settingsFor } = core.loadExtScript("ext:isopod_node/tls/context.js");
const { opensslName } = core.loadExtScript("ext:isopod_node/tls/names.js");
const lazyX509 = () => core.loadExtScript("ext:isopod_node/crypto.js").default.X509Certificate;

/** The results of handshakes, by socket; null before the handshake. */
const handshakes = new SafeWeakMap();

function TLSSocket(socket, options = {}) {
  if (!ObjectPrototypeIsPrototypeOf(TLSSocket.prototype, this)) return new TLSSocket(socket, options);
  validateObject(options, "options");
  if (options.isServer || options.server) {
    throw refusal("a worker accepts no connections; answer requests by the fetch handler");
  }
  if (options.checkServerIdentity !== undefined) {
    validateFunction(options.checkServerIdentity, "options.checkServerIdentity");
  }
  const settings = settingsFor(options);
  const { allowHalfOpen, highWaterMark, onread, signal } = options;
  ReflectApply(Socket, this, [{ allowHalfOpen, highWaterMark, onread, signal }]);
  this._tlsOptions = options;
  this.encrypted = true;
  this.authorized = false;
  this.authorizationError = null;
  this.alpnProtocol = null;
  this.secureConnecting = true;
  this.servername = options.servername ?? null;
  WeakMapPrototypeSet(handshakes, this, null);
  stateOf(this).onConnected = (link) => secure(this, link, settings);
  if (socket !== undefined && socket !== null) wrap(this, socket, settings);
}
ObjectSetPrototypeOf(TLSSocket.prototype, Socket.prototype);
ObjectSetPrototypeOf(TLSSocket, Socket);

/** Continues with the connection of another socket, once it is established. */
function wrap(socket, parent, settings) {
  if (!ObjectPrototypeIsPrototypeOf(Socket.prototype, parent) || ObjectPrototypeIsPrototypeOf(TLSSocket.prototype, parent)) {
    throw refusal("the option `socket` must be a Socket of node:net: TLS over other streams is not available in workers");
  }
  socket._parent = parent;
  // Neither outlives the other.
  parent.once("close", () => socket.destroy());
  socket.once("close", () => parent.destroy());
  const take = () => {
    if (socket.destroyed) return;
    // What was written before goes first.
    const flushed = parent.writableLength > 0
      ? new Promise((resolve) => parent.write(Buffer.alloc(0), () => resolve()))
      : undefined;
    const begin = () => {
      if (socket.destroyed || parent.destroyed) return;
      socket.connecting = false;
      secure(socket, adopt(socket, parent), settings);
    };
    if (flushed === undefined) begin();
    else PromisePrototypeThen(flushed, begin);
  };
  socket.connecting = true;
  if (parent.connecting) {
    parent.once("connect", take);
  } else if (parent.pending) {
    throw refusal("the option `socket` must be a Socket that is connected, or connecting");
  } else {
    take();
  }
}

/** Starts TLS on a connection. */
function secure(socket, link, settings) {
  const state = stateOf(socket);
  const { checkServerIdentity, host, servername } = socket._tlsOptions;
  const name = servername || host || state.host;
  const secured = link.startTls(name, settings);
  state.link = secured;
  PromisePrototypeThen(secured.opening, (handshake) => {
    if (state.link !== secured || socket.destroyed) return secured.release();
    WeakMapPrototypeSet(handshakes, socket, handshake);
    const error = checkServerIdentity?.(name, socket.getPeerCertificate(true));
    if (error !== undefined) return fail(socket, error);
    socket.secureConnecting = false;
    socket.authorized = true;
    socket.alpnProtocol = handshake.alpn ?? false;
    ready(socket, state);
    nextTick(() => {
      if (socket.destroyed) return;
      socket.emit("secure");
      socket.emit("secureConnect");
      if (socket.readable && !socket.isPaused()) socket.read(0);
    });
  }, (error) => {
    if (state.link !== secured) return;
    socket.authorizationError = error.code ?? error.message;
    fail(socket, nodeError(error, "read"));
  });
}

const handshakeOf = (socket) => WeakMapPrototypeGet(handshakes, socket);

TLSSocket.prototype.getProtocol = function getProtocol() {
  return handshakeOf(this)?.protocol ?? null;
};

TLSSocket.prototype.getCipher = function getCipher() {
  const handshake = handshakeOf(this);
  if (handshake === null) return undefined;
  const { cipher, protocol } = handshake;
  return { name: opensslName(cipher), standardName: cipher, version: protocol };
};

TLSSocket.prototype.getPeerX509Certificate = function getPeerX509Certificate() {
  const bytes = handshakeOf(this)?.certificates[0];
  return bytes === undefined ? undefined : new (lazyX509())(Buffer.from(bytes));
};

/** https://nodejs.org/api/tls.html#tlssocketgetpeercertificatedetailed */
TLSSocket.prototype.getPeerCertificate = function getPeerCertificate(detailed = false) {
  const handshake = handshakeOf(this);
  if (handshake === null) return null;
  let first, last;
  for (const bytes of new SafeArrayIterator(handshake.certificates)) {
    const certificate = new (lazyX509())(Buffer.from(bytes)).toLegacyObject();
    if (last === undefined) first = certificate;
    else last.issuerCertificate = certificate;
    last = certificate;
    if (!detailed) break;
  }
  return first ?? {};
};

TLSSocket.prototype.setServername = function setServername(name) {
  validateString(name, "name");
  this.servername = name;
  this._tlsOptions = { ...this._tlsOptions, servername: name };
};

TLSSocket.prototype.renegotiate = function renegotiate(_options, callback = undefined) {
  const error = refusal("renegotiate() is not available in workers: TLS 1.3 has none");
  if (callback !== undefined) nextTick(callback, error);
  return false;
};

TLSSocket.prototype.exportKeyingMaterial = function exportKeyingMaterial() {
  throw refusal("exportKeyingMaterial() is not available in workers");
};

// Properties of a connection that OpenSSL has and rustls does not.
const answers = {
  __proto__: null,
  disableRenegotiation: undefined,
  enableTrace: undefined,
  getCertificate: null,
  getFinished: undefined,
  getPeerFinished: undefined,
  getSession: undefined,
  getSharedSigalgs: [],
  getTLSTicket: undefined,
  getX509Certificate: undefined,
  isSessionReused: false,
  setMaxSendFragment: false,
  setSession: undefined,
};
for (const name in answers) {
  TLSSocket.prototype[name] = { [name]: () => answers[name] }[name];
}

TLSSocket.prototype.getEphemeralKeyInfo = function getEphemeralKeyInfo() {
  return {};
};

/** https://nodejs.org/api/tls.html#tlsconnectoptions-callback */
function connect(...args) {
  const { options: first, callback } = connectArguments(args);
  const isOptions = (value) => value !== null && typeof value === "object";
  // `(port[, host][, options][, callback])`
  const rest = isOptions(args[0]) ? undefined : isOptions(args[1]) ? args[1] : args[2];
  const options = isOptions(rest) ? { ...rest, ...first, host: first.host ?? rest.host } : { ...first };
  const socket = new TLSSocket(options.socket, options);
  if (callback !== null) socket.once("secureConnect", callback);
  if (!options.socket) FunctionPrototypeCall(Socket.prototype.connect, socket, options);
  else if (options.timeout !== undefined) socket.setTimeout(options.timeout);
  return socket;
}

return { connect, TLSSocket };
})();
