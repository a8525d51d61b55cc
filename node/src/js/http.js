// The module `node:http`: https://nodejs.org/api/http.html

(function () {
const { core, primordials } = __bootstrap;
const { ObjectDefineProperty, SafeArrayIterator } = primordials;
const { Agent } = core.loadExtScript("ext:isopod_node/http/agent.js");
const { ClientRequest, get, globalAgent, request } = core.loadExtScript("ext:isopod_node/http/client.js");
const { validateHeaderName, validateHeaderValue } = core.loadExtScript("ext:isopod_node/http/headers.js");
const { IncomingMessage } = core.loadExtScript("ext:isopod_node/http/incoming.js");
const { METHODS, STATUS_CODES } = core.loadExtScript("ext:isopod_node/http/names.js");
const { OutgoingMessage } = core.loadExtScript("ext:isopod_node/http/outgoing.js");
const { ServerResponse } = core.loadExtScript("ext:isopod_node/http/response.js");
const { createServer, Server } = core.loadExtScript("ext:isopod_node/http/server.js");

const exported = {
  Agent,
  ClientRequest,
  createServer,
  get,
  globalAgent,
  IncomingMessage,
  maxHeaderSize: 16384,
  METHODS,
  OutgoingMessage,
  request,
  Server,
  ServerResponse,
  setMaxIdleHTTPParsers() {},
  STATUS_CODES,
  validateHeaderName,
  validateHeaderValue,
};

const names = { ...exported };
// https://nodejs.org/api/http.html#class-websocket
for (const name of new SafeArrayIterator(["CloseEvent", "MessageEvent", "WebSocket"])) {
  ObjectDefineProperty(exported, name, { __proto__: null, configurable: true, enumerable: true, get: () => globalThis[name] });
}

return { ...names, default: exported };
})();
