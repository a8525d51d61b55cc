// Additions to deno_fetch's bodies: byte streams, preserved lengths, and strings equal to their bytes. Loaded before
// the scripts that use bodies, which capture these functions when they are loaded.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_body_length } = core.ops;
const { askForText, READ } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  FunctionPrototypeCall,
  ObjectDefineProperties,
  ObjectGetOwnPropertyDescriptor,
  ObjectPrototypeIsPrototypeOf,
  SafeWeakMap,
  StringPrototypeCharCodeAt,
  StringPrototypeIsWellFormed,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSlice,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

const {
  acquireReadableStreamDefaultReader,
  createReadableByteStream,
  getReadableStreamResourceBacking,
  isReadableStreamDisturbed,
  isReadableStreamLocked,
  readableStreamDisturb,
  readableStreamForRid,
  ReadableStreamPrototype,
  resourceForReadableStream,
} = core.loadExtScript("ext:deno_web/06_streams.js");
const { BlobPrototype } = core.loadExtScript("ext:deno_web/09_file.js");
const formData = core.loadExtScript("ext:deno_fetch/21_formdata.js");
formData.parseFormData = core.loadExtScript("ext:isopod_fetch/form_data.js").parseFormData;
const bodies = core.loadExtScript("ext:deno_fetch/22_body.js");
const { extractBody, InnerBody } = bodies;

function isStream(value) {
  return ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value);
}

/** The string or bytes behind a stream. */
const fixed = new SafeWeakMap();

const noop = () => {};
const noopAsync = async () => {};

function streamOf(body) {
  const stream = createReadableByteStream(noop, (controller) => {
    let bytes;
    try {
      // A copy: the stream transfers the buffer, and the body may be cloned or sent again.
      bytes = typeof body === "string" ? core.encode(body) : TypedArrayPrototypeSlice(body);
    } catch (error) {
      // Out of memory. An exception here would leave the stream's reader waiting.
      controller.error(error);
      return;
    }
    if (TypedArrayPrototypeGetByteLength(bytes) > 0) controller.enqueue(bytes);
    controller.close();
    // A pending read into a buffer ends with the stream.
    controller.byobRequest?.respond(0);
  }, noopAsync);
  WeakMapPrototypeSet(fixed, stream, body);
  return stream;
}

/** The string or bytes behind an unread stream. */
function fixedBody(stream) {
  if (isReadableStreamLocked(stream) || isReadableStreamDisturbed(stream)) return undefined;
  return WeakMapPrototypeGet(fixed, stream);
}

/** Marks a stream as read, because its source is read directly. */
function take(stream) {
  acquireReadableStreamDefaultReader(stream);
  readableStreamDisturb(stream);
}

/** The source, of known length, behind a stream. */
const lengths = new SafeWeakMap();

function setLength(body, length) {
  body.length = length;
  if (length !== null && isStream(body.streamOrStatic)) WeakMapPrototypeSet(lengths, body.streamOrStatic, length);
}

/** The number of bytes that a stream will produce, or `null` if unknown. */
function lengthOf(stream) {
  const body = fixedBody(stream);
  if (body !== undefined) {
    return TypedArrayPrototypeGetByteLength(typeof body === "string" ? core.encode(body) : body);
  }
  if (isReadableStreamDisturbed(stream)) return null;
  const known = WeakMapPrototypeGet(lengths, stream);
  if (known !== undefined) return known;
  const backing = getReadableStreamResourceBacking(stream);
  if (!backing) return null;
  const length = op_isopod_body_length(backing.rid);
  return length < 0 ? null : length;
}

/** Makes a method pass the known length of its object to the streams it returns. */
function keepLength(prototype, name, length, set) {
  const original = prototype[name];
  const keeping = {
    [name]() {
      const known = length(this);
      const given = FunctionPrototypeCall(original, this);
      if (known !== null) set(given, known);
      return given;
    },
  };
  ObjectDefineProperties(prototype, {
    [name]: { __proto__: null, value: keeping[name], configurable: true, enumerable: true, writable: true },
  });
}

const { get: blobSize } = ObjectGetOwnPropertyDescriptor(BlobPrototype, "size");
keepLength(
  BlobPrototype,
  "stream",
  (blob) => ObjectPrototypeIsPrototypeOf(BlobPrototype, blob) ? FunctionPrototypeCall(blobSize, blob) : null,
  (stream, length) => WeakMapPrototypeSet(lengths, stream, length),
);
keepLength(
  ReadableStreamPrototype,
  "tee",
  (stream) => isStream(stream) ? lengthOf(stream) : null,
  (branches, length) => {
    WeakMapPrototypeSet(lengths, branches[0], length);
    WeakMapPrototypeSet(lengths, branches[1], length);
  },
);

/** Streams that close a resource when they are garbage collected, by the streams that read the resource now. */
const former = new SafeWeakMap();

const { get: originalStream } = ObjectGetOwnPropertyDescriptor(InnerBody.prototype, "stream");
const { clone, consume, createProxy } = InnerBody.prototype;

function method(value) {
  return { __proto__: null, value, configurable: true, enumerable: false, writable: true };
}

ObjectDefineProperties(InnerBody.prototype, {
  stream: {
    __proto__: null,
    configurable: true,
    get() {
      const { body, consumed } = this.streamOrStatic;
      if (!isStream(this.streamOrStatic) && !consumed) this.streamOrStatic = streamOf(body);
      return FunctionPrototypeCall(originalStream, this);
    },
  },
  consume: method(function () {
    const body = FunctionPrototypeCall(consume, this);
    if (typeof body === "string") askForText(body, READ);
    // Strings lose a byte order mark when decoded, and lone surrogates when encoded.
    const isItsBytes = typeof body !== "string" || body === "" ||
      (StringPrototypeCharCodeAt(body, 0) !== 0xfeff && StringPrototypeIsWellFormed(body));
    return isItsBytes ? body : core.encode(body);
  }),
  clone: method(function () {
    const stream = this.streamOrStatic;
    if (isStream(stream)) {
      const body = fixedBody(stream);
      if (body !== undefined) {
        const second = new InnerBody({ body, consumed: false });
        second.source = this.source;
        second.length = this.length;
        return second;
      }
      this.length ??= lengthOf(stream);
    } else if (!stream.consumed && typeof stream.body !== "string") {
      // A copy: the reader of the other stream may change its buffer.
      const second = new InnerBody({ body: TypedArrayPrototypeSlice(stream.body), consumed: false });
      second.source = this.source;
      second.length = this.length;
      return second;
    }
    const second = FunctionPrototypeCall(clone, this);
    setLength(this, this.length);
    setLength(second, this.length);
    return second;
  }),
  // https://fetch.spec.whatwg.org/#body-create-a-proxy: the stream of a resource need not be piped, but is replaced.
  createProxy: method(function () {
    const stream = this.streamOrStatic;
    const backing = isStream(stream) && !this.unusable() ? getReadableStreamResourceBacking(stream) : null;
    const body = isStream(stream) ? fixedBody(stream) : undefined;
    let proxy;
    if (!backing && body === undefined) {
      proxy = FunctionPrototypeCall(createProxy, this);
      setLength(proxy, this.length);
      return proxy;
    }
    if (body !== undefined) {
      proxy = new InnerBody({ body, consumed: false });
    } else {
      const second = readableStreamForRid(backing.rid, backing.autoClose);
      WeakMapPrototypeSet(former, second, stream);
      proxy = new InnerBody(second);
    }
    take(stream);
    proxy.source = this.source;
    proxy.length = this.length;
    return proxy;
  }),
});

bodies.extractBody = function (object) {
  const extracted = extractBody(object);
  const { body } = extracted;
  if (isStream(object)) {
    body.source ??= fixedBody(object) ?? null;
    body.length ??= lengthOf(object);
  }
  setLength(body, body.length);
  return extracted;
};

/** Sets the length of bodies that are created from a stream, before it is read. */
function setStreamLength(stream, length) {
  WeakMapPrototypeSet(lengths, stream, length);
}

/**
 * Takes the content of a stream for an op: bytes, or the number of a resource. A stream that has failed gives `error`.
 */
function sourceOf(stream, length) {
  const source = { __proto__: null, bytes: null, rid: null, hasFailed: false, error: undefined };
  const fixed = fixedBody(stream);
  if (fixed !== undefined) {
    take(stream);
    source.bytes = typeof fixed === "string" ? core.encode(fixed) : fixed;
    return source;
  }
  const backing = getReadableStreamResourceBacking(stream);
  if (backing) {
    take(stream);
    source.rid = backing.rid;
    return source;
  }
  source.rid = resourceForReadableStream(stream, length ?? undefined, (error) => {
    source.hasFailed = true;
    source.error = error;
  });
  return source;
}

return { fixedBody, lengthOf, setStreamLength, sourceOf, take };
})();
