// Connections, behind the sockets of `cloudflare:sockets` and of `node:net`.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_connect, op_isopod_connect_opened, op_isopod_connection_ended, op_isopod_start_tls } = core.ops;
const {
  Promise,
  PromisePrototypeThen,
  PromiseReject,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSlice,
} = primordials;

/** The size of a copied chunk, and of a read. */
const CHUNK_BYTES = 16 * 1024;

/** The use of TLS, with the op's numbers. */
const transports = { __proto__: null, off: 0, on: 1, starttls: 2 };

const noop = () => {};

/** Returns a promise whose unhandled rejection is not reported. */
function quiet(promise) {
  PromisePrototypeThen(promise, undefined, noop);
  return promise;
}

/** The connection behind the streams of a socket. `opening` is a promise of `{ rid, remoteAddress, localAddress }`. */
class Link {
  rid = null;
  pending;
  opening;
  ended;
  reads = true;
  writes = true;
  /** True once TLS has replaced it. */
  isReplaced = false;
  isReleased = false;
  /** Called at the end, with an error if it failed. */
  onEnd = noop;
  /** Resolves once all written data and its end are sent, or have failed. */
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
    if (this.isReleased) core.tryClose(rid);
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
      // A copy, because the writer may change or transfer its chunk.
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
    this.isReleased = true;
    const rid = this.rid ?? this.pending;
    if (rid !== null) core.tryClose(rid);
  }

  /** Starts TLS after `flushed` has resolved. The returned link replaces this one. `settings` are Node.js's options. */
  startTls(name, settings, flushed = undefined) {
    this.isReplaced = true;
    const opening = (async () => {
      const { rid, remoteAddress, localAddress } = await this.opening;
      await flushed;
      link.pending = rid;
      try {
        return { ...await op_isopod_start_tls(rid, name, settings), remoteAddress, localAddress };
      } finally {
        core.tryClose(rid);
      }
    })();
    const link = new Link(opening, null);
    return link;
  }
}

/** Opens a connection. A refusal rejects `opening`. */
function open(hostname, port, transport, allowHalfOpen) {
  let pending = null;
  let opening;
  try {
    pending = op_isopod_connect(hostname, port, transports[transport], allowHalfOpen);
    opening = op_isopod_connect_opened(pending);
  } catch (error) {
    opening = PromiseReject(error);
  }
  return new Link(opening, pending);
}

return { CHUNK_BYTES, noop, open, quiet, transports };
})();
