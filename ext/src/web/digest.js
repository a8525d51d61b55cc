// Additions of Workers to the Web Cryptography API: `DigestStream` and `subtle.timingSafeEqual()`.
// https://developers.cloudflare.com/workers/runtime-apis/web-crypto/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_digest_finish, op_isopod_digest_new, op_isopod_digest_update, op_isopod_is_equal } = core.ops;
const {
  ObjectDefineProperty,
  Promise,
  PromisePrototypeThen,
  SafeArrayIterator,
  SafeFinalizationRegistry,
  StringPrototypeToUpperCase,
  SymbolDispose,
  TypedArrayPrototypeGetBuffer,
  TypeError,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { WritableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { askForText, COPY } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { Crypto, SubtleCrypto } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

const prefix = "Failed to construct 'DigestStream'";

/** The name of an algorithm, given as a text or as an object that has it. */
function nameOf(algorithm) {
  const name = typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm;
  return StringPrototypeToUpperCase(webidl.converters.DOMString(name, prefix, "Argument 1"));
}

/** Digests all written data, and resolves `digest` when the stream is closed. */
class DigestStream extends WritableStream {
  #digest;
  #bytesWritten = 0;
  #cancel;

  constructor(algorithm) {
    webidl.requiredArguments(arguments.length, 1, prefix);
    const rid = op_isopod_digest_new(nameOf(algorithm));
    let resolve, reject, count;
    const digest = new Promise((done, failed) => {
      resolve = done;
      reject = failed;
    });
    // The stream reports the same error, so an unused digest must not be an uncaught rejection.
    PromisePrototypeThen(digest, undefined, () => {});
    const end = (error) => {
      abandoned.unregister(digest);
      core.tryClose(rid);
      reject(error);
    };
    super({
      write(chunk) {
        const bytes = bytesOf(chunk, end);
        for (let at = 0; at < bytes.byteLength;) at += op_isopod_digest_update(rid, bytes, at);
        count(bytes.byteLength);
      },
      close() {
        abandoned.unregister(digest);
        resolve(TypedArrayPrototypeGetBuffer(op_isopod_digest_finish(rid)));
      },
      abort: end,
    });
    count = (bytes) => this.#bytesWritten += bytes;
    this.#digest = digest;
    this.#cancel = end;
    abandoned.register(digest, rid, digest);
  }

  get digest() {
    return this.#digest;
  }

  get bytesWritten() {
    return this.#bytesWritten;
  }

  [SymbolDispose]() {
    this.#cancel(new TypeError("The DigestStream was disposed."));
  }
}

/** The bytes of a chunk; text as UTF-8. If it is neither, or there is no memory, the digest fails as well. */
function bytesOf(chunk, end) {
  try {
    if (typeof chunk === "string") {
      askForText(chunk, COPY, 2);
      return core.encode(chunk);
    }
    return webidl.converters.BufferSource(chunk, "Failed to write to a DigestStream", "chunk");
  } catch (error) {
    end(error);
    throw error;
  }
}
for (const name of new SafeArrayIterator(["digest", "bytesWritten"])) {
  ObjectDefineProperty(DigestStream.prototype, name, { __proto__: null, enumerable: true });
}

/** Compares two buffers of the same length in constant time. */
const { timingSafeEqual } = {
  timingSafeEqual(a, b) {
    const prefix = "Failed to execute 'timingSafeEqual' on 'SubtleCrypto'";
    webidl.requiredArguments(arguments.length, 2, prefix);
    a = webidl.converters.BufferSource(a, prefix, "Argument 1");
    b = webidl.converters.BufferSource(b, prefix, "Argument 2");
    if (a.byteLength !== b.byteLength) throw new TypeError(`${prefix}: Input buffers must have the same byte length.`);
    return op_isopod_is_equal(a, b);
  },
};

const hidden = { __proto__: null, writable: true, enumerable: false, configurable: true };
ObjectDefineProperty(Crypto.prototype, "DigestStream", { ...hidden, __proto__: null, value: DigestStream });
ObjectDefineProperty(SubtleCrypto.prototype, "timingSafeEqual", { __proto__: null, value: timingSafeEqual, writable: true, enumerable: true, configurable: true });
})();
