// The module `node:https`: https://nodejs.org/api/https.html
// Servers are those of `node:http`, because the listeners have TLS, as on Workers.

(function () {
const { core, primordials } = __bootstrap;
const { SafeArrayIterator } = primordials;
const { SecureAgent } = core.loadExtScript("ext:isopod_node/http/agent.js");
const { ClientRequest, requestArguments } = core.loadExtScript("ext:isopod_node/http/client.js");
const { createServer, Server } = core.loadExtScript("ext:isopod_node/http/server.js");

const globalAgent = new SecureAgent({ keepAlive: true, scheduling: "lifo", timeout: 5000 });

/** https://nodejs.org/api/https.html#httpsrequesturl-options-callback */
function request(...args) {
  const { options, callback } = requestArguments(args);
  const settings = { ...options, _defaultAgent: options._defaultAgent ?? globalAgent };
  return new ClientRequest(settings, callback);
}

function get(...args) {
  const sent = request(...new SafeArrayIterator(args));
  sent.end();
  return sent;
}

const exported = { Agent: SecureAgent, createServer, get, globalAgent, request, Server };
return { ...exported, default: exported };
})();
