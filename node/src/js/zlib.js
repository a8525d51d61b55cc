// The module `node:zlib`: https://nodejs.org/api/zlib.html

(function () {
const { core } = __bootstrap;
const borrowed = core.loadExtScript("ext:deno_node/zlib.js");

return { ...borrowed, default: borrowed };
})();
