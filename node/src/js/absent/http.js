// The module `node:http`: https://nodejs.org/api/http.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const { Agent, IncomingMessage, METHODS, STATUS_CODES } = __bootstrap.core.loadExtScript("ext:isopod_node/absent/http_names.js");

return unavailable("http", "use fetch() for requests, and the fetch handler for a server", {
  functions: "createServer get request setMaxIdleHTTPParsers validateHeaderName validateHeaderValue",
  classes: "ClientRequest OutgoingMessage Server ServerResponse",
  values: { Agent, IncomingMessage, METHODS, STATUS_CODES, globalAgent: new Agent(), maxHeaderSize: 16384 },
});
})();
