// The module `node:crypto`: https://nodejs.org/api/crypto.html

(function () {
const { core, primordials } = __bootstrap;
const { ArrayPrototypePush, ArrayPrototypeSort, ObjectAssign } = primordials;
const { bootstrap } = core.loadExtScript("ext:isopod_node/shim.js");

// Ops that the borrowed scripts expect when they are loaded.
ObjectAssign(
  bootstrap.core.ops,
  core.loadExtScript("ext:isopod_node/crypto_keys.js").keyOps,
  core.loadExtScript("ext:isopod_node/crypto_primes.js").primeOps,
  core.loadExtScript("ext:isopod_node/crypto_ops.js").cryptoOps,
);

const borrowed = core.loadExtScript("ext:deno_node/crypto.ts").default;
const { getCiphers: borrowedCiphers } = borrowed;

/** The ciphers of the library, and those that only `cipher.rs` has. */
function getCiphers() {
  const ciphers = borrowedCiphers();
  ArrayPrototypePush(ciphers, "aes-192-cbc", "aes192");
  return ArrayPrototypeSort(ciphers);
}

const exported = ObjectAssign(borrowed, { getCiphers });
return { ...exported, default: exported };
})();
