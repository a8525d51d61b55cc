// The platform's interfaces: how their objects are cloned, and which of deno's additions are removed.

(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertyDescriptors,
  ObjectHasOwn,
  ReflectApply,
  SafeArrayIterator,
  StringPrototypeCharCodeAt,
  TypeError,
  Uint8Array,
} = primordials;
const { addInterface, dataCloneError, setStack } = core.loadExtScript("ext:isopod_web/clone.js");
const { DOMException, QuotaExceededError } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { Event, EventTarget } = core.loadExtScript("ext:deno_web/02_event.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
const file = core.loadExtScript("ext:deno_web/09_file.js");
const crypto = core.loadExtScript("ext:deno_crypto/00_crypto.js");
const { Crypto, CryptoKey, SubtleCrypto } = crypto;

const getterOf = (Interface, name) => {
  const { get } = ObjectGetOwnPropertyDescriptor(Interface.prototype, name);
  return (object) => ReflectApply(get, object, []);
};

// ---- errors

const message = getterOf(DOMException, "message");
const nameOf = getterOf(DOMException, "name");
const quota = getterOf(QuotaExceededError, "quota");
const requested = getterOf(QuotaExceededError, "requested");

function describeError(error) {
  return { __proto__: null, type: "DOMException", name: nameOf(error), message: message(error), stack: error.stack };
}

addInterface(DOMException, {
  __proto__: null,
  describe: describeError,
  make(data) {
    const error = new DOMException(data.message, data.name);
    setStack(error, data.stack);
    return error;
  },
});

addInterface(QuotaExceededError, {
  __proto__: null,
  describe: (error) => ({
    ...describeError(error),
    __proto__: null,
    type: "QuotaExceededError",
    quota: quota(error),
    requested: requested(error),
  }),
  make(data) {
    const options = { __proto__: null };
    // `null` means unknown.
    if (data.quota !== null) options.quota = data.quota;
    if (data.requested !== null) options.requested = data.requested;
    const error = new QuotaExceededError(data.message, options);
    setStack(error, data.stack);
    return error;
  },
});

// ---- blobs: their parts are immutable and therefore shared

function addBlob(Interface, type) {
  const describe = Interface.prototype[core.hostObjectBrand];
  const make = core.getCloneableDeserializers()[type];
  addInterface(Interface, { __proto__: null, copy: (blob) => make(ReflectApply(describe, blob, [])) });
}

addBlob(file.Blob, "Blob");
addBlob(file.File, "File");

// ---- keys

const { exportNodeMaterial, fromCloneData, importSync } = CryptoKey;
const formats = { __proto__: null, secret: "raw", public: "spki", private: "pkcs8" };
const algorithm = getterOf(CryptoKey, "algorithm");
const extractable = getterOf(CryptoKey, "extractable");
const usages = getterOf(CryptoKey, "usages");

/** Algorithms that deno_crypto does not have: how their keys are copied, and what `exportNodeMaterial` would return. */
const otherKeys = { __proto__: null };

/** Adds such an algorithm. Returns a function that makes a key of it. */
function addKeys(name, { copy, material }) {
  otherKeys[name] = { __proto__: null, copy, material };
  return (keyType, isExtractable, keyUsages) => {
    const keyData = { __proto__: null, type: keyType, data: new Uint8Array(0) };
    const data = { __proto__: null, keyType, extractable: isExtractable, usages: keyUsages, algorithm: { __proto__: null, name }, keyData };
    return ReflectApply(fromCloneData, CryptoKey, [data]);
  };
}

addInterface(CryptoKey, {
  __proto__: null,
  copy(key) {
    const other = otherKeys[algorithm(key).name];
    if (other !== undefined) return other.copy(key);
    try {
      const { type, data } = ReflectApply(exportNodeMaterial, CryptoKey, [key]);
      return ReflectApply(importSync, CryptoKey, [formats[type], data, algorithm(key), extractable(key), usages(key)]);
    } catch {
      throw dataCloneError(`a CryptoKey for ${algorithm(key).name} cannot be cloned`);
    }
  },
});

// ---- transferable objects

addInterface(streams.ReadableStream, { __proto__: null, transfer: "ReadableStream" });
addInterface(streams.WritableStream, { __proto__: null, transfer: "WritableStream" });
addInterface(streams.TransformStream, { __proto__: null, transfer: "TransformStream" });

/** Registers a class of the global object that is not listed above: its objects are rejected. */
function addOther(Interface) {
  addInterface(Interface);
  shape(Interface);
}

/** Registers every class among these properties of the global object. */
function addOthers(properties) {
  for (const name in properties) {
    const { value } = properties[name];
    const code = StringPrototypeCharCodeAt(name, 0);
    if (typeof value === "function" && code >= 65 && code <= 90) addOther(value);
  }
}

// ---- deno's additions

/** Sets the attributes of properties as in https://webidl.spec.whatwg.org/#javascript-binding. */
function shape(Interface) {
  const { prototype } = Interface;
  const descriptors = ObjectGetOwnPropertyDescriptors(prototype);
  for (const name in descriptors) {
    const { enumerable, get, value } = descriptors[name];
    if (enumerable || name === "constructor") continue;
    if (get !== undefined && ObjectHasOwn(Interface, name)) {
      // A constant: both the interface and its prototype have it.
      const constant = { __proto__: null, value: Interface[name], writable: false, enumerable: true, configurable: false };
      ObjectDefineProperty(prototype, name, constant);
    } else if (get !== undefined || typeof value === "function") {
      ObjectDefineProperty(prototype, name, { __proto__: null, enumerable: true });
    }
  }
}

delete EventTarget.prototype.getParent;
delete Event.prototype.initialized;

// One of them returns the bytes of any key, extractable or not.
const statics = [
  [Crypto, "create", Crypto.create],
  [Crypto, "registerSymbols", Crypto.registerSymbols],
  [SubtleCrypto, "create", SubtleCrypto.create],
  [CryptoKey, "exportNodeMaterial", exportNodeMaterial],
  [CryptoKey, "fromCloneData", fromCloneData],
  [CryptoKey, "importSync", importSync],
];

function removeStatics() {
  for (const { 0: Interface, 1: name } of new SafeArrayIterator(statics)) delete Interface[name];
}

removeStatics();

let cryptoObject;

/** `crypto`: created on first use, by functions that scripts cannot access. */
function getCrypto() {
  if (cryptoObject === undefined) {
    for (const { 0: Interface, 1: name, 2: value } of new SafeArrayIterator(statics)) Interface[name] = value;
    try {
      cryptoObject = crypto.crypto;
    } finally {
      removeStatics();
    }
  }
  return cryptoObject;
}

/** The bytes of an extractable key, and whether they are a secret, or a public or private key. */
function keyMaterial(key) {
  if (!extractable(key)) throw new TypeError("a CryptoKey that is not extractable cannot become a KeyObject");
  const other = otherKeys[algorithm(key).name];
  if (other !== undefined) return other.material(key);
  return ReflectApply(exportNodeMaterial, CryptoKey, [key]);
}

/** The bytes of a secret key, whether or not it is extractable, for internal scripts that do not expose them. */
const secretOf = (key) => ReflectApply(exportNodeMaterial, CryptoKey, [key]).data;

/** A key from its bytes. */
const importKey = (...args) => ReflectApply(importSync, CryptoKey, args);

return { addKeys, addOther, addOthers, getCrypto, importKey, keyMaterial, secretOf };
})();
