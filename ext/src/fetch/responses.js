// The `encodeBody` of a Response (https://developers.cloudflare.com/workers/runtime-apis/response/), and which bodies go out whole.

(function () {
const { core, primordials } = __bootstrap;
const {
  FunctionPrototypeCall,
  ObjectDefineProperties,
  ObjectGetOwnPropertyDescriptors,
  ObjectPrototypeIsPrototypeOf,
  ReflectConstruct,
  ReflectOwnKeys,
  SafeArrayIterator,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
} = primordials;

const { byteLowerCase } = core.loadExtScript("ext:deno_web/00_infra.js");
const { fixedBody, take } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const responses = core.loadExtScript("ext:deno_fetch/23_response.js");
const { getInnerResponse, Response: Original, ResponsePrototype } = responses;

function encodeBodyOf(init) {
  if (init === undefined || init === null) return undefined;
  if (ObjectPrototypeIsPrototypeOf(ResponsePrototype, init)) return getInnerResponse(init)?.encodeBody;
  const { encodeBody } = init;
  if (encodeBody === undefined || encodeBody === "automatic" || encodeBody === "manual") return encodeBody;
  throw new TypeError(`Failed to construct 'Response': encodeBody is "automatic" or "manual", not ${encodeBody}`);
}

// The same interface: its prototype is that of the original, which makes the responses of `fetch`.
function Response(body = null, init = undefined) {
  if (new.target === undefined) throw new TypeError("Class constructor Response cannot be invoked without 'new'");
  const encodeBody = encodeBodyOf(init);
  const response = ReflectConstruct(Original, [body, init], new.target);
  if (encodeBody === "manual") getInnerResponse(response).encodeBody = encodeBody;
  return response;
}

const statics = ObjectGetOwnPropertyDescriptors(Original);
for (const name of new SafeArrayIterator(ReflectOwnKeys(statics))) statics[name].__proto__ = null;
const { json } = Original;
statics.json.value = {
  json(data, init = undefined) {
    const response = FunctionPrototypeCall(json, this, data, init);
    if (encodeBodyOf(init) === "manual") getInnerResponse(response).encodeBody = "manual";
    return response;
  },
}.json;
ObjectDefineProperties(Response, statics);

const { clone } = ResponsePrototype;
const methods = {
  clone() {
    const second = FunctionPrototypeCall(clone, this);
    const { encodeBody } = getInnerResponse(this);
    if (encodeBody !== undefined) getInnerResponse(second).encodeBody = encodeBody;
    return second;
  },
};
ObjectDefineProperties(ResponsePrototype, {
  constructor: { __proto__: null, value: Response, configurable: true, enumerable: false, writable: true },
  clone: { __proto__: null, value: methods.clone, configurable: true, enumerable: true, writable: true },
});

// What is longer is encoded in parts, between which others have their turn.
const ENCODED_AT_ONCE_MAX = 64 * 1024;

function isLabelled(headers) {
  for (let i = 0; i < headers.length; i++) {
    if (byteLowerCase(headers[i][0]) === "content-encoding") return true;
  }
  return false;
}

/** Takes the body of a response that is in memory and goes out in one piece; otherwise `null`. */
const takeWhole = (function takeWhole(inner) {
  const source = inner.body.streamOrStatic;
  const isMade = source.body === undefined;
  const bytes = isMade ? fixedBody(source) : source.body;
  if (typeof bytes !== "string" && TypedArrayPrototypeGetSymbolToStringTag(bytes) !== "Uint8Array") return null;
  if (bytes.length > ENCODED_AT_ONCE_MAX && inner.encodeBody !== "manual" && isLabelled(inner.headerList)) return null;
  if (isMade) take(source);
  else source.consumed = true;
  return bytes;
});

return { Response, takeWhole };
})();
