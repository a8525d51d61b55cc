// The module `node:tls`: https://nodejs.org/api/tls.html

(function () {
const { unavailable } = __bootstrap.core.loadExtScript("ext:isopod_node/unavailable.js");

return unavailable("tls", "use connect() of cloudflare:sockets", {
  functions: "checkServerIdentity connect createSecureContext createServer getCiphers",
  classes: "SecureContext Server TLSSocket",
  values: { rootCertificates: [], DEFAULT_MIN_VERSION: "TLSv1.2", DEFAULT_MAX_VERSION: "TLSv1.3" },
});
})();
