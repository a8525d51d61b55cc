// `env.API` of a service binding: https://developers.cloudflare.com/workers/runtime-apis/bindings/service-bindings/http/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_fetcher_begin, op_isopod_fetcher_call, op_isopod_fetcher_send } = core.ops;
const { unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { fetchBy } = core.loadExtScript("ext:isopod_fetch/fetch.js");
const { errorOf } = core.loadExtScript("ext:isopod_rpc/errors.js");
const { Proxy, ReflectGet, Symbol, SymbolToStringTag, SafeWeakMap, TypeError, WeakMapPrototypeGet, WeakMapPrototypeSet } =
  primordials;

const constructKey = Symbol("construct");

/** How the requests of a fetcher are sent, by its proxy. */
const senders = new SafeWeakMap();

/** The sender of the global `fetch`, for this binding. */
const senderOf = (name) => ({
  __proto__: null,
  begin: (method, url, headers, _client, hasBody, bytes, rid) =>
    op_isopod_fetcher_begin(name, method, url, headers, hasBody, bytes, rid),
  async send(rid) {
    const sent = await op_isopod_fetcher_send(rid);
    if (sent.failure !== null) throw errorOf(sent.failure);
    return sent;
  },
});

class Fetcher {
  constructor(key) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
  }
  /** As the global `fetch`, with a response of the service: the host of the URL is free. */
  fetch(input, init = undefined) {
    const sender = WeakMapPrototypeGet(senders, this);
    if (sender === undefined) throw new TypeError("Illegal invocation");
    return unlessEnded(fetchBy, undefined, [sender, input, init]);
  }
  get [SymbolToStringTag]() {
    return "Fetcher";
  }
}

/** Any other property is one of the service: https://developers.cloudflare.com/workers/runtime-apis/rpc/ */
function make(name) {
  const call = (message) => op_isopod_fetcher_call(name, message);
  const fetcher = new Proxy(new Fetcher(constructKey), {
    __proto__: null,
    get(target, property) {
      if (typeof property === "symbol" || property in target) return ReflectGet(target, property);
      // Else it would be taken for a promise.
      if (property === "then") return undefined;
      return core.loadExtScript("ext:isopod_rpc/rpc.js").serviceProperty(call, property);
    },
  });
  WeakMapPrototypeSet(senders, fetcher, senderOf(name));
  return fetcher;
}

return { make };
})();
