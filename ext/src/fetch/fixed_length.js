// FixedLengthStream and IdentityTransformStream, as in Workers:
// https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/

(function () {
const { core, primordials } = __bootstrap;
const {
  NumberIsSafeInteger,
  MathMin,
  Number,
  ObjectDefineProperty,
  Promise,
  PromisePrototypeThen,
  RangeError,
  SafeArrayIterator,
  Symbol,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypedArrayPrototypeSubarray,
  TypeError,
} = primordials;

const { ReadableStream, TransformStream, WritableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { setStreamLength } = core.loadExtScript("ext:isopod_fetch/bodies.js");

const ofLength = Symbol("length");

/**
 * A writable stream of bytes and the readable stream of the same bytes. A write waits until all of it was read. With a
 * length, exactly that number of bytes passes.
 */
function bytePipe(writableStrategy, length) {
  let left = length;
  let written; // the chunk to be read
  let wake; // wakes a read that waits for a chunk
  let reading, writing;

  /** Passes as much of the chunk to the reader as it takes. */
  function hand() {
    if (written === undefined) return;
    const request = reading.byobRequest;
    if (request === null) {
      // A copy: enqueued buffers are detached, and the chunk belongs to the writer.
      reading.enqueue(TypedArrayPrototypeSlice(written.bytes, written.at));
      written.at = TypedArrayPrototypeGetByteLength(written.bytes);
    } else {
      const view = bytesOf(request.view);
      const count = MathMin(
        TypedArrayPrototypeGetByteLength(view),
        TypedArrayPrototypeGetByteLength(written.bytes) - written.at,
      );
      TypedArrayPrototypeSet(view, TypedArrayPrototypeSubarray(written.bytes, written.at, written.at + count));
      written.at += count;
      request.respond(count);
    }
    if (written.at === TypedArrayPrototypeGetByteLength(written.bytes)) {
      const { resolve } = written;
      written = undefined;
      resolve();
    }
  }

  const readable = new ReadableStream({
    type: "bytes",
    start(controller) {
      reading = controller;
    },
    pull() {
      if (written !== undefined) return hand();
      return PromisePrototypeThen(new Promise((resolve) => wake = resolve), hand);
    },
    cancel(reason) {
      written?.reject(reason);
      written = undefined;
      writing.error(reason);
    },
  }, { __proto__: null, highWaterMark: 0 });

  const writable = new WritableStream({
    start(controller) {
      writing = controller;
    },
    write(chunk) {
      const bytes = bytesOf(chunk);
      const count = TypedArrayPrototypeGetByteLength(bytes);
      if (left !== undefined) {
        if (count > left) throw fail(new TypeError("Attempt to write too many bytes through a FixedLengthStream."));
        left -= count;
      }
      if (count === 0) return;
      return new Promise((resolve, reject) => {
        written = { __proto__: null, bytes, at: 0, resolve, reject };
        wake?.();
      });
    },
    close() {
      if (left !== undefined && left !== 0) {
        throw fail(new TypeError("FixedLengthStream did not see all expected bytes before close()."));
      }
      reading.close();
      // A read into a buffer must be answered explicitly: Streams Standard, 4.7.4.1.
      reading.byobRequest?.respond(0);
      wake?.();
    },
    abort(reason) {
      written = undefined;
      fail(reason);
    },
  }, writableStrategy);

  function fail(error) {
    reading.error(error);
    return error;
  }

  return { __proto__: null, readable, writable };
}

class IdentityTransformStream extends TransformStream {
  #pipe;

  constructor(writableStrategy = undefined, length = undefined) {
    super();
    this.#pipe = bytePipe(writableStrategy, length?.[ofLength]);
  }

  get readable() {
    return this.#pipe.readable;
  }

  get writable() {
    return this.#pipe.writable;
  }
}
for (const name of new SafeArrayIterator(["readable", "writable"])) {
  ObjectDefineProperty(IdentityTransformStream.prototype, name, { __proto__: null, enumerable: true });
}

/** A body created from its readable side has this length. */
class FixedLengthStream extends IdentityTransformStream {
  constructor(expectedLength, writableStrategy = undefined) {
    const length = typeof expectedLength === "bigint" ? Number(expectedLength) : expectedLength;
    if (!NumberIsSafeInteger(length) || length < 0) {
      throw new RangeError("FixedLengthStream requires a length: a whole number that is not negative");
    }
    super(writableStrategy, { __proto__: null, [ofLength]: length });
    setStreamLength(this.readable, length);
  }
}

return { FixedLengthStream, IdentityTransformStream };
})();
