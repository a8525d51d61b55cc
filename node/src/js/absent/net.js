// The module `node:net`: https://nodejs.org/api/net.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");
const { RegExpPrototypeTest, SafeRegExp } = __bootstrap.primordials;
const { URL } = globalThis;
const dotted = new SafeRegExp(/^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/);

/** https://nodejs.org/api/net.html#netisipinput */
function isIP(text) {
  const address = `${text}`;
  if (RegExpPrototypeTest(dotted, address)) return 4;
  const bare = address.split("%")[0];
  return bare.includes(":") && !bare.includes("[") && URL.canParse(`http://[${bare}]/`) ? 6 : 0;
}


return unavailable("net", "use connect() of cloudflare:sockets", {
  functions: "connect createConnection createServer getDefaultAutoSelectFamily setDefaultAutoSelectFamily",
  classes: "BlockList Server Socket SocketAddress Stream",
  values: { isIP, isIPv4: (text) => isIP(text) === 4, isIPv6: (text) => isIP(text) === 6 },
});
})();
