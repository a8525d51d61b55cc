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

/** The bytes that a view shows, without a copy. */
function bytesOfView(view) {
  return TypedArrayPrototypeGetSymbolToStringTag(view) === undefined
    ? new Uint8Array(
      DataViewPrototypeGetBuffer(view),
      DataViewPrototypeGetByteOffset(view),
      DataViewPrototypeGetByteLength(view),
    )
    : new Uint8Array(
      TypedArrayPrototypeGetBuffer(view),
      TypedArrayPrototypeGetByteOffset(view),
      TypedArrayPrototypeGetByteLength(view),
    );
}

/** The bytes of a chunk. */
function bytesOf(chunk) {
  if (TypedArrayPrototypeGetSymbolToStringTag(chunk) === "Uint8Array") return chunk;
  if (ArrayBufferIsView(chunk)) return bytesOfView(chunk);
  if (ObjectPrototypeIsPrototypeOf(ArrayBufferPrototype, chunk)) return new Uint8Array(chunk);
  throw new TypeError("This stream takes bytes: write a Uint8Array, an ArrayBuffer or a view of one");
}

return { bytesOf, bytesOfView };
})();
