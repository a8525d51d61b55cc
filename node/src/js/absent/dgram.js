// The module `node:dgram`: https://nodejs.org/api/dgram.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("dgram", "use fetch(), or a service that speaks UDP", {
  functions: "createSocket",
  classes: "Socket",
});
})();
