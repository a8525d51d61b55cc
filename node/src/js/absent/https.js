// The module `node:https`: https://nodejs.org/api/https.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const { Agent } = __bootstrap.core.loadExtScript("ext:isopod_node/absent/http_names.js");

return unavailable("https", "use fetch() for requests, and the fetch handler for a server", {
  functions: "createServer get request",
  classes: "Server",
  values: { Agent, globalAgent: new Agent() },
});
})();
