// The class `FileHandle`: https://nodejs.org/api/fs.html#class-filehandle

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  Error,
  ObjectPrototypeIsPrototypeOf,
  Promise,
  PromiseResolve,
  Symbol,
  SymbolAsyncDispose,
  SymbolAsyncIterator,
  SymbolIterator,
  TypedArrayPrototypeGetByteLength,
  Uint8Array,
} = primordials;
const { EventEmitter } = core.loadExtScript("ext:deno_node/_events.mjs");
const { ERR_INVALID_STATE } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const descriptors = core.loadExtScript("ext:isopod_node/fs/descriptors.js");
const whole = core.loadExtScript("ext:isopod_node/fs/whole.js");
const { operations: on, twofold } = descriptors;
const lazyStreams = () => core.loadExtScript("ext:deno_node/internal/fs/streams.mjs");

// Called by streams: a handle that a stream uses is closed when both are done.
const kRef = Symbol("kRef");
const kUnref = Symbol("kUnref");

const CHUNK_BYTES = 16_384;

class FileHandle extends EventEmitter {
  #fd;
  #users = 1;
  #isLocked = false;
  #closing;
  #closed;

  constructor(fd) {
    super();
    this.#fd = fd;
  }

  get fd() {
    return this.#fd;
  }

  #open(syscall) {
    if (this.#fd !== -1 && this.#closing === undefined) return this.#fd;
    const error = new Error("file closed");
    error.code = "EBADF";
    error.syscall = syscall;
    throw error;
  }

  async appendFile(data, options = undefined) {
    return await this.#put(data, options, "a");
  }

  async chmod(mode) {
    return on.fchmod(this.#open("fchmod"), mode);
  }

  async chown(uid, gid) {
    return on.fchown(this.#open("fchown"), uid, gid);
  }

  close() {
    if (this.#fd === -1) return PromiseResolve();
    if (this.#closing === undefined) {
      this.#closing = new Promise((resolve, reject) => this.#closed = { resolve, reject });
      this[kUnref]();
      this.emit("close");
    }
    return this.#closing;
  }

  [kRef]() {
    this.#users++;
  }

  [kUnref]() {
    if (--this.#users > 0 || this.#fd === -1) return;
    try {
      on.close(this.#fd);
      this.#closed?.resolve();
    } catch (error) {
      this.#closed?.reject(error);
    }
    this.#fd = -1;
  }

  createReadStream(options = undefined) {
    return lazyStreams().createReadStream(undefined, { ...options, fd: this });
  }

  createWriteStream(options = undefined) {
    return lazyStreams().createWriteStream(undefined, { ...options, fd: this });
  }

  async datasync() {
    return on.fdatasync(this.#open("fdatasync"));
  }

  async read(buffer = undefined, offset = undefined, length = undefined, position = undefined) {
    return twofold.read(this.#open("read"), buffer, offset, length, position);
  }

  async readFile(options = undefined) {
    return whole.operations.readFile(this.#open("readFile"), options);
  }

  /** The lines of the rest of the file. */
  async *readLines(options = undefined) {
    let rest = "";
    for await (const chunk of this.createReadStream({ encoding: "utf8", ...options })) {
      const lines = `${rest}${chunk}`.split(/\r?\n/);
      rest = lines.pop();
      yield* lines;
    }
    if (rest !== "") yield rest;
  }

  readableWebStream(options = undefined) {
    this.#open("read");
    if (this.#isLocked) throw new ERR_INVALID_STATE("The FileHandle is locked");
    this.#isLocked = true;
    this[kRef]();
    const ended = async () => {
      this[kUnref]();
      if (options?.autoClose) await this.close();
    };
    const { ReadableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
    return new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: CHUNK_BYTES,
      pull: async (controller) => {
        const { view } = controller.byobRequest;
        const bytes = new Uint8Array(view.buffer, view.byteOffset, TypedArrayPrototypeGetByteLength(view));
        const count = descriptors.readInto(this.#fd, bytes, null);
        if (count === 0) controller.close();
        controller.byobRequest.respond(count);
        if (count === 0) await ended();
      },
      cancel: ended,
    });
  }

  async readv(buffers, position = undefined) {
    return twofold.readv(this.#open("readv"), buffers, position);
  }

  async stat(options = undefined) {
    return on.fstat(this.#open("fstat"), options);
  }

  async sync() {
    return on.fsync(this.#open("fsync"));
  }

  async truncate(length = 0) {
    return on.ftruncate(this.#open("ftruncate"), length);
  }

  async utimes(atime, mtime) {
    return on.futimes(this.#open("futimes"), atime, mtime);
  }

  async write(buffer, offset = undefined, length = undefined, position = undefined) {
    return twofold.write(this.#open("write"), buffer, offset, length, position);
  }

  async writeFile(data, options = undefined) {
    return await this.#put(data, options, "w");
  }

  async writev(buffers, position = undefined) {
    return twofold.writev(this.#open("writev"), buffers, position);
  }

  async #put(data, options, flag) {
    const fd = this.#open("writeFile");
    return await putAnything(fd, data, options, flag);
  }

  async [SymbolAsyncDispose]() {
    await this.close();
  }
}

/** Implements `writeFile` and `appendFile` for text, a view, or an iterable. */
async function putAnything(path, data, options, flag) {
  const isIterable = data !== null && typeof data === "object" && !ArrayBufferIsView(data) &&
    (typeof data[SymbolAsyncIterator] === "function" || typeof data[SymbolIterator] === "function");
  if (isIterable) {
    const { encoding, signal } = typeof options === "string" ? { encoding: options } : options ?? {};
    data = await whole.collect(data, encoding, signal);
  }
  const { appendFile, writeFile } = whole.operations;
  return flag === "a" ? appendFile(path, data, options) : writeFile(path, data, options);
}

const isHandle = (value) => ObjectPrototypeIsPrototypeOf(FileHandle.prototype, value);

return { FileHandle, isHandle, kRef, kUnref, putAnything };
})();
