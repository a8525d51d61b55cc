// The module `node:wasi`: https://nodejs.org/api/wasi.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("wasi", "import the .wasm file and instantiate it with imports of your own", {
  classes: "WASI",
});
})();
