// `WebSocket` and `WebSocketPair`.
// https://developers.cloudflare.com/workers/runtime-apis/websockets/ and https://websockets.spec.whatwg.org/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_socket_check_close, op_isopod_socket_close, op_isopod_socket_unsent } = core.ops;
const {
  ArrayBufferIsView,
  ArrayBufferPrototype,
  ArrayBufferPrototypeSlice,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  Error,
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  String,
  StringPrototypeRepeat,
  StringPrototypeToWellFormed,
  Symbol,
  SymbolToStringTag,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;

const { CloseEvent, defineEventHandler, dispatch, ErrorEvent, Event, EventTarget, MessageEvent, setIsTrusted } = core
  .loadExtScript("ext:deno_web/02_event.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { Blob } = core.loadExtScript("ext:deno_web/09_file.js");
const { hasEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { askForText, READ } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { connect, parseProtocols, parseUrl, protocolOf } = core.loadExtScript("ext:isopod_web_socket/client.js");
const { couple, newPair } = core.loadExtScript("ext:isopod_web_socket/ends.js");

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

// ---- WebSocket

const internal = Symbol("internal");
let endOf;
let takeEnd;
let acceptFor;
let attachments;

class WebSocket extends EventTarget {
  #end = null;
  #state = OPEN;
  #isClient = false;
  #isAccepted = false;
  #isUsed = false;
  #sentClose = false;
  #url = null;
  #protocol = "";
  #binaryType = "arraybuffer";
  /** The Durable Object that receives messages and events instead of listeners. */
  #receiver = null;
  /** Serialized. */
  #attachment = null;

  constructor(url, protocols = undefined) {
    super();
    if (url === internal) {
      this.#end = protocols.end;
      this.#protocol = protocols.protocol ?? "";
      return;
    }
    if (arguments.length < 1) {
      throw new TypeError("Failed to construct 'WebSocket': 1 argument required, but only 0 present");
    }
    const parsed = parseUrl(`${url}`);
    const names = parseProtocols(protocols);
    this.#isClient = true;
    this.#isAccepted = true;
    this.#state = CONNECTING;
    this.#url = parsed.href;
    if (!hasEnded()) this.#connect(parsed, names);
  }

  async #connect(url, protocols) {
    let opened;
    try {
      opened = await connect(url, protocols);
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    if (this.#state !== CONNECTING) {
      op_isopod_socket_close(opened.rid, 0, "");
      core.tryClose(opened.rid);
      this.#consume({ code: 1006, reason: "", wasClean: false, error: null });
      return;
    }
    const { 0: end, 1: other } = newPair();
    this.#end = end;
    this.#protocol = opened.protocol;
    this.#state = OPEN;
    couple(other, opened.rid);
    fire(this, new Event("open"));
    end.consumeWith((item) => this.#consume(item));
  }

  #fail(message) {
    this.#consume({ code: 1006, reason: "", wasClean: false, error: message });
  }

  /** https://developers.cloudflare.com/workers/runtime-apis/websockets/#accept */
  accept() {
    if (this.#isClient) {
      throw new TypeError("accept() cannot be called on a WebSocket of the constructor: it is accepted when it opens");
    }
    if (this.#isUsed) throw new TypeError("cannot accept() a WebSocket that was already used in a Response");
    if (this.#isAccepted) return;
    this.#isAccepted = true;
    this.#end.consumeWith((item) => this.#consume(item));
  }

  send(message) {
    if (arguments.length < 1) {
      throw new TypeError("Failed to execute 'send' on 'WebSocket': 1 argument required, but only 0 present");
    }
    if (this.#state === CONNECTING) {
      throw new DOMException("Failed to execute 'send' on 'WebSocket': it is still connecting", "InvalidStateError");
    }
    this.#checkAccepted("send messages");
    const data = toData(message);
    if (this.#sentClose && !this.#isClient) throw new TypeError("cannot send() on a WebSocket after close()");
    if (this.#state === OPEN) this.#give({ data });
  }

  close(code = undefined, reason = undefined) {
    if (this.#state === CONNECTING) {
      checkClose(true, code, reason);
      this.#state = CLOSING;
      return;
    }
    this.#checkAccepted("close it");
    const close = checkClose(this.#isClient, code, reason);
    if (this.#sentClose || this.#state !== OPEN) return;
    this.#sentClose = true;
    this.#state = CLOSING;
    this.#give(close);
  }

  #give(item) {
    if (this.#receiver === null) this.#end.peer.give(item);
    else this.#receiver.give(this.#end.peer, item);
  }

  #checkAccepted(action) {
    if (this.#isUsed) throw new TypeError(`cannot ${action}: the WebSocket was used in a Response`);
    if (!this.#isAccepted) throw new TypeError(`call accept() on the WebSocket first, to ${action}`);
  }

  /** Consumes an item of the peer. */
  #consume(item) {
    if (item.data !== undefined) {
      // Messages during the close handshake are dropped.
      if (this.#state !== OPEN) return;
      if (this.#receiver !== null) this.#receiver.message(this, item.data);
      else fire(this, new MessageEvent("message", { data: this.#received(item.data) }));
      return;
    }
    if (this.#state === CLOSED) return;
    const { code, reason, wasClean, error } = item;
    this.#state = CLOSED;
    if (!this.#sentClose && this.#end !== null) {
      this.#sentClose = true;
      // A peer in the same worker waits for an answer; a connection out of the worker has answered already.
      if (this.#end.peer.rid === null) this.#end.peer.give({ code, reason, wasClean, error: null });
    }
    if (this.#receiver !== null) {
      this.#receiver.closed(this, item);
      return;
    }
    if (typeof error === "string") fire(this, new ErrorEvent("error", { message: error, error: new Error(error) }));
    fire(this, new CloseEvent("close", { code, reason, wasClean }));
  }

  #received(data) {
    return typeof data === "string" || this.#binaryType === "arraybuffer" ? data : new Blob([data]);
  }

  /** https://developers.cloudflare.com/durable-objects/api/websockets/: kept while a Durable Object hibernates. */
  serializeAttachment(value) {
    this.#attachment = attachments().write(value);
  }
  deserializeAttachment() {
    return this.#attachment === null ? null : attachments().read(this.#attachment);
  }

  get readyState() {
    return this.#state;
  }
  get url() {
    return this.#url;
  }
  get protocol() {
    return this.#protocol;
  }
  get extensions() {
    return "";
  }
  get binaryType() {
    return this.#binaryType;
  }
  set binaryType(value) {
    // Other values are ignored, as for any enumeration of the web platform.
    if (value === "arraybuffer" || value === "blob") this.#binaryType = value;
  }
  get bufferedAmount() {
    const peer = this.#end?.peer;
    if (peer === undefined) return 0;
    return peer.rid === null ? peer.bytes : op_isopod_socket_unsent(peer.rid);
  }
  get [SymbolToStringTag]() {
    return "WebSocket";
  }

  static {
    attachments = () => core.loadExtScript("ext:isopod_objects/sockets.js").attachments;
    // Sets the receiver of messages and events.
    acceptFor = (object, receiver) => {
      if (object.#isClient || object.#isUsed || object.#isAccepted) {
        throw new TypeError("acceptWebSocket() needs a WebSocket of a WebSocketPair that was not accepted or used before");
      }
      object.#isAccepted = true;
      object.#receiver = receiver;
      object.#end.consumeWith((item) => object.#consume(item));
    };
    endOf = (object) => (#end in object ? object.#end : undefined);
    // Takes the end of a WebSocket for a response, once.
    takeEnd = (object) => {
      if (object.#isClient || object.#isAccepted) {
        throw new TypeError("cannot respond with a WebSocket after accept(): respond with the other one of its pair");
      }
      if (object.#isUsed) throw new TypeError("cannot respond with a WebSocket twice");
      object.#isUsed = true;
      return object.#end;
    };
  }
}

const constants = { __proto__: null };
for (
  const { 0: name, 1: value } of new SafeArrayIterator([
    ["CONNECTING", CONNECTING],
    ["OPEN", OPEN],
    ["CLOSING", CLOSING],
    ["CLOSED", CLOSED],
  ])
) {
  constants[name] = { __proto__: null, value, enumerable: true };
}
ObjectDefineProperties(WebSocket, constants);
ObjectDefineProperties(WebSocket.prototype, constants);
for (const name of new SafeArrayIterator(["open", "message", "error", "close"])) {
  defineEventHandler(WebSocket.prototype, name);
}

function fire(target, event) {
  setIsTrusted(event, true);
  dispatch(target, event);
}

/** Returns the data of a message: text, or copied bytes. */
function toData(message) {
  if (ArrayBufferIsView(message)) {
    const isDataView = TypedArrayPrototypeGetSymbolToStringTag(message) === undefined;
    const buffer = isDataView ? DataViewPrototypeGetBuffer(message) : TypedArrayPrototypeGetBuffer(message);
    const start = isDataView ? DataViewPrototypeGetByteOffset(message) : TypedArrayPrototypeGetByteOffset(message);
    const length = isDataView ? DataViewPrototypeGetByteLength(message) : TypedArrayPrototypeGetByteLength(message);
    if (!ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, buffer)) {
      throw new TypeError("cannot send shared memory: send a copy of it");
    }
    return ArrayBufferPrototypeSlice(buffer, start, start + length);
  }
  if (ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, message)) return ArrayBufferPrototypeSlice(message, 0);
  if (ObjectPrototypeIsPrototypeOf(Blob.prototype, message)) {
    throw new TypeError("cannot send a Blob: send `await blob.arrayBuffer()`");
  }
  const text = String(message);
  askForText(text, READ);
  return StringPrototypeToWellFormed(text);
}

/** Maximum length of a close reason, in bytes of UTF-8. */
const REASON_BYTES_MAX = 123;

/** Stands for any longer reason, so that it is refused without being read or copied. */
const LONG_REASON = StringPrototypeRepeat("x", REASON_BYTES_MAX + 1);

/** Checks and returns the item of a close. Clients may use fewer codes: https://websockets.spec.whatwg.org/#dom-websocket-close */
function checkClose(isClient, code, reason) {
  const given = reason === undefined ? "" : String(reason);
  const text = given.length > REASON_BYTES_MAX ? LONG_REASON : StringPrototypeToWellFormed(given);
  if (code === undefined || code === null) {
    if (text !== "") throw new TypeError("a close reason needs a close code");
    return { code: 1005, reason: "", wasClean: true, error: null };
  }
  const number = +code;
  if (isClient) {
    if (number !== 1000 && !(number >= 3000 && number <= 4999)) {
      throw new DOMException(`the close code must be 1000 or from 3000 to 4999, not ${code}`, "InvalidAccessError");
    }
    if (core.encode(text).length > REASON_BYTES_MAX) {
      throw new DOMException("the close reason must not be longer than 123 bytes in UTF-8", "SyntaxError");
    }
  }
  if (!(number >= 1 && number <= 65535 && number % 1 === 0)) throw new TypeError(`invalid close code: ${code}`);
  op_isopod_socket_check_close(number, text);
  return { code: number, reason: text, wasClean: true, error: null };
}

/** The WebSocket of a `fetch` response. */
function fromResponse(rid, headers) {
  const { 0: end, 1: other } = newPair();
  couple(other, rid);
  return new WebSocket(internal, { end, protocol: protocolOf(headers) });
}

// ---- pairs

/** https://developers.cloudflare.com/workers/runtime-apis/websockets/#constructor */
function WebSocketPair() {
  if (new.target === undefined) {
    throw new TypeError("Class constructor WebSocketPair cannot be invoked without 'new'");
  }
  const { 0: one, 1: other } = newPair();
  this[0] = new WebSocket(internal, { end: one });
  this[1] = new WebSocket(internal, { end: other });
}
ObjectDefineProperty(WebSocketPair.prototype, SymbolToStringTag, {
  __proto__: null,
  value: "WebSocketPair",
  configurable: true,
});

function isWebSocket(value) {
  return value !== null && typeof value === "object" && ObjectPrototypeIsPrototypeOf(WebSocket.prototype, value) &&
    endOf(value) !== undefined;
}

return { acceptFor, couple, fromResponse, isWebSocket, takeEnd, WebSocket, WebSocketPair };
})();
