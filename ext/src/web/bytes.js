// Bytes that a script writes to a stream.

(function () {
const { primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  ArrayBufferPrototype,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset,
  ObjectPrototypeIsPrototypeOf,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
  Uint8Array,
} = primordials;

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
  throw new TypeError("This stream takes bytes: write a Uint8Array, an ArrayBuffer or a view of one");
}

return { bytesOf };
})();
