// AES-GCM with initialization vectors of lengths other than 96 and 128 bits, and decryption with tags below 128 bits:
// https://w3c.github.io/webcrypto/#aes-gcm. deno_crypto handles the rest.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_aes_gcm } = core.ops;
const {
  ArrayPrototypeIncludes,
  ObjectGetOwnPropertyDescriptor,
  ReflectApply,
  SafeArrayIterator,
  String,
  StringPrototypeToUpperCase,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeSet,
  TypedArrayPrototypeSlice,
  TypedArrayPrototypeSubarray,
  Uint8Array,
} = primordials;
const { converters } = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { byteLengthOf } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { secretOf } = core.loadExtScript("ext:isopod_web/interfaces.js");
const { copyOf, isBufferSource, replace } = core.loadExtScript("ext:isopod_web/subtle.js");
const { CryptoKey } = core.loadExtScript("ext:deno_crypto/00_crypto.js");

const algorithmOf = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, "algorithm").get;
const usagesOf = ObjectGetOwnPropertyDescriptor(CryptoKey.prototype, "usages").get;

const TAG_BITS = [32, 64, 96, 104, 112, 120, 128];

/** The parameters, read once, as a script may have getters. Null if they are not those of AES-GCM. */
function parametersOf(algorithm) {
  if (algorithm === null || typeof algorithm !== "object") return null;
  const name = String(algorithm.name);
  if (StringPrototypeToUpperCase(name) !== "AES-GCM") return { __proto__: null, name, isOther: true };
  const { additionalData, iv, tagLength } = algorithm;
  return { __proto__: null, additionalData, iv, name, tagLength };
}

function isOurs({ additionalData, iv, tagLength }, decrypts) {
  if (!isBufferSource(iv) || additionalData !== undefined && !isBufferSource(additionalData)) return false;
  const bytes = byteLengthOf(iv);
  const isKnown = bytes === 12 || bytes === 16;
  return bytes > 0 && (!isKnown || decrypts && tagLength !== undefined);
}

function transform(encrypts, parameters, key, data) {
  const usage = encrypts ? "encrypt" : "decrypt";
  const tagBits = parameters.tagLength === undefined ? 128 : converters.octet(parameters.tagLength, "Failed to read 'tagLength'", "AesGcmParams", { enforceRange: true });
  const iv = copyOf(parameters.iv);
  const additional = parameters.additionalData === undefined ? new Uint8Array(0) : copyOf(parameters.additionalData);
  if (ReflectApply(algorithmOf, key, []).name !== "AES-GCM" || !ArrayPrototypeIncludes(ReflectApply(usagesOf, key, []), usage)) {
    throw new DOMException(`The key is not one of AES-GCM to ${usage} with`, "InvalidAccessError");
  }
  if (!ArrayPrototypeIncludes(TAG_BITS, tagBits)) throw new DOMException("Invalid tag length", "OperationError");
  const tagBytes = tagBits / 8;
  const length = byteLengthOf(data);
  if (!encrypts && length < tagBytes) throw new DOMException("The data is shorter than its tag", "OperationError");
  const secret = secretOf(key);
  const input = copyOf(data);
  if (encrypts) {
    const output = new Uint8Array(length + tagBytes);
    TypedArrayPrototypeSet(output, input);
    const made = op_isopod_aes_gcm(true, secret, iv, additional, TypedArrayPrototypeSubarray(output, 0, length), TypedArrayPrototypeSubarray(output, length));
    if (!made) throw new DOMException("Encryption failed", "OperationError");
    return TypedArrayPrototypeGetBuffer(output);
  }
  const output = TypedArrayPrototypeSlice(input, 0, length - tagBytes);
  const tag = TypedArrayPrototypeSlice(input, length - tagBytes);
  if (!op_isopod_aes_gcm(false, secret, iv, additional, output, tag)) {
    throw new DOMException("The data is not what was encrypted", "OperationError");
  }
  return TypedArrayPrototypeGetBuffer(output);
}

for (const name of new SafeArrayIterator(["decrypt", "encrypt"])) {
  replace(name, (subtle, args, original) => {
    const parameters = args.length >= 3 && isBufferSource(args[2]) ? parametersOf(args[0]) : null;
    // Its checks of the object, the key and other algorithms are those of deno_crypto.
    if (parameters === null || parameters.isOther || !isOurs(parameters, name === "decrypt")) {
      return ReflectApply(original, subtle, args);
    }
    return transform(name === "encrypt", parameters, args[1], args[2]);
  });
}
})();
