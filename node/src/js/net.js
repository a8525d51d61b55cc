// The module `node:net`: https://nodejs.org/api/net.html
// Clients. https://developers.cloudflare.com/workers/runtime-apis/nodejs/net/

(function () {
const { core, primordials } = __bootstrap;
const { ReflectApply } = primordials;
const { unavailable } = core.loadExtScript("ext:isopod_node/unavailable.js");
const { BlockList, isIP, isIPv4, isIPv6, SocketAddress } = core.loadExtScript("ext:isopod_node/net/addresses.js");
const { connectArguments, Socket } = core.loadExtScript("ext:isopod_node/net/socket.js");
const { validateBoolean, validateInt32 } = core.loadExtScript("ext:deno_node/internal/validators.mjs");

/** https://nodejs.org/api/net.html#netconnect */
function connect(...args) {
  const { options } = connectArguments(args);
  return ReflectApply(Socket.prototype.connect, new Socket(options), args);
}

// All addresses of a name are tried, in the order in which they are resolved.
let selectsFamily = true;
let attemptTimeout = 250;

return unavailable("net", "answer requests by the fetch handler, or by a server of node:http", {
  functions: "createServer",
  classes: "Server",
  values: {
    BlockList,
    connect,
    createConnection: connect,
    getDefaultAutoSelectFamily: () => selectsFamily,
    getDefaultAutoSelectFamilyAttemptTimeout: () => attemptTimeout,
    isIP,
    isIPv4,
    isIPv6,
    setDefaultAutoSelectFamily(value) {
      validateBoolean(value, "value");
      selectsFamily = value;
    },
    setDefaultAutoSelectFamilyAttemptTimeout(value) {
      validateInt32(value, "value", 1);
      attemptTimeout = value < 10 ? 10 : value;
    },
    Socket,
    SocketAddress,
    Stream: Socket,
  },
});
})();
