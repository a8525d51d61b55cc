// The kinds of keys: `KeyObject` of `node:crypto`, and `CryptoKey` of the web.

(function () {
const { core, primordials } = __bootstrap;
const { ObjectGetOwnPropertyDescriptor, ReflectApply, Symbol } = primordials;
const { CryptoKey } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const kKeyType = Symbol("kKeyType");
const { get: typeOf } = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, "type");

const isKeyObject = (value) => value !== null && value !== undefined && value[kKeyType] !== undefined;

function isCryptoKey(value) {
  if (value === null || typeof value !== "object") return false;
  try {
    ReflectApply(typeOf, value, []);
    return true;
  } catch {
    return false;
  }
}

return { isCryptoKey, isKeyObject, kKeyType };
})();
