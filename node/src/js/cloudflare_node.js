// The module `cloudflare:node`: https://developers.cloudflare.com/workers/runtime-apis/nodejs/http/#httpserverhandler

(function () {
const { core, primordials } = __bootstrap;
const { Error, NumberIsInteger, TypeError } = primordials;
const { handle, serverAt } = core.loadExtScript("ext:isopod_node/http/server.js");

function checked(port) {
  if (!NumberIsInteger(port) || port < 0 || port > 65535) {
    throw new TypeError(`give a server of node:http, or the port to which it listens, not ${port}`);
  }
  return port;
}

/** Returns the port of a number, `{ port }` or a server. A server that does not listen yet starts to. */
function portOf(server) {
  if (typeof server === "number") return checked(server);
  if (typeof server?.listen !== "function" || server.port !== undefined) return checked(server?.port);
  if (typeof server.address()?.port !== "number") server.listen();
  return checked(server.address()?.port);
}

/** Answers a request with the server that listens on a port. */
async function handleAsNodeRequest(server, request, _env, _ctx) {
  const port = portOf(server);
  const found = serverAt(port);
  if (found === undefined) {
    const error = new Error(`no server of node:http listens to port ${port}: call server.listen(${port})`);
    error.code = "ERR_INVALID_ARG_VALUE";
    throw error;
  }
  return await handle(found, request);
}

/** Returns a handler that answers requests with a server, or with the one that listens on a port at that time. */
function httpServerHandler(server) {
  const port = portOf(server);
  return {
    fetch: (request, env, ctx) => handleAsNodeRequest(port, request, env, ctx),
  };
}

return { handleAsNodeRequest, httpServerHandler };
})();
