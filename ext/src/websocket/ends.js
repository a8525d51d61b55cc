// The ends of connections. Every WebSocket has an end, and each end has a peer. Items wait at an end until they are
// consumed, by the WebSocket once it is accepted, or by a connection out of the worker that the end is coupled with.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_socket_buffer_max,
  op_isopod_socket_bytes,
  op_isopod_socket_close,
  op_isopod_socket_end,
  op_isopod_socket_next,
  op_isopod_socket_send,
  op_isopod_socket_text,
  op_void_async_deferred,
} = core.ops;
const {
  ArrayBufferPrototypeGetByteLength,
  ArrayPrototypePush,
  ArrayPrototypeShift,
  Promise,
  TypedArrayPrototypeGetBuffer,
  Uint8Array,
} = primordials;

// The results of `op_isopod_socket_next`.
const TEXT = 0;
const BINARY = 1;
const END = 2;

/** Maximum number of messages that wait at an end, in addition to the limit on their bytes. */
const WAITING_MAX = 4096;

/** One end of a connection. Items are `{ data }`, and `{ code, reason, wasClean, error }` for the last. */
class End {
  peer = null;
  queue = [];
  bytes = 0;
  isDraining = false;
  /** Consumes an item; `null` while there is no consumer. */
  consume = null;
  /** The connection out of the worker, if coupled. */
  rid = null;
  #whenConsumed = null;

  /** Sets the consumer of items. */
  consumeWith(consume) {
    this.consume = consume;
    this.#whenConsumed?.resolve();
    this.drain();
  }

  /** Resolves once there is a consumer. */
  consumed() {
    if (this.consume !== null) return undefined;
    if (this.#whenConsumed === null) {
      const waiting = this.#whenConsumed = {};
      waiting.promise = new Promise((resolve) => waiting.resolve = resolve);
    }
    return this.#whenConsumed.promise;
  }

  /** Passes an item from the other end in the same worker, to be consumed in a later turn. */
  give(item) {
    if (this.rid !== null) {
      this.consume(item);
      return;
    }
    const bytes = item.data === undefined ? 0 : sizeOf(item.data);
    if (item.data !== undefined && this.isFull(bytes)) {
      const error = "the peer reads too slowly: too many messages wait";
      item = { code: 1006, reason: "", wasClean: false, error };
      this.peer.give(item);
    }
    this.bytes += bytes;
    ArrayPrototypePush(this.queue, item);
    this.drain();
  }

  isFull(bytes) {
    return this.queue.length >= WAITING_MAX || this.bytes + bytes > op_isopod_socket_buffer_max();
  }

  /** Passes an item from outside the worker, which arrives in its own turn. */
  arrive(item) {
    if (this.queue.length === 0 && this.consume !== null) this.consume(item);
    else this.give(item);
  }

  async drain() {
    if (this.isDraining) return;
    this.isDraining = true;
    while (this.consume !== null && this.queue.length > 0) {
      await op_void_async_deferred();
      const item = ArrayPrototypeShift(this.queue);
      if (item.data !== undefined) this.bytes -= sizeOf(item.data);
      this.consume(item);
    }
    this.isDraining = false;
  }
}

function sizeOf(data) {
  return typeof data === "string" ? data.length * 2 : ArrayBufferPrototypeGetByteLength(data);
}

function newPair() {
  const one = new End();
  const other = new End();
  one.peer = other;
  other.peer = one;
  return [one, other];
}

/** Couples an end with a connection out of the worker, so that its peer communicates with the connection's peer. */
async function couple(end, rid) {
  end.rid = rid;
  end.consumeWith((item) => {
    if (item.data === undefined) op_isopod_socket_close(rid, item.code === 1005 ? 0 : sendable(item.code), item.reason);
    else op_isopod_socket_send(rid, typeof item.data === "string" ? item.data : new Uint8Array(item.data));
  });
  const { peer } = end;
  try {
    while (true) {
      await peer.consumed();
      const kind = await op_isopod_socket_next(rid);
      if (kind === TEXT) peer.arrive({ data: op_isopod_socket_text(rid) });
      else if (kind === BINARY) peer.arrive({ data: TypedArrayPrototypeGetBuffer(op_isopod_socket_bytes(rid)) });
      else {
        if (kind === END) peer.arrive(op_isopod_socket_end(rid));
        break;
      }
    }
  } finally {
    core.tryClose(rid);
  }
}

/** A code that can be sent: 1006 cannot. */
function sendable(code) {
  return code === 1006 ? 1011 : code;
}

return { couple, newPair };
})();
