// The engines of `node:zlib`, as the borrowed script uses them. In Node.js they run on other threads. Here they run in steps, so that
// the CPU limit can end them, and call back in a later tick.

(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const { byteLengthOf } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayBufferIsView,
  Error,
  MathMin,
  SafeFinalizationRegistry,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetSymbolToStringTag,
  DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteOffset,
  Uint8Array,
  Uint32Array,
} = primordials;

const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

/** Maximum input and output of a step. */
const STEP_BYTES = 256 * 1024;
/** Smaller, because the best compression of brotli takes a second for a few megabytes. */
const BROTLI_STEP_BYTES = 32 * 1024;

// https://github.com/madler/zlib/blob/v1.3.1/zlib.h
const Z_NO_FLUSH = 0;
const Z_FINISH = 4;
const Z_OK = 0;
const Z_STREAM_END = 1;
const Z_NEED_DICT = 2;
const Z_BUF_ERROR = -5;
const BROTLI_OPERATION_PROCESS = 0;
const BROTLI_OPERATION_FINISH = 2;
/** As in `brotli.rs`. */
const BROTLI_ERROR_BASE = 1000;
const BROTLI_DECODE = 8;

/** Returns a part of a view, even if a script has replaced its properties. */
function partOf(view, start, length) {
  return TypedArrayPrototypeGetSymbolToStringTag(view) === undefined
    ? new Uint8Array(DataViewPrototypeGetBuffer(view), DataViewPrototypeGetByteOffset(view) + start, length)
    : new Uint8Array(TypedArrayPrototypeGetBuffer(view), TypedArrayPrototypeGetByteOffset(view) + start, length);
}

const nothing = new Uint8Array(0);

let open, ridOf;

/** The base of all engines. Scripts can reach them, so their state is private. */
class Engine {
  #rid = null;
  #done = new Uint32Array(2);
  #stepBytes;
  #noFlush;

  static {
    open = (engine, rid, stepBytes, noFlush) => {
      engine.close();
      engine.#rid = rid;
      engine.#stepBytes = stepBytes;
      engine.#noFlush = noFlush;
      abandoned.register(engine, rid, engine);
    };
    ridOf = (engine) => {
      if (engine.#rid === null) throw new Error("the stream is closed");
      return engine.#rid;
    };
  }

  close() {
    if (this.#rid === null) return;
    abandoned.unregister(this);
    core.tryClose(this.#rid);
    this.#rid = null;
  }

  reset() {
    ops.op_isopod_zlib_reset(ridOf(this));
    return Z_OK;
  }

  write(flush, input, inOffset, inLength, output, outOffset, outLength, state) {
    this.writeSync(flush, input, inOffset, inLength, output, outOffset, outLength, state);
  }

  /** Writes the remaining lengths to `state`. Calls `onerror` on failure. */
  writeSync(flush, input, inOffset, inLength, output, outOffset, outLength, state) {
    const source = input === null || input === undefined ? nothing : input;
    if (!ArrayBufferIsView(source) || !ArrayBufferIsView(output)) throw new TypeError("expected a buffer");
    const isInside = (view, offset, length) => offset >= 0 && length >= 0 && offset + length <= byteLengthOf(view);
    if (!isInside(source, inOffset, inLength) || !isInside(output, outOffset, outLength)) {
      throw new TypeError("invalid range");
    }
    const rid = ridOf(this);
    let code;
    while (true) {
      const [takes, gives] = [MathMin(inLength, this.#stepBytes), MathMin(outLength, STEP_BYTES)];
      // Only the last input is flushed.
      const isLast = takes === inLength;
      code = ops.op_isopod_zlib_step(
        rid,
        isLast ? flush : this.#noFlush,
        partOf(source, inOffset, takes),
        partOf(output, outOffset, gives),
        this.#done,
      );
      const [used, written] = [this.#done[0], this.#done[1]];
      inOffset += used;
      inLength -= used;
      outOffset += written;
      outLength -= written;
      if (code !== Z_OK && code !== Z_BUF_ERROR) break;
      // Done, or waiting for more of either.
      if (outLength === 0 || (used === 0 && written === 0)) break;
      if (isLast && written < gives) break;
    }
    state[0] = outLength;
    state[1] = inLength;
    const error = this._errorOf(code, flush, outLength);
    if (error !== undefined) this.onerror(error.message, error.errno, error.code);
  }
}

class Zlib extends Engine {
  #mode;
  #hasDictionary = false;

  constructor(mode) {
    super();
    this.#mode = mode;
  }

  init(windowBits, level, memLevel, strategy, _callback, dictionary) {
    const rid = ops.op_isopod_zlib_new(this.#mode, windowBits, level, memLevel, strategy, dictionary);
    this.#hasDictionary = dictionary !== undefined;
    open(this, rid, STEP_BYTES, Z_NO_FLUSH);
    return Z_OK;
  }

  /** Ignored: the data is valid with the previous level and strategy. */
  params() {}

  /** https://github.com/nodejs/node/blob/v24.0.0/src/node_zlib.cc, `ZlibContext::CheckError` */
  _errorOf(code, flush, outLength) {
    if (code === Z_STREAM_END) return undefined;
    let message;
    if (code === Z_OK || code === Z_BUF_ERROR) {
      if (outLength === 0 || flush !== Z_FINISH) return undefined;
      return { message: "unexpected end of file", errno: Z_BUF_ERROR };
    }
    if (code === Z_NEED_DICT) message = this.#hasDictionary ? "Bad dictionary" : "Missing dictionary";
    else message = ops.op_isopod_zlib_message(ridOf(this)) ?? "Zlib error";
    return { message, errno: code };
  }

  /** Not supported. */
  setRejectGarbageAfterEnd() {
    throw new Error("the option rejectGarbageAfterEnd is not available in workers");
  }
}

class Brotli extends Engine {
  #decodes;

  constructor(mode) {
    super();
    this.#decodes = mode === BROTLI_DECODE;
  }

  init(parameters) {
    const stepBytes = this.#decodes ? STEP_BYTES : BROTLI_STEP_BYTES;
    open(this, ops.op_isopod_brotli_new(this.#decodes, parameters), stepBytes, BROTLI_OPERATION_PROCESS);
    return true;
  }

  params() {}

  _errorOf(code, flush, outLength) {
    if (code <= -BROTLI_ERROR_BASE) {
      const name = ops.op_isopod_zlib_message(ridOf(this));
      return { message: "Decompression failed", errno: code + BROTLI_ERROR_BASE, code: `ERR_${name}` };
    }
    if (this.#decodes && code === Z_BUF_ERROR && flush === BROTLI_OPERATION_FINISH && outLength > 0) {
      return { message: "unexpected end of file", errno: Z_BUF_ERROR, code: "Z_BUF_ERROR" };
    }
    return undefined;
  }
}

function unavailable() {
  const error = new Error("zstd is not available in workers; use brotli or gzip");
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  throw error;
}

class ZstdCompress {
  constructor() {
    unavailable();
  }
}

class ZstdDecompress {
  constructor() {
    unavailable();
  }
}

function crc32(data, value) {
  const bytes = typeof data === "string" ? core.encode(data) : partOf(data, 0, byteLengthOf(data));
  return ops.op_isopod_crc32(bytes, value);
}

const binding = { BrotliDecoder: Brotli, BrotliEncoder: Brotli, Zlib, ZstdCompress, ZstdDecompress, crc32 };
return { ...binding, default: binding };
})();
