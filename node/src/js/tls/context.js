// `tls.createSecureContext`: https://nodejs.org/api/tls.html#tlscreatesecurecontextoptions

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_check_tls } = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  Error,
  ObjectPrototypeIsPrototypeOf,
  TypedArrayPrototypeSubarray,
  Uint8Array,
} = primordials;
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { isArrayBufferView } = core.loadExtScript("ext:deno_node/internal/util/types.ts");

const VERSIONS = { __proto__: null, "TLSv1": 1, "TLSv1.1": 1.1, "TLSv1.2": 1.2, "TLSv1.3": 1.3 };

function refusal(what) {
  const error = new Error(what);
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  return error;
}

const bytesOf = (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength);

function textOf(value, option) {
  if (typeof value === "string") return value;
  if (isArrayBufferView(value)) return bytesOf(value).toString("latin1");
  throw new errors.ERR_INVALID_ARG_TYPE(`options.${option}`, ["string", "Buffer", "TypedArray", "DataView"], value);
}

/** Converts an option with one or several values to a list. */
function listOf(value) {
  if (value === undefined || value === null) return [];
  return ArrayIsArray(value) ? value : [value];
}

const textsOf = (value, option) => ArrayPrototypeMap(listOf(value), (entry) => textOf(entry, option));

/** https://nodejs.org/api/tls.html#alpn-and-sni: names, or names with their lengths in bytes. */
function protocolsOf(value) {
  if (!isArrayBufferView(value)) return textsOf(value, "ALPNProtocols");
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const names = [];
  for (let at = 0; at < bytes.length; at += bytes[at] + 1) {
    ArrayPrototypePush(names, bytesOf(TypedArrayPrototypeSubarray(bytes, at + 1, at + 1 + bytes[at])).toString("latin1"));
  }
  return names;
}

function versionOf(name, option, otherwise) {
  if (name === undefined || name === null) return otherwise;
  const version = VERSIONS[name];
  if (version === undefined) throw new errors.ERR_INVALID_ARG_VALUE(`options.${option}`, name, "must be a TLS version");
  return version;
}

/** Returns the settings for Rust. Throws for unsupported options whose absence would make a connection less secure. */
function settingsOf(options) {
  if (options.rejectUnauthorized === false) {
    throw refusal(
      "rejectUnauthorized: false is not available in workers, which check every certificate; give the certificate of the " +
        "server's authority in the option `ca`",
    );
  }
  if (options.pfx !== undefined) throw refusal("the option `pfx` is not available in workers; give `cert` and `key` as PEM");
  if (options.passphrase !== undefined) {
    throw refusal("the option `passphrase` is not available in workers; give `key` as PEM that is not encrypted");
  }
  const min = versionOf(options.minVersion, "minVersion", 1.2);
  const max = versionOf(options.maxVersion, "maxVersion", 1.3);
  if (max < 1.2 || max < min) throw refusal("workers have TLS 1.2 and TLS 1.3: change minVersion or maxVersion");
  const keys = ArrayPrototypeMap(listOf(options.key), (key) => key?.pem ?? key);
  return {
    ca: textsOf(options.ca, "ca"),
    cert: textsOf(options.cert, "cert").join("\n"),
    key: textsOf(keys, "key").join("\n"),
    alpn: protocolsOf(options.ALPNProtocols),
    noTls12: min > 1.2,
    noTls13: max < 1.3,
  };
}

let settingsIn;

/** Checked certificates and keys. */
class SecureContext {
  #settings;

  static {
    settingsIn = (value) => value.#settings;
  }

  constructor(options = {}) {
    this.#settings = settingsOf(options);
    op_isopod_check_tls(this.#settings);
  }
}

function createSecureContext(options) {
  return new SecureContext(options ?? {});
}

/** The settings of a connection, which may have a context. */
function settingsFor(options) {
  const { secureContext } = options;
  if (secureContext === undefined || secureContext === null) return settingsOf(options);
  if (!ObjectPrototypeIsPrototypeOf(SecureContext.prototype, secureContext)) {
    throw new errors.ERR_TLS_INVALID_CONTEXT("context");
  }
  const { ca: _1, cert: _2, key: _3, ...others } = options;
  return { ...settingsIn(secureContext), alpn: settingsOf(others).alpn };
}

return { createSecureContext, refusal, SecureContext, settingsFor };
})();
