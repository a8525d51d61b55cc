// Replaces deno_net's TLS script, which deno_fetch loads for clients with custom keys. Scripts cannot create such
// clients here, so none of deno_net's ops are needed in the isolate.

(function () {
const { primordials } = __bootstrap;
const { TypeError } = primordials;

function loadTlsKeyPair() {
  throw new TypeError("custom client certificates are not available to scripts");
}

return { loadTlsKeyPair };
})();
