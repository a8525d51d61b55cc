// The module `node:fs/promises`: https://nodejs.org/api/fs.html#promises-api

(function () {
const { core, primordials } = __bootstrap;
const { ObjectKeys, ReflectApply, SafeArrayIterator, SymbolAsyncDispose } = primordials;
const { unavailable } = core.loadExtScript("ext:isopod_node/unavailable.js");
const { fs: constants } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");
const { operations: { open } } = core.loadExtScript("ext:isopod_node/fs/descriptors.js");
const { operations: paths } = core.loadExtScript("ext:isopod_node/fs/paths.js");
const { operations: whole } = core.loadExtScript("ext:isopod_node/fs/whole.js");
const { opendir } = core.loadExtScript("ext:isopod_node/fs/dir.js");
const { FileHandle, isHandle, putAnything } = core.loadExtScript("ext:deno_node/internal/fs/handle.ts");

const exported = { constants };

/** Defines the operations, which are synchronous; only their results are asynchronous. */
function define(operations) {
  for (const name of new SafeArrayIterator(ObjectKeys(operations))) {
    exported[name] = {
      async [name](...args) {
        if (isHandle(args[0])) args[0] = args[0].fd;
        return ReflectApply(operations[name], undefined, args);
      },
    }[name];
  }
}

define(paths);
define({ copyFile: whole.copyFile, cp: whole.cp, opendir, readFile: whole.readFile });

exported.open = {
  async open(path, flags = "r", mode = 0o666) {
    return new FileHandle(open(path, flags, mode));
  },
}.open;
exported.writeFile = async function writeFile(path, data, options = undefined) {
  return await putAnything(isHandle(path) ? path.fd : path, data, options, "w");
};
exported.appendFile = async function appendFile(path, data, options = undefined) {
  return await putAnything(isHandle(path) ? path.fd : path, data, options, "a");
};
exported.mkdtempDisposable = async function mkdtempDisposable(prefix, options = undefined) {
  const path = paths.mkdtemp(prefix, options);
  const remove = async () => paths.rm(path, { recursive: true, force: true });
  return { path, remove, [SymbolAsyncDispose]: remove };
};

const { default: absent } = unavailable("fs/promises", "read folders with readdir()", { functions: "glob watch" });
const all = { ...exported, ...absent };
return { ...all, default: all };
})();
