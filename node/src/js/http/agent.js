// `http.Agent`: https://nodejs.org/api/http.html#class-httpagent
// Connections are those of `fetch`, which keeps them warm. An agent only has its options, as on Workers.

(function () {
const { core, primordials } = __bootstrap;
const { Error, FunctionPrototypeCall, ObjectPrototypeIsPrototypeOf, ObjectSetPrototypeOf } = primordials;
const { EventEmitter } = core.loadExtScript("ext:deno_node/_events.mjs");

function Agent(options = undefined) {
  if (!ObjectPrototypeIsPrototypeOf(Agent.prototype, this)) return new Agent(options);
  FunctionPrototypeCall(EventEmitter, this);
  this.options = { __proto__: null, noDelay: true, path: null, ...options };
  this.defaultPort = 80;
  this.protocol = "http:";
  this.requests = { __proto__: null };
  this.sockets = { __proto__: null };
  this.freeSockets = { __proto__: null };
  this.keepAliveMsecs = options?.keepAliveMsecs ?? 1000;
  this.keepAlive = options?.keepAlive ?? false;
  this.maxSockets = options?.maxSockets ?? Infinity;
  this.maxFreeSockets = options?.maxFreeSockets ?? 256;
  this.maxTotalSockets = options?.maxTotalSockets ?? Infinity;
  this.totalSocketCount = 0;
  this.scheduling = options?.scheduling ?? "lifo";
}
ObjectSetPrototypeOf(Agent.prototype, EventEmitter.prototype);
ObjectSetPrototypeOf(Agent, EventEmitter);
Agent.defaultMaxSockets = Infinity;

Agent.prototype.createConnection = function createConnection() {
  const error = new Error("createConnection() of an Agent is not available in workers: fetch() makes the connections");
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  throw error;
};
Agent.prototype.destroy = function destroy() {};
Agent.prototype.getName = function getName(options = {}) {
  const { host = "localhost", port = "", localAddress = "", family } = options;
  return `${host}:${port}:${localAddress}${family === 4 || family === 6 ? `:${family}` : ""}`;
};
Agent.prototype.keepSocketAlive = () => true;
Agent.prototype.reuseSocket = function reuseSocket() {};

/** https://nodejs.org/api/https.html#class-httpsagent */
function SecureAgent(options = undefined) {
  if (!ObjectPrototypeIsPrototypeOf(SecureAgent.prototype, this)) return new SecureAgent(options);
  FunctionPrototypeCall(Agent, this, options);
  this.defaultPort = 443;
  this.protocol = "https:";
  this.maxCachedSessions = options?.maxCachedSessions ?? 100;
}
ObjectSetPrototypeOf(SecureAgent.prototype, Agent.prototype);
ObjectSetPrototypeOf(SecureAgent, Agent);

return { Agent, SecureAgent };
})();
