// The module `node:http2`: https://nodejs.org/api/http2.html

(function () {
const { loadExtScript } = __bootstrap.core;
const { unavailable } = loadExtScript("ext:isopod_node/unavailable.js");
const { constants } = loadExtScript("ext:isopod_node/absent/http2_constants.js");

return unavailable("http2", "fetch() speaks HTTP/2 by itself", {
  functions:
    "connect createSecureServer createServer getDefaultSettings getPackedSettings getUnpackedSettings " +
    "performServerHandshake",
  classes: "Http2ServerRequest Http2ServerResponse",
  values: { constants, sensitiveHeaders: Symbol("sensitiveHeaders") },
});
})();
