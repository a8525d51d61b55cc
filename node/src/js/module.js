// The module `node:module`: https://nodejs.org/api/module.html

(function () {
const { core, internals, primordials } = __bootstrap;
const { ArrayPrototypeSlice, ObjectPrototypeIsPrototypeOf, TypeError } = primordials;
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const commonjs = core.loadExtScript("ext:isopod_commonjs/commonjs.js");
const { isBuiltin, load } = core.loadExtScript("ext:isopod_node/builtins.js");

/** `require` of a file, by its URL or path. */
function createRequire(filename) {
  if (typeof filename !== "string" && !ObjectPrototypeIsPrototypeOf(URL.prototype, filename)) {
    const message = "The argument 'filename' must be a file URL object, file URL string, or absolute path string";
    const error = new TypeError(message);
    error.code = "ERR_INVALID_ARG_VALUE";
    throw error;
  }
  const ofFiles = commonjs.createRequire(filename);
  const require = (id) => load(id) ?? ofFiles(id);
  require.resolve = (id) => isBuiltin(id) ? id : ofFiles.resolve(id);
  require.cache = ofFiles.cache;
  require.main = undefined;
  return require;
}

const exported = {
  builtinModules: ArrayPrototypeSlice(internals.isopodNode.modules),
  createRequire,
  isBuiltin,
};

return { ...exported, default: exported };
})();
