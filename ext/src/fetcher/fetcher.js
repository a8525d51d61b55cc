// `env.API` of a service binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/http/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_fetcher_begin, op_isopod_fetcher_call, op_isopod_fetcher_send } = core.ops;
const { outputGate, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { fetchBy } = core.loadExtScript("ext:isopod_fetch/fetch.js");
const { cfText } = core.loadExtScript("ext:isopod_handlers/incoming.js");
const {
  ObjectHasOwn,
  ObjectSetPrototypeOf,
  PromisePrototypeThen,
  Proxy,
  ReflectGet,
  SafeWeakMap,
  Symbol,
  SymbolToStringTag,
  TypeError,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;

const constructKey = Symbol("construct");

/** The functions that send the requests of a fetcher, by its proxy. */
const senders = new SafeWeakMap();

/** Creates the sender of a request for this binding, like that of the global `fetch`. */
const senderOf = (name, props) => (request) => ({
  __proto__: null,
  begin: (method, url, headers, _client, hasBody, bytes, rid) =>
    op_isopod_fetcher_begin(name, method, url, headers, hasBody, bytes, rid, props, cfText(request)),
  async send(rid) {
    const sent = await op_isopod_fetcher_send(rid);
    if (sent.failure !== null) throw core.loadExtScript("ext:isopod_rpc/errors.js").errorOf(sent.failure);
    return sent;
  },
});

class Fetcher {
  constructor(key) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
  }
  /** Like the global `fetch`, but the service responds. The host of the URL may be anything. */
  fetch(input, init = undefined) {
    const sender = WeakMapPrototypeGet(senders, this);
    if (sender === undefined) throw new TypeError("Illegal invocation");
    return unlessEnded(fetchBy, undefined, [sender, input, init]);
  }
  get [SymbolToStringTag]() {
    return "Fetcher";
  }
}

/**
 * The fetcher of this binding, with `props` instead of its own properties if they are given. `apply` makes it a function. Any
 * property that it does not have is one of the service: https://developers.cloudflare.com/workers/runtime-apis/rpc/ `own` has
 * additional properties, if there are any.
 */
function fetcherOf(name, props = null, apply = undefined, own = undefined) {
  const send = (message) => op_isopod_fetcher_call(name, message, props);
  const call = (message) => {
    const held = outputGate();
    return held === null ? send(message) : PromisePrototypeThen(held, () => send(message));
  };
  let propertyOf;
  const target = apply === undefined ? new Fetcher(constructKey) : ObjectSetPrototypeOf(() => {}, Fetcher.prototype);
  const fetcher = new Proxy(target, {
    __proto__: null,
    apply: (_target, _self, args) => apply(args[0]),
    get(_target, property) {
      if (own !== undefined && ObjectHasOwn(own, property)) return own[property];
      if (typeof property === "symbol" || property in Fetcher.prototype) return ReflectGet(Fetcher.prototype, property);
      // Otherwise it would be taken for a promise.
      if (property === "then") return undefined;
      propertyOf ??= core.loadExtScript("ext:isopod_rpc/rpc.js").serviceOf(call);
      return propertyOf(property);
    },
  });
  WeakMapPrototypeSet(senders, fetcher, senderOf(name, props));
  return fetcher;
}

return { fetcherOf, make: (name) => fetcherOf(name) };
})();
