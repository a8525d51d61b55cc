// The `Request` passed to a fetch handler. Its properties are computed on first use.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_request_body, op_isopod_request_cf, op_isopod_request_headers } = core.ops;
const { FunctionPrototypeCall, ObjectDefineProperty, Symbol } = primordials;

const { readableStreamForRid } = core.loadExtScript("ext:deno_web/06_streams.js");
const { InnerBody } = core.loadExtScript("ext:deno_fetch/22_body.js");
const { newInnerRequest, fromInnerRequest, RequestPrototype, toInnerRequest } = core.loadExtScript(
  "ext:deno_fetch/23_request.js",
);

const eventKey = Symbol("event");
const cfKey = Symbol("cf");

/**
 * Properties of the connection: https://developers.cloudflare.com/workers/runtime-apis/request/#incomingrequestcfproperties
 * A request created by a script has none.
 */
ObjectDefineProperty(RequestPrototype, "cf", {
  __proto__: null,
  configurable: true,
  enumerable: true,
  get: function cf() {
    const inner = toInnerRequest(this);
    if (inner[cfKey] === undefined && inner[eventKey] !== undefined) {
      inner[cfKey] = op_isopod_request_cf(inner[eventKey]) ?? undefined;
    }
    return inner[cfKey];
  },
});

const { clone: cloneRequest } = RequestPrototype;
ObjectDefineProperty(RequestPrototype, "clone", {
  __proto__: null,
  configurable: true,
  enumerable: true,
  writable: true,
  value: function clone() {
    const second = FunctionPrototypeCall(cloneRequest, this);
    toInnerRequest(second)[cfKey] = this.cf;
    return second;
  },
});

const makeRequest = (function makeRequest(held, method, url, hasBody) {
  const body = hasBody ? new InnerBody(readableStreamForRid(op_isopod_request_body(held.key))) : null;
  const inner = newInnerRequest(method, url, () => op_isopod_request_headers(held.key), body, false);
  inner[eventKey] = held.key;
  // https://developers.cloudflare.com/workers/runtime-apis/request/: the client follows redirects.
  inner.redirectMode = "manual";
  inner.onCancel = (callback) => {
    const before = held.onCancel;
    held.onCancel = () => {
      before?.();
      callback();
    };
  };
  return fromInnerRequest(inner, "immutable");
});

return { makeRequest };
})();
