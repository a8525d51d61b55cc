// `http.IncomingMessage`: https://nodejs.org/api/http.html#class-httpincomingmessage
// A request to a server, or the response to a request, over a stream of the platform.

(function () {
const { core, primordials } = __bootstrap;
const {
  Error,
  FunctionPrototypeCall,
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  Symbol,
} = primordials;
const { Readable } = core.loadExtScript("ext:deno_node/internal/streams/readable.js");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const { addDistinct, addHeader } = core.loadExtScript("ext:isopod_node/http/headers.js");

const kReader = Symbol("reader");
const kStream = Symbol("stream");
const kHeaders = Symbol("headers");
const kIsAnswered = Symbol("is answered");
const kDistinct = Symbol("distinct headers");

function IncomingMessage(socket) {
  if (!ObjectPrototypeIsPrototypeOf(IncomingMessage.prototype, this)) return new IncomingMessage(socket);
  FunctionPrototypeCall(Readable, this, { highWaterMark: socket?.readableHighWaterMark });
  this.socket = socket;
  this.httpVersionMajor = 1;
  this.httpVersionMinor = 1;
  this.httpVersion = "1.1";
  this.complete = false;
  this.rawHeaders = [];
  this.rawTrailers = [];
  this.aborted = false;
  this.upgrade = false;
  this.url = "";
  this.method = null;
  this.statusCode = null;
  this.statusMessage = null;
  this.client = socket;
  this.joinDuplicateHeaders = false;
  this[kReader] = null;
  this[kIsAnswered] = false;
  this[kStream] = null;
  this[kHeaders] = null;
  this[kDistinct] = null;
}
ObjectSetPrototypeOf(IncomingMessage.prototype, Readable.prototype);
ObjectSetPrototypeOf(IncomingMessage, Readable);

/** Sets the headers of a message, a list of names and values, and its body, a stream or null. */
function fill(message, headerList, stream) {
  const raw = message.rawHeaders;
  for (let i = 0; i < headerList.length; i++) {
    raw[2 * i] = headerList[i][0];
    raw[2 * i + 1] = headerList[i][1];
  }
  message[kStream] = stream;
  message.complete = stream === null;
}

/** Defines headers by name, created on first use. */
const made = (key, add) => ({
  __proto__: null,
  configurable: true,
  enumerable: true,
  get() {
    if (this[key] === null) {
      const headers = this[key] = {};
      const { rawHeaders } = this;
      for (let i = 0; i < rawHeaders.length; i += 2) add(headers, rawHeaders[i], rawHeaders[i + 1]);
    }
    return this[key];
  },
  set(value) {
    this[key] = value;
  },
});

/** Trailers are not received, as on Workers. */
const empty = (key) => ({
  __proto__: null,
  configurable: true,
  enumerable: true,
  get() {
    return this[key] ??= {};
  },
  set(value) {
    this[key] = value;
  },
});

ObjectDefineProperties(IncomingMessage.prototype, {
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
  headers: made(kHeaders, addHeader),
  headersDistinct: made(kDistinct, addDistinct),
  trailers: empty(Symbol("trailers")),
  trailersDistinct: empty(Symbol("distinct trailers")),
});

IncomingMessage.prototype._read = function _read() {
  const stream = this[kStream];
  if (stream === null) {
    this.complete = true;
    this.push(null);
    return;
  }
  const reader = this[kReader] ??= stream.getReader();
  PromisePrototypeThen(reader.read(), ({ done, value }) => {
    if (this.destroyed) return;
    if (done) {
      this.complete = true;
      this.push(null);
    } else {
      this.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    }
  }, (error) => this.destroy(connectionReset("aborted", error)));
};

IncomingMessage.prototype._destroy = function _destroy(error, callback) {
  const isWhole = this.complete && this.readableEnded;
  if (!isWhole) {
    if (!this[kIsAnswered]) {
      this.aborted = true;
      this.emit("aborted");
    }
    const reason = error ?? connectionReset("aborted");
    const { 0: reader, 1: stream } = [this[kReader], this[kStream]];
    // Its failure is the same as this one.
    if (reader !== null) PromisePrototypeThen(reader.cancel(reason), undefined, () => {});
    else if (stream !== null && !stream.locked) PromisePrototypeThen(stream.cancel(reason), undefined, () => {});
  }
  // As in Node.js, an error without a listener is dropped.
  nextTick(() => callback(this.listenerCount("error") === 0 ? null : error));
};

/** Ends a request whose response has ended, unless something reads it. */
function endUnread(message, isAnswered) {
  if (message.destroyed || (message[kReader] !== null && !message.complete)) return;
  message[kIsAnswered] = isAnswered;
  message.destroy();
}

/** The error of Node.js for a connection that ended too early. */
function connectionReset(message, cause = undefined) {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  error.code = "ECONNRESET";
  return error;
}

IncomingMessage.prototype.setTimeout = function setTimeout(milliseconds, callback = undefined) {
  if (callback !== undefined) this.on("timeout", callback);
  this.socket?.setTimeout(milliseconds);
  return this;
};

/** Reads the rest of the body and drops it. */
IncomingMessage.prototype._dump = function _dump() {
  if (!this._dumped) {
    this._dumped = true;
    this.resume();
  }
};

IncomingMessage.prototype._addHeaderLine = function _addHeaderLine(name, value, headers) {
  addHeader(headers, name, value);
};

/** Defines a property of a message whose value is created on first use. */
function later(message, name, make) {
  ObjectDefineProperty(message, name, {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get() {
      const value = make();
      ObjectDefineProperty(message, name, { __proto__: null, configurable: true, enumerable: true, writable: true, value });
      return value;
    },
    set(value) {
      ObjectDefineProperty(message, name, { __proto__: null, configurable: true, enumerable: true, writable: true, value });
    },
  });
}

return { connectionReset, endUnread, fill, IncomingMessage, later };
})();
