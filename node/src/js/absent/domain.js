// The module `node:domain`: https://nodejs.org/api/domain.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("domain", "use AsyncLocalStorage of node:async_hooks", {
  functions: "create createDomain",
  classes: "Domain",
});
})();
