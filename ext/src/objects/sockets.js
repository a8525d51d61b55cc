// WebSockets that a Durable Object has accepted, which stay open while it hibernates.
// https://developers.cloudflare.com/durable-objects/best-practices/websockets/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_report } = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypeIncludes,
  ArrayPrototypePush,
  Date,
  DateNow,
  Error,
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeForEach,
  MapPrototypeGet,
  MapPrototypeGetSize,
  MapPrototypeSet,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  RangeError,
  SafeArrayIterator,
  SafeMap,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypeError,
} = primordials;
const { deserializeApart, serializeApart } = core.loadExtScript("ext:isopod_web/clone.js");

/** https://developers.cloudflare.com/durable-objects/api/state/#acceptwebsocket */
const TAGS_MAX = 10;
const TAG_LENGTH_MAX = 256;
const SOCKETS_MAX = 32_768;
const ATTACHMENT_BYTES_MAX = 16_384;
const AUTO_RESPONSE_LENGTH_MAX = 2048;

const constructKey = Symbol("construct");

/** https://developers.cloudflare.com/durable-objects/api/state/#setwebsocketautoresponse */
class WebSocketRequestResponsePair {
  #request;
  #response;
  constructor(request, response) {
    if (arguments.length < 2) throw new TypeError("WebSocketRequestResponsePair needs a request and a response");
    this.#request = checked("Request", request);
    this.#response = checked("Response", response);
  }
  get request() {
    return this.#request;
  }
  get response() {
    return this.#response;
  }
  get [SymbolToStringTag]() {
    return "WebSocketRequestResponsePair";
  }
}

function checked(what, value) {
  const text = `${value}`;
  if (text.length > AUTO_RESPONSE_LENGTH_MAX) {
    throw new RangeError(`${what} cannot be larger than ${AUTO_RESPONSE_LENGTH_MAX} characters.`);
  }
  return text;
}

/** The values stored by `WebSocket.serializeAttachment`. */
const attachments = {
  __proto__: null,
  write(value) {
    const bytes = serializeApart(value, []);
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (length > ATTACHMENT_BYTES_MAX) {
      throw new RangeError(`A WebSocket attachment cannot be larger than ${ATTACHMENT_BYTES_MAX} bytes; this one has ${length}.`);
    }
    return bytes;
  },
  read: deserializeApart,
};

class Sockets {
  autoResponse = null;
  #object;
  /** Open sockets, each with `{ tags, respondedAt }`. */
  #open = new SafeMap();
  /** Messages that are sent once all earlier writes are on disk. */
  #held = [];
  #isReleasing = false;
  constructor(key, object) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#object = object;
  }

  count() {
    return MapPrototypeGetSize(this.#open);
  }

  accept(socket, tags) {
    const { acceptFor, isWebSocket } = core.loadExtScript("ext:isopod_web_socket/websocket.js");
    if (!isWebSocket(socket)) throw new TypeError("acceptWebSocket() needs a WebSocket");
    if (this.count() >= SOCKETS_MAX) throw new Error(`only ${SOCKETS_MAX} WebSockets can be accepted per Durable Object`);
    const own = checkedTags(tags);
    acceptFor(socket, this);
    MapPrototypeSet(this.#open, socket, { tags: own, respondedAt: null });
  }

  list(tag) {
    const found = [];
    MapPrototypeForEach(this.#open, ({ tags }, socket) => {
      if (tag === undefined || ArrayPrototypeIncludes(tags, `${tag}`)) ArrayPrototypePush(found, socket);
    });
    return found;
  }

  #entry(socket) {
    const entry = MapPrototypeGet(this.#open, socket);
    if (entry === undefined) throw new Error("the WebSocket was not accepted by this Durable Object, or is closed");
    return entry;
  }

  tagsOf(socket) {
    return [...new SafeArrayIterator(this.#entry(socket).tags)];
  }

  respondedAt(socket) {
    const at = MapPrototypeGet(this.#open, socket)?.respondedAt ?? null;
    return at === null ? null : new Date(at);
  }

  setAutoResponse(pair) {
    if (pair !== undefined && pair !== null && !ObjectPrototypeIsPrototypeOf(WebSocketRequestResponsePair.prototype, pair)) {
      throw new TypeError("setWebSocketAutoResponse() needs a WebSocketRequestResponsePair");
    }
    this.autoResponse = pair ?? null;
  }

  /** Passes an item to the other end of a socket, once all earlier writes are on disk. */
  give(peer, item) {
    if (!this.#isReleasing && !this.#object.isDirty()) {
      peer.give(item);
      return;
    }
    ArrayPrototypePush(this.#held, { peer, item });
    if (!this.#isReleasing) this.#release();
  }

  async #release() {
    this.#isReleasing = true;
    while (this.#held.length > 0) {
      const held = this.#held;
      this.#held = [];
      try {
        await this.#object.durable();
      } catch {
        // The object was reset, and its sockets closed.
        this.#held = [];
        break;
      }
      for (const { peer, item } of new SafeArrayIterator(held)) peer.give(item);
    }
    this.#isReleasing = false;
  }

  /** Handles a received message. */
  message(socket, data) {
    const entry = MapPrototypeGet(this.#open, socket);
    if (entry !== undefined && this.autoResponse !== null && data === this.autoResponse.request) {
      entry.respondedAt = DateNow();
      socket.send(this.autoResponse.response);
      return;
    }
    this.#handle("webSocketMessage", [socket, data]);
  }

  /** Handles the end of a socket. */
  closed(socket, { code, reason, wasClean, error }) {
    if (!MapPrototypeDelete(this.#open, socket)) return;
    if (typeof error === "string") this.#handle("webSocketError", [socket, new Error(error)]);
    else this.#handle("webSocketClose", [socket, code, reason, wasClean]);
  }

  #handle(name, args) {
    const handled = this.#object.handleOwn((instance) => {
      const method = instance[name];
      return typeof method === "function" ? FunctionPrototypeCall(method, instance, ...new SafeArrayIterator(args)) : undefined;
    });
    PromisePrototypeThen(handled, undefined, (error) => op_isopod_report(error, true));
  }

  /** Closes all sockets, at the end of the object. */
  closeAll() {
    const open = this.list(undefined);
    this.#open = new SafeMap();
    for (const socket of new SafeArrayIterator(open)) {
      try {
        socket.close(1012, "the Durable Object has ended");
      } catch {
        // It is being closed.
      }
    }
  }
}

function checkedTags(tags) {
  const own = [];
  if (tags === undefined || tags === null) return own;
  if (!ArrayIsArray(tags)) throw new TypeError("the tags of a WebSocket are an array of strings");
  if (tags.length > TAGS_MAX) throw new Error(`a Hibernatable WebSocket cannot have more than ${TAGS_MAX} tags`);
  for (let i = 0; i < tags.length; i++) {
    const tag = `${tags[i]}`;
    if (tag.length > TAG_LENGTH_MAX) throw new Error(`"${tag}" is longer than the max tag length (${TAG_LENGTH_MAX} characters).`);
    if (!ArrayPrototypeIncludes(own, tag)) ArrayPrototypePush(own, tag);
  }
  return own;
}

return { attachments, socketsOf: (object) => new Sockets(constructKey, object), WebSocketRequestResponsePair };
})();
