// The module `cloudflare:sockets`: https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_check_host } = core.ops;
const {
  Number,
  NumberIsInteger,
  PromisePrototypeThen,
  SafeRegExp,
  RegExpPrototypeExec,
  String,
  Symbol,
  SymbolToStringTag,
  TypeError,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { _state, ReadableStream, readableStreamCancel, WritableStream, writableStreamClose } = core.loadExtScript(
  "ext:deno_web/06_streams.js",
);
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { CHUNK_BYTES, noop, open, quiet, transports } = core.loadExtScript("ext:isopod_sockets/link.js");

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
      // The peer or the event has ended the connection, so no more can be written.
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

  /** Sends all written data, then closes the connection. */
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
      // Otherwise its writer has closed it, or it has failed, as `closed` reports.
      if (this.#writable[_state] === "writable") await link.flushed;
    }
    link.release();
    quiet(readableStreamCancel(this.#readable, undefined));
    await link.ended;
  }

  /** Starts TLS. The returned socket replaces this one. */
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
    // Set before its streams are closed, so that they do not close the connection.
    replaced.isReplaced = true;
    const flushed = quiet(writableStreamClose(this.#writable));
    quiet(readableStreamCancel(this.#readable, undefined));
    const link = replaced.startTls(String(name), null, flushed);
    this.#closed = quiet(PromisePrototypeThen(link.opening, noop));
    const upgraded = { __proto__: null, hostname, highWaterMark, secureTransport: "on", isUpgraded: true };
    return new Socket(constructKey, link, upgraded);
  }

  get [SymbolToStringTag]() {
    return "Socket";
  }
}

/** `host:port`, with an IPv6 address in brackets. */
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
  if (transports[secureTransport] === undefined) {
    throw new TypeError(`secureTransport must be "off", "on" or "starttls", not "${secureTransport}"`);
  }
  const highWaterMark = Number(options?.highWaterMark ?? CHUNK_BYTES);
  const link = open(hostname, port, secureTransport, !!options?.allowHalfOpen);
  const settings = { __proto__: null, hostname, highWaterMark, secureTransport, isUpgraded: false };
  return new Socket(constructKey, link, settings);
}

return { connect };
})();
