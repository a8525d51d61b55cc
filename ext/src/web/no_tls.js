// Stands in for deno_net's TLS script, which deno_fetch loads for clients with keys of their own. Scripts here cannot make
// such clients, and so none of deno_net's ops need be in the isolate.

(function () {
const { primordials } = __bootstrap;
const { TypeError } = primordials;

function loadTlsKeyPair() {
  throw new TypeError("custom client certificates are not available to scripts");
}

return { loadTlsKeyPair };
})();
