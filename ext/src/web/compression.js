// CompressionStream and DecompressionStream on the codecs of codec/mod.rs. https://compression.spec.whatwg.org/
//
// They replace deno's, which produce the output of a chunk in one piece, outside of every limit.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_codec_finish, op_isopod_codec_new, op_isopod_codec_step } = core.ops;
const {
  ArrayPrototypeFind,
  ObjectGetOwnPropertySymbols,
  ObjectPrototypeIsPrototypeOf,
  SafeFinalizationRegistry,
  SymbolFor,
  SymbolPrototypeGetDescription,
  TypedArrayPrototypeSlice,
  TypeError,
  Uint8Array,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");
const { TransformStream } = core.loadExtScript("ext:deno_web/06_streams.js");

/** The output buffer of one step. */
const OUTPUT_BYTES = 64 * 1024;

/** Maximum number of output pieces of a chunk that wait for the reader; further ones are produced when those have been read. */
const PIECES_WAITING_MAX = 16;

/** As in the result of op_isopod_codec_step. */
const USED_MAX = 1 << 20;

// The promise with which a transform stream signals demand: 4.6.1 of the Streams Standard.
const backpressureChangePromise = ArrayPrototypeFind(
  ObjectGetOwnPropertySymbols(new TransformStream()),
  (symbol) => SymbolPrototypeGetDescription(symbol) === "[[backpressureChangePromise]]",
);

const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

const formats = webidl.createEnumConverter("CompressionFormat", ["deflate", "deflate-raw", "gzip", "brotli"]);

/** The transform stream of a codec. */
function codecStream(format, decodes, prefix) {
  const rid = op_isopod_codec_new(format, decodes);
  let output = null;
  const take = (length) => TypedArrayPrototypeSlice(output, 0, length);
  const stream = new TransformStream({
    async transform(chunk, controller) {
      chunk = webidl.converters.BufferSource(chunk, prefix, "chunk");
      output ??= new Uint8Array(OUTPUT_BYTES);
      let at = 0;
      for (;;) {
        const report = op_isopod_codec_step(rid, chunk, at, output);
        const used = report % USED_MAX;
        const written = (report - used) / USED_MAX;
        if (used === 0 && written === 0) {
          if (at < chunk.byteLength) throw new TypeError("unexpected data after the end of the compressed data");
          return;
        }
        at += used;
        if (written === 0) continue;
        controller.enqueue(take(written));
        if (controller.desiredSize <= -PIECES_WAITING_MAX) await stream[backpressureChangePromise].promise;
        // Its reader has left, or it was aborted.
        if (controller.desiredSize === null) return;
      }
    },
    flush(controller) {
      output ??= new Uint8Array(OUTPUT_BYTES);
      try {
        for (let written; (written = op_isopod_codec_finish(rid, output)) > 0;) controller.enqueue(take(written));
      } finally {
        close();
      }
    },
    cancel: close,
  });
  function close() {
    abandoned.unregister(stream);
    core.tryClose(rid);
  }
  abandoned.register(stream, rid, stream);
  return stream;
}

function inspected(object, prototype, inspect, inspectOptions) {
  const evaluate = ObjectPrototypeIsPrototypeOf(prototype, object);
  return inspect(createFilteredInspectProxy({ object, evaluate, keys: ["readable", "writable"] }), inspectOptions);
}

class CompressionStream {
  #transform;

  constructor(format) {
    const prefix = "Failed to construct 'CompressionStream'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    this.#transform = codecStream(formats(format, prefix, "Argument 1"), false, prefix);
    this[webidl.brand] = webidl.brand;
  }

  get readable() {
    webidl.assertBranded(this, CompressionStreamPrototype);
    return this.#transform.readable;
  }

  get writable() {
    webidl.assertBranded(this, CompressionStreamPrototype);
    return this.#transform.writable;
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspected(this, CompressionStreamPrototype, inspect, inspectOptions);
  }
}

webidl.configureInterface(CompressionStream);
const CompressionStreamPrototype = CompressionStream.prototype;

class DecompressionStream {
  #transform;

  constructor(format) {
    const prefix = "Failed to construct 'DecompressionStream'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    this.#transform = codecStream(formats(format, prefix, "Argument 1"), true, prefix);
    this[webidl.brand] = webidl.brand;
  }

  get readable() {
    webidl.assertBranded(this, DecompressionStreamPrototype);
    return this.#transform.readable;
  }

  get writable() {
    webidl.assertBranded(this, DecompressionStreamPrototype);
    return this.#transform.writable;
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, inspectOptions) {
    return inspected(this, DecompressionStreamPrototype, inspect, inspectOptions);
  }
}

webidl.configureInterface(DecompressionStream);
const DecompressionStreamPrototype = DecompressionStream.prototype;

return { CompressionStream, DecompressionStream };
})();
