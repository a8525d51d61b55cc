// The module `cloudflare:sockets`: https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_check_host,
  op_isopod_connect,
  op_isopod_connect_opened,
  op_isopod_connection_ended,
  op_isopod_start_tls,
} = core.ops;
const {
  Number,
  NumberIsInteger,
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  SafeRegExp,
  RegExpPrototypeExec,
  String,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSlice,
  TypeError,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { _state, ReadableStream, readableStreamCancel, WritableStream, writableStreamClose } = core.loadExtScript(
  "ext:deno_web/06_streams.js",
);
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");

/** The bytes that are copied at once, and that a read asks for. */
const CHUNK_BYTES = 16 * 1024;

/** The use of TLS, as the op numbers it. */
const transports = { __proto__: null, off: 0, on: 1, starttls: 2 };

const noop = () => {};

/** A promise whose rejection is not reported when nothing waits for it. */
function quiet(promise) {
  PromisePrototypeThen(promise, undefined, noop);
  return promise;
}

/** The connection behind the streams of a socket. `opening`: a promise of `{ rid, remoteAddress, localAddress }`. */
class Link {
  rid = null;
  pending;
  opening;
  ended;
  reads = true;
  writes = true;
  /** TLS has replaced it. */
  isReplaced = false;
  /** Called at the end, with an error if it failed. */
  onEnd = noop;
  /** Resolves once what was written, and the end of it, has been sent, or cannot be. */
  flushed;
  #resolveFlushed;

  constructor(opening, pending) {
    this.pending = pending;
    this.opening = quiet(opening);
    this.flushed = new Promise((resolve) => this.#resolveFlushed = resolve);
    this.ended = quiet(this.#run());
  }

  async #run() {
    const { rid } = await this.opening;
    this.rid = rid;
    try {
      await op_isopod_connection_ended(rid);
      this.onEnd();
    } catch (error) {
      core.tryClose(rid);
      this.onEnd(error);
      throw error;
    } finally {
      this.#resolveFlushed();
    }
  }

  async read(view) {
    await this.opening;
    return await core.read(this.rid, view);
  }

  async write(bytes) {
    await this.opening;
    const length = TypedArrayPrototypeGetByteLength(bytes);
    for (let at = 0; at < length; at += CHUNK_BYTES) {
      // A copy: the chunk is its writer's, who may change or transfer it.
      await core.writeAll(this.rid, TypedArrayPrototypeSlice(bytes, at, at + CHUNK_BYTES));
    }
  }

  async endWrites() {
    if (this.isReplaced) return;
    await this.opening;
    await core.shutdown(this.rid);
    this.writes = false;
    this.#resolveFlushed();
    this.#releaseIfDone();
  }

  endReads() {
    this.reads = false;
    this.#releaseIfDone();
  }

  #releaseIfDone() {
    if (!this.reads && !this.writes) this.release();
  }

  release() {
    if (this.isReplaced) return;
    core.tryClose(this.rid ?? this.pending);
  }
}

/** The readable stream of a connection. */
function readableOf(link) {
  return new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: CHUNK_BYTES,
    async pull(controller) {
      const request = controller.byobRequest;
      const count = await link.read(request.view);
      if (count === 0) {
        link.endReads();
        controller.close();
      }
      request.respond(count);
    },
    cancel() {
      link.endReads();
    },
  }, { __proto__: null, highWaterMark: 0 });
}

/** The writable stream of a connection. */
function writableOf(link, highWaterMark) {
  return new WritableStream({
    start(controller) {
      // The peer, or the event, ends the connection: nothing more can be written.
      link.onEnd = (error = new TypeError("the socket is closed")) => controller.error(error);
    },
    write: (chunk) => link.write(bytesOf(chunk)),
    close: () => link.endWrites(),
    abort() {
      link.release();
    },
  }, { __proto__: null, highWaterMark, size: (chunk) => bytesOf(chunk).byteLength });
}

const constructKey = Symbol("construct");

class Socket {
  #link;
  #options;
  #readable;
  #writable;
  #opened;
  #closed;
  #closing;

  constructor(key, link, options) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#link = link;
    this.#options = options;
    this.#readable = readableOf(link);
    this.#writable = writableOf(link, options.highWaterMark);
    this.#opened = quiet(PromisePrototypeThen(link.opening, ({ remoteAddress, localAddress }) => ({ remoteAddress, localAddress })));
    this.#closed = link.ended;
  }

  get readable() {
    return this.#readable;
  }

  get writable() {
    return this.#writable;
  }

  get opened() {
    return this.#opened;
  }

  get closed() {
    return this.#closed;
  }

  get upgraded() {
    return this.#options.isUpgraded;
  }

  get secureTransport() {
    return this.#options.secureTransport;
  }

  /** Sends what was written, then closes the connection. */
  close() {
    this.#closing ??= quiet(this.#close());
    return this.#closing;
  }

  async #close() {
    const link = this.#link;
    if (link.isReplaced) throw new TypeError("the socket is closed: startTls() has replaced it");
    try {
      await link.opening;
      await writableStreamClose(this.#writable);
    } catch {
      // Its writer has closed it, or it has failed, which `closed` says.
      if (this.#writable[_state] === "writable") await link.flushed;
    }
    link.release();
    quiet(readableStreamCancel(this.#readable, undefined));
    await link.ended;
  }

  /** Goes on with TLS. The returned socket replaces this one. */
  startTls(options = undefined) {
    const { secureTransport, isUpgraded, hostname, highWaterMark } = this.#options;
    if (secureTransport !== "starttls") {
      throw new TypeError('startTls() needs a socket with the option secureTransport: "starttls"');
    }
    if (isUpgraded || this.#link.isReplaced) throw new TypeError("startTls() can be called once for a connection");
    if (this.#closing !== undefined) throw new TypeError("the socket is closed");
    if (this.#readable.locked || this.#writable.locked) {
      throw new TypeError("startTls() needs unlocked streams: release the reader and the writer first");
    }
    const name = options?.expectedServerHostname ?? hostname;
    const replaced = this.#link;
    replaced.isReplaced = true;
    const flushed = quiet(writableStreamClose(this.#writable));
    quiet(readableStreamCancel(this.#readable, undefined));
    const opening = (async () => {
      const { rid, remoteAddress, localAddress } = await replaced.opening;
      await flushed;
      try {
        return { rid: await op_isopod_start_tls(rid, String(name)), remoteAddress, localAddress };
      } finally {
        core.tryClose(rid);
      }
    })();
    this.#closed = quiet(PromisePrototypeThen(opening, noop));
    const upgraded = { __proto__: null, hostname, highWaterMark, secureTransport: "on", isUpgraded: true };
    return new Socket(constructKey, new Link(opening, null), upgraded);
  }

  get [SymbolToStringTag]() {
    return "Socket";
  }
}

/** `host:port`; an IPv6 address is in brackets. */
const ADDRESS = new SafeRegExp(/^(\[[^\]]*\]|[^:]*):([0-9]+)$/);

function parseAddress(address) {
  let hostname, port;
  if (address !== null && typeof address === "object") {
    ({ hostname, port } = address);
  } else {
    const parts = RegExpPrototypeExec(ADDRESS, String(address));
    if (parts === null) throw new TypeError(`'${address}' is not an address: it should be "host:port"`);
    ({ 1: hostname, 2: port } = parts);
  }
  hostname = webidl.converters.DOMString(hostname, "Failed to connect", "hostname");
  if (!op_isopod_check_host(hostname)) throw new TypeError(`'${hostname}' is not a host: give a name or an address`);
  port = Number(port);
  if (!NumberIsInteger(port) || port < 1 || port > 65535) {
    throw new TypeError(`the port must be a whole number from 1 to 65535, not ${port}`);
  }
  return { hostname, port };
}

/** Opens a connection to `{ hostname, port }` or `"host:port"`. */
function connect(address, options = undefined) {
  const { hostname, port } = parseAddress(address);
  const secureTransport = String(options?.secureTransport ?? "off");
  const transport = transports[secureTransport];
  if (transport === undefined) {
    throw new TypeError(`secureTransport must be "off", "on" or "starttls", not "${secureTransport}"`);
  }
  const highWaterMark = Number(options?.highWaterMark ?? CHUNK_BYTES);
  let pending = null;
  let opening;
  try {
    pending = op_isopod_connect(hostname, port, transport, !!options?.allowHalfOpen);
    opening = op_isopod_connect_opened(pending);
  } catch (error) {
    opening = PromiseReject(error);
  }
  const settings = { __proto__: null, hostname, highWaterMark, secureTransport, isUpgraded: false };
  return new Socket(constructKey, new Link(opening, pending), settings);
}

return { connect };
})();
