// The module `node:vm`: https://nodejs.org/api/vm.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("vm", "code is imported, and not evaluated", {
  functions: "compileFunction createContext measureMemory runInContext runInNewContext runInThisContext",
  classes: "Module Script SourceTextModule SyntheticModule",
  values: { isContext: () => false, constants: {} },
});
})();
