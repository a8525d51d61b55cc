// The module `node:fs`: https://nodejs.org/api/fs.html
// A virtual file system, as on Workers: https://developers.cloudflare.com/workers/runtime-apis/nodejs/fs/
// No op gives access to files of the machine.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePop,
  ObjectDefineProperty,
  ObjectKeys,
  ReflectApply,
  SafeArrayIterator,
  StringPrototypeStartsWith,
  SymbolDispose,
} = primordials;
const { customPromisifyArgs, promisify } = core.loadExtScript("ext:deno_node/internal/util.mjs");
const { validateFunction } = core.loadExtScript("ext:deno_node/internal/validators.mjs");
const { nextTick } = core.loadExtScript("ext:deno_node/_next_tick.ts");
const { unavailable } = core.loadExtScript("ext:isopod_node/unavailable.js");
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { Dirent, Stats } = core.loadExtScript("ext:deno_node/internal/fs/utils.mjs");
const { operations: onDescriptors, twofold } = core.loadExtScript("ext:isopod_node/fs/descriptors.js");
const { exists: existsSync, operations: paths } = core.loadExtScript("ext:isopod_node/fs/paths.js");
const { openAsBlob, operations: whole } = core.loadExtScript("ext:isopod_node/fs/whole.js");
const { Dir, opendir } = core.loadExtScript("ext:isopod_node/fs/dir.js");
const promises = core.loadExtScript("ext:isopod_node/fs/promises.js").default;

const operations = { ...onDescriptors, ...paths, ...whole, opendir };
const exported = {};

/** Returns whether an error is from the file system. Errors of arguments are thrown synchronously. */
const isOfSystem = (error) => error?.syscall !== undefined || StringPrototypeStartsWith(`${error?.code}`, "ERR_FS_") || error?.name === "AbortError";

/** Operations whose callbacks get two results, with the names of these results in promises. */
const RESULTS = {
  __proto__: null,
  read: ["bytesRead", "buffer"],
  readv: ["bytesRead", "buffers"],
  write: ["bytesWritten", "buffer"],
  writev: ["bytesWritten", "buffers"],
};

/** Returns the form with a callback. The operation is synchronous, and the callback is called later. */
function withCallback(name, operation) {
  const names = RESULTS[name];
  const call = {
    [name](...args) {
      const callback = ArrayPrototypePop(args);
      validateFunction(callback, "cb");
      let result;
      try {
        result = ReflectApply(operation, undefined, args);
      } catch (error) {
        if (!isOfSystem(error)) throw error;
        nextTick(callback, error);
        return;
      }
      if (names !== undefined) nextTick(callback, null, result[names[0]], result[names[1]]);
      else if (result === undefined) nextTick(callback, null);
      else nextTick(callback, null, result);
    },
  }[name];
  if (names !== undefined) ObjectDefineProperty(call, customPromisifyArgs, { __proto__: null, value: names });
  return call;
}

for (const name of new SafeArrayIterator(ObjectKeys(operations))) {
  const operation = operations[name];
  exported[`${name}Sync`] = { [`${name}Sync`]: (...args) => ReflectApply(operation, undefined, args) }[`${name}Sync`];
  exported[name] = withCallback(name, twofold[name] ?? operation);
}

// Without a callback, an error is an uncaught error of the worker.
const { close } = exported;
function throwIt(error) {
  if (error) throw error;
}
exported.close = { close: (fd, callback = throwIt) => close(fd, callback) }.close;

exported.existsSync = { existsSync: (path) => existsSync(path) }.existsSync;
exported.exists = function exists(path, callback) {
  validateFunction(callback, "cb");
  nextTick(callback, existsSync(path));
};
ObjectDefineProperty(exported.exists, promisify.custom, { __proto__: null, value: async (path) => existsSync(path) });

exported.realpath.native = exported.realpath;
exported.realpathSync.native = exported.realpathSync;

exported.mkdtempDisposableSync = function mkdtempDisposableSync(prefix, options = undefined) {
  const path = paths.mkdtemp(prefix, options);
  const remove = () => paths.rm(path, { recursive: true, force: true });
  return { path, remove, [SymbolDispose]: remove };
};

const lazyStreams = () => core.loadExtScript("ext:deno_node/internal/fs/streams.mjs");
const { default: absent } = unavailable("fs", "read folders with readdir()", {
  functions: "glob globSync unwatchFile watch watchFile",
  classes: "FSWatcher StatWatcher",
});

const all = {
  ...exported,
  ...absent,
  Dir,
  Dirent,
  Stats,
  constants,
  createReadStream: (path, options = undefined) => lazyStreams().createReadStream(path, options),
  createWriteStream: (path, options = undefined) => lazyStreams().createWriteStream(path, options),
  openAsBlob,
  promises,
  F_OK: constants.F_OK,
  R_OK: constants.R_OK,
  W_OK: constants.W_OK,
  X_OK: constants.X_OK,
};

// Classes of streams are loaded lazily, because they need `node:stream`.
for (
  const { 0: name, 1: type } of new SafeArrayIterator([
    ["ReadStream", "ReadStream"],
    ["WriteStream", "WriteStream"],
    ["FileReadStream", "ReadStream"],
    ["FileWriteStream", "WriteStream"],
  ])
) {
  ObjectDefineProperty(all, name, {
    __proto__: null,
    get: () => lazyStreams()[type],
    set: (value) => ObjectDefineProperty(all, name, { __proto__: null, value, configurable: true, enumerable: true, writable: true }),
    configurable: true,
    enumerable: true,
  });
}
ObjectDefineProperty(all, "default", { __proto__: null, value: all, configurable: true, enumerable: true });

return all;
})();
