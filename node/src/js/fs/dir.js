// The class `Dir`: https://nodejs.org/api/fs.html#class-fsdir

(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  PromiseReject,
  PromiseResolve,
  SymbolAsyncDispose,
  SymbolAsyncIterator,
  SymbolDispose,
} = primordials;
const { ERR_DIR_CLOSED, ERR_MISSING_ARGS } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateFunction } = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const { operations: { readdir } } = core.loadExtScript("ext:isopod_node/fs/paths.js");

/** A function that gives the result of `call` to a callback, or else returns a promise. */
function either(call, callback) {
  let result, error;
  try {
    result = call();
  } catch (thrown) {
    error = thrown;
  }
  if (callback === undefined) return error === undefined ? PromiseResolve(result) : PromiseReject(error);
  validateFunction(callback, "callback");
  if (error === undefined) nextTick(callback, null, result);
  else nextTick(callback, error);
}

class Dir {
  #entries;
  #next = 0;
  #isClosed = false;

  constructor(path, entries) {
    if (path === undefined) throw new ERR_MISSING_ARGS("path");
    ObjectDefineProperty(this, "path", { __proto__: null, value: path, enumerable: true });
    this.#entries = entries ?? [];
  }

  readSync() {
    if (this.#isClosed) throw new ERR_DIR_CLOSED();
    return this.#entries[this.#next++] ?? null;
  }

  closeSync() {
    if (this.#isClosed) throw new ERR_DIR_CLOSED();
    this.#isClosed = true;
  }

  read(callback = undefined) {
    return either(() => this.readSync(), callback);
  }

  close(callback = undefined) {
    return either(() => this.closeSync(), callback);
  }

  async *entries() {
    try {
      for (let entry = this.readSync(); entry !== null; entry = this.readSync()) yield entry;
    } finally {
      if (!this.#isClosed) this.closeSync();
    }
  }

  [SymbolAsyncIterator]() {
    return this.entries();
  }

  [SymbolDispose]() {
    if (!this.#isClosed) this.closeSync();
  }

  async [SymbolAsyncDispose]() {
    if (!this.#isClosed) this.closeSync();
  }
}

const opendir = (path, options = undefined) =>
  new Dir(`${path}`, readdir(path, { ...options, encoding: options?.encoding ?? "utf8", withFileTypes: true }));

return { Dir, opendir };
})();
