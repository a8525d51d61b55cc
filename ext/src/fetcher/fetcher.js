// `env.API` of a service binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/http/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_fetcher_begin, op_isopod_fetcher_send } = core.ops;
const { unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { fetchBy } = core.loadExtScript("ext:isopod_fetch/fetch.js");
const {
  Error,
  ObjectDefineProperty,
  RangeError,
  ReferenceError,
  Symbol,
  SymbolToStringTag,
  SyntaxError,
  TypeError,
  URIError,
} = primordials;

const builtIn = { __proto__: null, Error, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

/** An error of another worker, or one that says why there is no response. */
function errorOf({ class: name, message, remote, retryable, overloaded }) {
  const isBuiltIn = name in builtIn;
  const error = new (isBuiltIn ? builtIn[name] : Error)(message);
  if (!isBuiltIn) {
    const property = { __proto__: null, value: name, configurable: true, enumerable: false, writable: true };
    ObjectDefineProperty(error, "name", property);
  }
  // https://developers.cloudflare.com/durable-objects/best-practices/error-handling/
  if (remote) error.remote = true;
  if (retryable) error.retryable = true;
  if (overloaded) error.overloaded = true;
  return error;
}

const constructKey = Symbol("construct");

class Fetcher {
  #sender;
  constructor(key, name) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#sender = {
      __proto__: null,
      begin: (method, url, headers, _client, hasBody, bytes, rid) =>
        op_isopod_fetcher_begin(name, method, url, headers, hasBody, bytes, rid),
      async send(rid) {
        const sent = await op_isopod_fetcher_send(rid);
        if (sent.failure !== null) throw errorOf(sent.failure);
        return sent;
      },
    };
  }
  /** As the global `fetch`, with a response of the service: the host of the URL is free. */
  fetch(input, init = undefined) {
    return unlessEnded(fetchBy, undefined, [this.#sender, input, init]);
  }
  get [SymbolToStringTag]() {
    return "Fetcher";
  }
}

return { make: (name) => new Fetcher(constructKey, name) };
})();
