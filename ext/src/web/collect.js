// Reads whole bodies. Their memory is reserved before they are read, and a body that does not fit now waits, unread,
// until other events have released memory. Unread data stays with the client.
//
// Replaces deno's function that collects a stream, which reads into uncounted memory. Loaded before the scripts that
// use it.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_body_length,
  op_isopod_found_room,
  op_isopod_may_look,
  op_isopod_memory_limit,
  op_isopod_room_for_memory,
  op_isopod_room_is_made,
} = core.ops;
const {
  ArrayPrototypeFind,
  ArrayPrototypePush,
  MathFloor,
  MathMax,
  MathMin,
  ObjectGetOwnPropertySymbols,
  ReflectApply,
  SafeArrayIterator,
  SymbolPrototypeGetDescription,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypedArrayPrototypeSubarray,
  TypeError,
  Uint8Array,
} = primordials;
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const {
  acquireReadableStreamDefaultReader,
  getReadableStreamResourceBacking,
  isReadableStreamDisturbed,
  ReadableStream,
  ReadableStreamDefaultReader,
  readableStreamClose,
  readableStreamDisturb,
  readableStreamError,
  readableStreamThrowIfErrored,
} = streams;
const collectPieces = streams.readableStreamCollectIntoUint8Array;
const { read: readerRead } = ReadableStreamDefaultReader.prototype;

/** Up to this size, bodies are read without a reservation. */
const SMALL_BYTES = 64 * 1024;

/** Bodies wait only for events that hold at least this much. */
const WORTH_WAITING_FOR = 1 << 20;

/**
 * The sizes of pieces for a body of unknown length. Few bodies exceed the first; only few of the others may share the room,
 * so that they can be completed.
 */
function pieceBytes(number) {
  if (number < 2) return number === 0 ? SMALL_BYTES : 3 * SMALL_BYTES;
  return MathMin(MathMax(WORTH_WAITING_FOR, MathFloor(op_isopod_memory_limit() / 8)), 8 << 20);
}

// The branches of a teed stream have it: the replaced function reads them in one go.
const original = ArrayPrototypeFind(
  ObjectGetOwnPropertySymbols(new ReadableStream().tee()[0]),
  (symbol) => SymbolPrototypeGetDescription(symbol) === "[[original]]",
);

/** Resolves to a new buffer when the worker's memory has room; rejects if no other event would release enough. */
async function buffer(bytes) {
  if (bytes <= SMALL_BYTES) return new Uint8Array(bytes);
  const event = currentEvent();
  let looks = op_isopod_may_look(event);
  for (let freed = false;; freed = true) {
    try {
      if (looks) return found(event, bytes, freed);
    } catch (error) {
      if (bytes > op_isopod_memory_limit()) throw error;
    }
    if (!await op_isopod_room_is_made(event, looks)) return found(event, bytes, true);
    looks = true;
  }
}

// Immediately: several may be told in the same turn that there is room.
function found(event, bytes, freed) {
  op_isopod_room_for_memory(bytes, freed);
  const found = new Uint8Array(bytes);
  op_isopod_found_room(event, bytes >= WORTH_WAITING_FOR);
  return found;
}

/** Reads until the buffer is full or the body has ended; returns the number of bytes. */
async function fill(rid, bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  let at = 0;
  while (at < length) {
    const read = await core.read(rid, at === 0 ? bytes : TypedArrayPrototypeSubarray(bytes, at));
    if (read === 0) break;
    at += read;
  }
  return at;
}

async function joined(pieces, length) {
  const whole = await buffer(length);
  let at = 0;
  for (const piece of new SafeArrayIterator(pieces)) {
    TypedArrayPrototypeSet(whole, piece, at);
    at += TypedArrayPrototypeGetByteLength(piece);
  }
  return whole;
}

async function readResource(rid) {
  const announced = op_isopod_body_length(rid);
  if (announced >= 0) {
    const bytes = await buffer(announced);
    const read = await fill(rid, bytes);
    return read === announced ? bytes : TypedArrayPrototypeSlice(bytes, 0, read);
  }
  const pieces = [];
  let all = 0;
  for (;;) {
    const size = pieceBytes(pieces.length);
    const piece = await buffer(size);
    const read = await fill(rid, piece);
    all += read;
    ArrayPrototypePush(pieces, read === size ? piece : TypedArrayPrototypeSubarray(piece, 0, read));
    if (read < size) break;
  }
  return pieces.length === 1 ? TypedArrayPrototypeSlice(pieces[0]) : joined(pieces, all);
}

async function readBranch(stream) {
  const reader = acquireReadableStreamDefaultReader(stream);
  const pieces = [];
  let all = 0;
  for (;;) {
    const { value, done } = await ReflectApply(readerRead, reader, []);
    if (done) return joined(pieces, all);
    if (TypedArrayPrototypeGetSymbolToStringTag(value) !== "Uint8Array") {
      throw new TypeError("Cannot convert value to Uint8Array while consuming the stream");
    }
    ArrayPrototypePush(pieces, value);
    all += TypedArrayPrototypeGetByteLength(value);
  }
}

async function collectResource(stream, { rid, autoClose }) {
  // Locks the stream.
  acquireReadableStreamDefaultReader(stream);
  try {
    readableStreamDisturb(stream);
    const bytes = await readResource(rid);
    readableStreamThrowIfErrored(stream);
    readableStreamClose(stream);
    return bytes;
  } catch (error) {
    readableStreamThrowIfErrored(stream);
    readableStreamError(stream, error);
    throw error;
  } finally {
    if (autoClose) core.tryClose(rid);
  }
}

streams.readableStreamCollectIntoUint8Array = (stream) => {
  const backing = getReadableStreamResourceBacking(stream);
  if (backing && !isReadableStreamDisturbed(stream)) return collectResource(stream, backing);
  return stream[original] ? readBranch(stream) : collectPieces(stream);
};
})();
