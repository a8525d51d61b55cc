// The module `node:tls`: https://nodejs.org/api/tls.html
// Clients. https://developers.cloudflare.com/workers/runtime-apis/nodejs/tls/

(function () {
const { core, primordials } = __bootstrap;
const { ObjectFreeze } = primordials;
const { unavailable } = core.loadExtScript("ext:isopod_node/unavailable.js");
const { createSecureContext, SecureContext } = core.loadExtScript("ext:isopod_node/tls/context.js");
const { checkServerIdentity } = core.loadExtScript("ext:isopod_node/tls/names.js");
const { connect, TLSSocket } = core.loadExtScript("ext:isopod_node/tls/socket.js");

/** The ciphers of rustls, with OpenSSL's names. */
const CIPHERS = [
  "tls_aes_256_gcm_sha384", "tls_chacha20_poly1305_sha256", "tls_aes_128_gcm_sha256", "ecdhe-ecdsa-aes256-gcm-sha384",
  "ecdhe-rsa-aes256-gcm-sha384", "ecdhe-ecdsa-chacha20-poly1305", "ecdhe-rsa-chacha20-poly1305",
  "ecdhe-ecdsa-aes128-gcm-sha256", "ecdhe-rsa-aes128-gcm-sha256",
];

return unavailable("tls", "answer requests by the fetch handler; the server has TLS", {
  functions: "createServer",
  classes: "Server",
  values: {
    checkServerIdentity,
    connect,
    createSecureContext,
    DEFAULT_ECDH_CURVE: "auto",
    DEFAULT_MAX_VERSION: "TLSv1.3",
    DEFAULT_MIN_VERSION: "TLSv1.2",
    getCACertificates: () => [],
    getCiphers: () => [...CIPHERS],
    rootCertificates: ObjectFreeze([]),
    SecureContext,
    TLSSocket,
  },
});
})();
