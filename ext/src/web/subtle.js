// Shared by the scripts that extend the methods of `crypto.subtle`.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayBufferIsView,
  JSONParse,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  TypedArrayPrototypeSlice,
  Uint8Array,
} = primordials;
const { bytesOfView } = core.loadExtScript("ext:isopod_web/bytes.js");
const { SubtleCrypto } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const { exportKey, unwrapKey } = SubtleCrypto.prototype;

const isBufferSource = (value) => ArrayBufferIsView(value) || core.isAnyArrayBuffer(value);

/** A copy of a buffer's bytes, in a view of its own. */
const copyOf = (source) =>
  TypedArrayPrototypeSlice(ArrayBufferIsView(source) ? bytesOfView(source) : new Uint8Array(source));

const isJwk = (keyData) =>
  keyData !== null && (typeof keyData === "object" || typeof keyData === "function") && !isBufferSource(keyData);

/** The unwrapped bytes: those of a key that accepts any. */
async function unwrappedBytes(subtle, args) {
  const any = { __proto__: null, name: "HMAC", hash: "SHA-256" };
  const key = await ReflectApply(unwrapKey, subtle, ["raw", args[1], args[2], args[3], any, true, ["sign"]]);
  return ReflectApply(exportKey, subtle, ["raw", key]);
}

/** The key data in unwrapped bytes. */
const parsed = (format, bytes) => format === "jwk" ? JSONParse(core.decode(new Uint8Array(bytes))) : bytes;

/** Replaces a method. `act` gets the object, the arguments and the method so far. */
function replace(name, act) {
  const property = ObjectGetOwnPropertyDescriptor(SubtleCrypto.prototype, name);
  const original = property.value;
  const value = {
    async [name](...args) {
      return await act(this, args, original);
    },
  }[name];
  ObjectDefineProperty(value, "length", { __proto__: null, value: original.length, configurable: true });
  ObjectDefineProperty(SubtleCrypto.prototype, name, { __proto__: null, ...property, value });
}

return { copyOf, isBufferSource, isJwk, parsed, replace, unwrappedBytes };
})();
