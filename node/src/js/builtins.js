// The built-in modules that `require` and `process.getBuiltinModule` find.

(function () {
const { core, internals, primordials } = __bootstrap;
const { ArrayPrototypeIncludes, StringPrototypeSlice, StringPrototypeStartsWith } = primordials;

/** The name of a module without the prefix. */
const plain = (id) => StringPrototypeStartsWith(id, "node:") ? StringPrototypeSlice(id, 5) : id;

function isBuiltin(id) {
  return typeof id === "string" && ArrayPrototypeIncludes(internals.isopodNode.modules, plain(id));
}

/** The namespace of a module; undefined if there is none. */
const namespace = (id) => isBuiltin(id) ? core.createLazyLoader(`node:${plain(id)}`)() : undefined;

/** The value of a module, as `require` returns it; undefined if there is none. */
const load = (id) => namespace(id)?.default;

return { isBuiltin, load, namespace };
})();
