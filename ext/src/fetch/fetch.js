// `fetch`: https://fetch.spec.whatwg.org/#fetching without origins and caches. The ops send requests, and check whether
// they are permitted.

(function () {
const { core, primordials } = __bootstrap;
const { op_fetch, op_fetch_send, op_isopod_keep_encoded, op_isopod_matches_integrity } = core.ops;
const {
  ArrayPrototypeFilter,
  ArrayPrototypeIncludes,
  ArrayPrototypePush,
  Error,
  MathMax,
  MathMin,
  NumberPrototypeToString,
  PromiseReject,
  RegExpPrototypeExec,
  SafeRegExp,
  SafeSet,
  SetPrototypeHas,
  StringPrototypeCharCodeAt,
  StringPrototypeReplace,
  TypedArrayPrototypeGetSymbolToStringTag,
  TypeError,
} = primordials;

const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { outputGate } = core.loadExtScript("ext:isopod_context/context.js");
const { byteLowerCase } = core.loadExtScript("ext:deno_web/00_infra.js");
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const abortSignal = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const {
  errorReadableStream,
  getReadableStreamResourceBacking,
  readableStreamForRid,
  resourceForReadableStream,
} = core.loadExtScript("ext:deno_web/06_streams.js");
const { fixedBody, take } = core.loadExtScript("ext:isopod_fetch/bodies.js");
const { extractBody, InnerBody } = core.loadExtScript("ext:deno_fetch/22_body.js");
const { processUrlList, toInnerRequest } = core.loadExtScript("ext:deno_fetch/23_request.js");
const { Request } = core.loadExtScript("ext:isopod_fetch/responses.js");
const {
  abortedNetworkError,
  fromInnerResponse,
  networkError,
  newInnerResponse,
  nullBodyStatus,
  redirectStatus,
} = core.loadExtScript("ext:deno_fetch/23_response.js");

const REDIRECTS_MAX = 20;

// https://fetch.spec.whatwg.org/#request-body-header-name
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type"];

// Headers for one origin are removed from redirects to another.
const ORIGIN_HEADERS = ["authorization", "proxy-authorization", "cookie"];

// https://fetch.spec.whatwg.org/#port-blocking
const BAD_PORTS = new SafeSet([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
  113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554,
  556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666,
  6667, 6668, 6669, 6679, 6697, 10080,
]);

function isHttp(url) {
  return url.protocol === "http:" || url.protocol === "https:";
}

/** A response with the URLs that led to it. */
function newResponse(request, status, statusMessage, headerList) {
  processUrlList(request.urlList, request.urlListProcessed);
  const response = newInnerResponse(status, statusMessage);
  response.type = "basic";
  response.headerList = headerList;
  response.urlList = request.urlListProcessed;
  return response;
}

const RANGE = new SafeRegExp(/^bytes[\t ]*=[\t ]*(\d*)[\t ]*-[\t ]*(\d*)$/);

/**
 * The first and last byte of a requested range of `size` bytes, `null` without a range, `undefined` for an unsatisfiable one:
 * https://fetch.spec.whatwg.org/#simple-range-header-value
 */
function partOf(request, size) {
  const headers = ArrayPrototypeFilter(request.headerList, (entry) => byteLowerCase(entry[0]) === "range");
  if (headers.length === 0) return null;
  const found = RegExpPrototypeExec(RANGE, headers[0][1]);
  if (headers.length > 1 || found === null) return undefined;
  const { 1: from, 2: to } = found;
  // A suffix range.
  if (from === "") return to === "" || +to === 0 ? undefined : { first: MathMax(size - to, 0), last: size - 1 };
  if (+from >= size || to !== "" && +from > +to) return undefined;
  return { first: +from, last: to === "" ? size - 1 : MathMin(+to, size - 1) };
}

/** https://fetch.spec.whatwg.org/#scheme-fetch */
function fetchBlob(request, signal) {
  if (request.method !== "GET") return networkError("a blob: URL can only be fetched with GET");
  const whole = request.blobUrlEntry;
  const part = partOf(request, whole.size);
  if (part === undefined) return networkError("the blob does not have that range");
  const blob = part === null ? whole : whole.slice(part.first, part.last + 1, whole.type);
  const body = new InnerBody(blob.stream());
  body.length = blob.size;
  signal[abortSignal.add](() => body.error(signal.reason));
  const headers = [["content-length", `${blob.size}`], ["content-type", blob.type]];
  if (part !== null) ArrayPrototypePush(headers, ["content-range", `bytes ${part.first}-${part.last}/${whole.size}`]);
  const response = part === null
    ? newResponse(request, 200, "OK", headers)
    : newResponse(request, 206, "Partial Content", headers);
  response.body = body;
  return response;
}

/** A request's body for the op: bytes, or the number of a resource. */
function outgoing(body) {
  const source = body.streamOrStatic;
  let bytes = source.body;
  if (bytes === undefined) {
    bytes = fixedBody(source);
    if (bytes !== undefined) take(source);
  }
  if (typeof bytes === "string") return { bytes: core.encode(bytes), rid: null };
  if (TypedArrayPrototypeGetSymbolToStringTag(bytes) === "Uint8Array") return { bytes, rid: null };
  const backing = getReadableStreamResourceBacking(source);
  if (!backing) return { bytes: null, rid: resourceForReadableStream(source, body.length ?? undefined) };
  take(source);
  return { bytes: null, rid: backing.rid };
}

/** The sender of requests over the network. A binding with a `fetch` method has its own. */
const network = { __proto__: null, begin: op_fetch, send: op_fetch_send };

/** Sends a request once. */
async function send(request, signal) {
  const held = outputGate();
  if (held !== null) {
    await held;
    if (signal.aborted) return abortedNetworkError();
  }
  const { bytes, rid } = request.body === null ? { bytes: null, rid: null } : outgoing(request.body);
  const { sender = network } = request;
  const { requestRid, cancelHandleRid } = sender.begin(
    request.method,
    request.currentUrl(),
    request.headerList,
    request.clientRid,
    bytes !== null || rid !== null,
    bytes,
    rid,
  );
  const cancel = () => {
    if (cancelHandleRid !== null) core.tryClose(cancelHandleRid);
  };
  signal[abortSignal.add](cancel);
  let sent;
  try {
    sent = await sender.send(requestRid);
  } catch (error) {
    if (signal.aborted) return abortedNetworkError();
    throw error;
  } finally {
    signal[abortSignal.remove](cancel);
    cancel();
  }
  if (sent.error) throw new TypeError("fetch failed", { cause: new Error(sent.error[1]) });
  if (signal.aborted) {
    core.tryClose(sent.responseRid);
    return abortedNetworkError();
  }
  const response = newResponse(request, sent.status, sent.statusText, sent.headers);
  if (sent.status === 101) {
    response.webSocket = core.loadExtScript("ext:isopod_web_socket/websocket.js").fromResponse(sent.responseRid, sent.headers);
    return response;
  }
  const isFollowed = redirectStatus(sent.status) && request.redirectMode !== "manual";
  if (isFollowed || nullBodyStatus(sent.status) || request.method === "HEAD" || request.method === "CONNECT") {
    core.close(sent.responseRid);
  } else {
    if (request.encodeResponseBody === "manual") {
      op_isopod_keep_encoded(sent.responseRid);
      response.encodeBody = "manual";
    }
    response.body = new InnerBody(bodyStream(sent.responseRid, signal));
  }
  return response;
}

function bodyStream(rid, signal) {
  const stream = readableStreamForRid(rid);
  signal[abortSignal.add](() => {
    errorReadableStream(stream, signal.reason);
    core.tryClose(rid);
  });
  return stream;
}

// ---- redirects

const BEYOND_ASCII = new SafeRegExp(/[\x80-\xff]/g);

/**
 * https://fetch.spec.whatwg.org/#concept-response-location-url: `null` without a Location. Servers send non-ASCII characters
 * as UTF-8, of which each byte is a character of the header's value here.
 */
function locationOf(response, base) {
  const values = ArrayPrototypeFilter(response.headerList, (entry) => byteLowerCase(entry[0]) === "location");
  if (values.length === 0) return null;
  const value = values[0][1];
  for (let i = 1; i < values.length; i++) {
    if (values[i][1] !== value) throw new TypeError("Fetch failed: the redirect has several Location headers");
  }
  const text = StringPrototypeReplace(
    value,
    BEYOND_ASCII,
    (byte) => `%${NumberPrototypeToString(StringPrototypeCharCodeAt(byte, 0), 16)}`,
  );
  return new URL(text, base);
}

function removeHeaders(request, names) {
  request.headerList = ArrayPrototypeFilter(
    request.headerList,
    (entry) => !ArrayPrototypeIncludes(names, byteLowerCase(entry[0])),
  );
}

/** https://fetch.spec.whatwg.org/#http-redirect-fetch, up to the next request. Returns a network error, or `null` to continue. */
function redirect(request, response, location, current) {
  if (location.hash === "") location.hash = current.hash;
  if (!isHttp(location)) return networkError("Can not redirect to a non HTTP(s) url");
  if (request.redirectCount === REDIRECTS_MAX) {
    return networkError(`Maximum number of redirects (${REDIRECTS_MAX}) reached`);
  }
  request.redirectCount++;
  const { status } = response;
  const { method } = request;
  if (status !== 303 && request.body !== null && request.body.source === null) {
    return networkError("Can not redeliver a streaming request body after a redirect");
  }
  if (
    ((status === 301 || status === 302) && method === "POST") ||
    (status === 303 && method !== "GET" && method !== "HEAD")
  ) {
    request.method = "GET";
    request.body = null;
    removeHeaders(request, BODY_HEADERS);
  }
  if (location.origin !== current.origin) removeHeaders(request, ORIGIN_HEADERS);
  if (request.body !== null) request.body = extractBody(request.body.source).body;
  ArrayPrototypePush(request.urlList, () => location.href);
  return null;
}

// ---- fetch

/** https://fetch.spec.whatwg.org/#main-fetch. EventSource calls this instead of deno's and passes `_recursive`. */
async function mainFetch(request, _recursive, signal) {
  while (true) {
    const current = new URL(request.currentUrl());
    const isBlocked = current.port !== "" && isHttp(current) && SetPrototypeHas(BAD_PORTS, +current.port);
    if (isBlocked && request.sender === undefined) {
      return networkError(`Requests to port ${current.port} are blocked`);
    }
    if (request.blobUrlEntry !== null) return fetchBlob(request, signal);
    const response = await send(request, signal);
    if (response.type === "error" || !redirectStatus(response.status) || request.redirectMode === "manual") {
      return response;
    }
    if (request.redirectMode === "error") {
      return networkError("Encountered redirect while redirect mode is set to 'error'");
    }
    const location = locationOf(response, current);
    if (location === null) return response;
    const error = redirect(request, response, location, current);
    if (error !== null) return error;
  }
}

/** https://w3c.github.io/webappsec-subresource-integrity/: a response with other bytes is a network error. */
async function checked(response, integrity) {
  const bytes = response.body === null ? null : await response.body.consume();
  if (bytes === null || !op_isopod_matches_integrity(integrity, bytes)) {
    return networkError("the response does not match the request's integrity");
  }
  response.body = new InnerBody({ body: bytes, consumed: false });
  return response;
}

async function fetchChecked(request, signal) {
  const response = await mainFetch(request, false, signal);
  const { integrity } = request;
  if (response.type === "error" || integrity === undefined || integrity === "") return response;
  return checked(response, integrity);
}

// Named like the function that scripts call, for their stack traces.
const begin = async function fetch(request, signal) {
  const response = await fetchChecked(request, signal);
  if (signal.aborted || response.aborted) throw signal.reason;
  if (response.type === "error") throw new TypeError(`Fetch failed: ${response.error ?? "unknown error"}`);
  return fromInnerResponse(response, "immutable");
};

/** Sends a `Request`, unless it is aborted already. */
function start(object, request) {
  const { signal } = object;
  if (signal.aborted) {
    if (request.body !== null && !request.body.unusable()) request.body.cancel(signal.reason);
    return PromiseReject(signal.reason);
  }
  return begin(request, signal);
}

/** https://fetch.spec.whatwg.org/#dom-global-fetch */
function fetch(input, init = undefined) {
  try {
    webidl.requiredArguments(arguments.length, 1, "Failed to execute 'fetch'");
    const object = new Request(input, init);
    const request = toInnerRequest(object);
    const { headers } = object;
    if (!headers.has("Accept")) ArrayPrototypePush(request.headerList, ["Accept", "*/*"]);
    if (!headers.has("Accept-Language")) ArrayPrototypePush(request.headerList, ["Accept-Language", "*"]);
    return start(object, request);
  } catch (error) {
    return PromiseReject(error);
  }
}

/**
 * The `fetch` of a binding. The request and its redirects use the sender that `senderFor` creates for the request, and get
 * no extra headers.
 */
function fetchBy(senderFor, input, init) {
  try {
    webidl.requiredArguments(input === undefined ? 0 : 1, 1, "Failed to execute 'fetch' on 'Fetcher'");
    const object = new Request(input, init);
    const request = toInnerRequest(object);
    request.sender = senderFor(request);
    return start(object, request);
  } catch (error) {
    return PromiseReject(error);
  }
}

return { fetch, fetchBy, mainFetch };
})();
