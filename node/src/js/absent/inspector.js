// The module `node:inspector`: https://nodejs.org/api/inspector.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("inspector", "errors show their code without it", {
  functions: "close open waitForDebugger",
  classes: "Session",
  values: { console: globalThis.console, url: () => undefined },
});
})();
