// Streams of bytes that know their length, and streams that pass bytes on, as Workers have them:
// https://developers.cloudflare.com/workers/runtime-apis/streams/transformstream/

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  ArrayBufferPrototype,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  NumberIsSafeInteger,
  ObjectPrototypeIsPrototypeOf,
  Number,
  RangeError,
  Symbol,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  Uint8Array,
} = primordials;

const { TransformStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { setStreamLength } = core.loadExtScript("ext:isopod_fetch/bodies.js");

/** The bytes of a chunk. */
function bytesOf(chunk) {
  if (TypedArrayPrototypeGetSymbolToStringTag(chunk) === "Uint8Array") return chunk;
  if (TypedArrayPrototypeGetSymbolToStringTag(chunk) !== undefined) {
    return new Uint8Array(
      TypedArrayPrototypeGetBuffer(chunk),
      TypedArrayPrototypeGetByteOffset(chunk),
      TypedArrayPrototypeGetByteLength(chunk),
    );
  }
  if (ArrayBufferIsView(chunk)) {
    return new Uint8Array(
      DataViewPrototypeGetBuffer(chunk),
      DataViewPrototypeGetByteOffset(chunk),
      DataViewPrototypeGetByteLength(chunk),
    );
  }
  if (ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, chunk)) return new Uint8Array(chunk);
  throw new TypeError("This TransformStream is being used as a byte stream: write bytes, an ArrayBuffer or a view of one");
}

const ofLength = Symbol("length");

class IdentityTransformStream extends TransformStream {
  constructor(writableStrategy = undefined, length = undefined) {
    let left = length?.[ofLength];
    super({
      transform(chunk, controller) {
        const bytes = bytesOf(chunk);
        const count = TypedArrayPrototypeGetByteLength(bytes);
        if (left !== undefined) {
          if (count > left) throw new TypeError("Attempt to write too many bytes through a FixedLengthStream.");
          left -= count;
        }
        if (count > 0) controller.enqueue(bytes);
      },
      flush() {
        if (left !== undefined && left !== 0) {
          throw new TypeError("FixedLengthStream did not see all expected bytes before close().");
        }
      },
    }, writableStrategy);
  }
}

/** A body made of its readable side has this length. */
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
