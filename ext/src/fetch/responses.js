// Workers' additions to Request and Response: `encodeBody`
// (https://developers.cloudflare.com/workers/runtime-apis/response/) and `encodeResponseBody`; and bodies that are sent
// in one piece.

(function () {
const { core, primordials } = __bootstrap;
const {
  FunctionPrototypeCall,
  ObjectDefineProperties,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertyDescriptors,
  ObjectPrototypeIsPrototypeOf,
  RangeError,
  ReflectConstruct,
  ReflectOwnKeys,
  SafeArrayIterator,
  Symbol,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
} = primordials;

const { byteLowerCase } = core.loadExtScript("ext:deno_web/00_infra.js");
const { fixedBody, lengthOf, take } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { Request: OriginalRequest, RequestPrototype, toInnerRequest } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { getInnerResponse, Response: OriginalResponse, ResponsePrototype } = core.loadExtScript(
  "ext:deno_fetch/23_response.js",
);

/** The same interface with another constructor, and the original's instances and prototype. */
function over(Original, constructor, methods) {
  const statics = ObjectGetOwnPropertyDescriptors(Original);
  for (const name of new SafeArrayIterator(ReflectOwnKeys(statics))) statics[name].__proto__ = null;
  ObjectDefineProperties(constructor, statics);
  const property = (value, enumerable) => ({ __proto__: null, value, configurable: true, enumerable, writable: true });
  ObjectDefineProperties(Original.prototype, {
    constructor: property(constructor, false),
    clone: property(methods.clone, true),
  });
}

function checked(kind, member, value) {
  if (value === undefined || value === "automatic" || value === "manual") return value;
  throw new TypeError(`Failed to construct '${kind}': ${member} is "automatic" or "manual", not ${value}`);
}

function called(kind) {
  return new TypeError(`Class constructor ${kind} cannot be invoked without 'new'`);
}

// ---- encodeBody of a Response

function encodeBodyOf(init) {
  if (init === undefined || init === null) return undefined;
  if (ObjectPrototypeIsPrototypeOf(ResponsePrototype, init)) return getInnerResponse(init)?.encodeBody;
  return checked("Response", "encodeBody", init.encodeBody);
}

// ---- webSocket of a Response: https://developers.cloudflare.com/workers/runtime-apis/response/#webSocket

function webSocketOf(init) {
  const webSocket = init?.webSocket;
  if (webSocket === undefined || webSocket === null) {
    if (init?.status !== 101 || ObjectPrototypeIsPrototypeOf(ResponsePrototype, init)) return undefined;
    throw new RangeError("Failed to construct 'Response': status 101 is for a response with a webSocket");
  }
  if (init.status !== 101) throw new RangeError("Failed to construct 'Response': a webSocket needs status 101");
  if (!core.loadExtScript("ext:isopod_web_socket/websocket.js").isWebSocket(webSocket)) {
    throw new TypeError("Failed to construct 'Response': webSocket is not a WebSocket");
  }
  return webSocket;
}

function Response(body = null, init = undefined) {
  if (new.target === undefined) throw called("Response");
  const encodeBody = encodeBodyOf(init);
  const webSocket = webSocketOf(init);
  const response = new.target === Response
    ? new OriginalResponse(body, init)
    : ReflectConstruct(OriginalResponse, [body, init], new.target);
  if (encodeBody === "manual") getInnerResponse(response).encodeBody = encodeBody;
  if (webSocket !== undefined) getInnerResponse(response).webSocket = webSocket;
  return response;
}

const { json } = OriginalResponse;
const { clone: cloneResponse } = ResponsePrototype;
over(OriginalResponse, Response, {
  clone() {
    if (getInnerResponse(this)?.webSocket !== undefined) {
      throw new TypeError("Failed to execute 'clone' on 'Response': it has a webSocket");
    }
    const second = FunctionPrototypeCall(cloneResponse, this);
    const { encodeBody } = getInnerResponse(this);
    if (encodeBody !== undefined) getInnerResponse(second).encodeBody = encodeBody;
    return second;
  },
});
ObjectDefineProperties(Response, {
  json: {
    __proto__: null,
    ...ObjectGetOwnPropertyDescriptor(OriginalResponse, "json"),
    value: {
      json(data, init = undefined) {
        const response = FunctionPrototypeCall(json, this, data, init);
        if (encodeBodyOf(init) === "manual") getInnerResponse(response).encodeBody = "manual";
        return response;
      },
    }.json,
  },
});

ObjectDefineProperty(ResponsePrototype, "webSocket", {
  __proto__: null,
  configurable: true,
  enumerable: true,
  get: function webSocket() {
    return getInnerResponse(this).webSocket ?? null;
  },
});

// ---- encodeResponseBody and cf of a Request

/** The `cf` of a request, once it is known. */
const cfKey = Symbol("cf");

/** The request that another was created from, with which it shares `cf`. */
const originalKey = Symbol("original");

function cfIn(init) {
  const cf = init?.cf;
  if (cf === undefined || cf === null) return undefined;
  if (typeof cf !== "object") throw new TypeError("Failed to construct 'Request': cf is not an object");
  return cf;
}

function Request(input, init = undefined) {
  if (new.target === undefined) throw called("Request");
  let mode = checked("Request", "encodeResponseBody", init?.encodeResponseBody);
  const cf = cfIn(init);
  const args = arguments.length === 0 ? [] : [input, init];
  const request = ReflectConstruct(OriginalRequest, args, new.target);
  const inner = toInnerRequest(request);
  if (cf !== undefined) inner[cfKey] = cf;
  if (ObjectPrototypeIsPrototypeOf(RequestPrototype, input)) {
    const original = toInnerRequest(input);
    if (cf === undefined) inner[originalKey] = original[originalKey] ?? original;
    mode ??= original.encodeResponseBody;
  }
  if (mode === "manual") inner.encodeResponseBody = mode;
  return request;
}

const { clone: cloneRequest } = RequestPrototype;
over(OriginalRequest, Request, {
  clone() {
    const second = FunctionPrototypeCall(cloneRequest, this);
    const { encodeResponseBody } = toInnerRequest(this);
    if (encodeResponseBody !== undefined) toInnerRequest(second).encodeResponseBody = encodeResponseBody;
    return second;
  },
});

/** https://fetch.spec.whatwg.org/#request-class: attributes that are constant for a script's requests. */
function addConstant(name, value) {
  const { get } = ObjectGetOwnPropertyDescriptor({
    get [name]() {
      if (toInnerRequest(this) === undefined) throw new TypeError("Illegal invocation");
      return value;
    },
  }, name);
  ObjectDefineProperty(RequestPrototype, name, { __proto__: null, configurable: true, enumerable: true, get, set: undefined });
}

addConstant("destination", "");
addConstant("duplex", "half");

// ---- bodies that are sent in one piece

// Longer strings are encoded in parts, with turns of other events in between.
const ENCODED_AT_ONCE_MAX = 64 * 1024;

function isLabelled(headers) {
  for (let i = 0; i < headers.length; i++) {
    if (byteLowerCase(headers[i][0]) === "content-encoding") return true;
  }
  return false;
}

/** Takes the body of a response if it is in memory and can be sent in one piece; otherwise returns `null`. */
const takeWhole = (function takeWhole(inner) {
  const source = inner.body.streamOrStatic;
  const isMade = source.body === undefined;
  const bytes = isMade ? fixedBody(source) : source.body;
  if (typeof bytes !== "string" && TypedArrayPrototypeGetSymbolToStringTag(bytes) !== "Uint8Array") return null;
  if (bytes.length > ENCODED_AT_ONCE_MAX && inner.encodeBody !== "manual" && isLabelled(inner.headerList)) {
    inner.body.length ??= lengthOf(inner.body.stream);
    return null;
  }
  if (isMade) take(source);
  else source.consumed = true;
  return bytes;
});

return { cfKey, originalKey, Request, Response, takeWhole };
})();
