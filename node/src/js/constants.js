// The module `node:constants`: the constants of `node:os`, `node:fs` and `node:crypto` in one object.

(function () {
const { core, primordials } = __bootstrap;
const { ObjectAssign } = primordials;
const { os, fs, crypto, zlib } = core.loadExtScript("ext:deno_node/internal_binding/constants.ts");

const exported = ObjectAssign({}, os.dlopen, os.errno, os.signals, os.priority, fs, crypto, zlib);
return { ...exported, default: exported };
})();
