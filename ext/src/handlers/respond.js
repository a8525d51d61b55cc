// The answer to a `fetch` event: how a `Response` is sent.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_fail,
  op_isopod_respond,
  op_isopod_respond_plain,
  op_isopod_respond_stream,
  op_isopod_socket_respond,
} = core.ops;
const { ObjectPrototypeIsPrototypeOf, PromisePrototypeThen, TypeError } = primordials;

const { resourceForReadableStream, getReadableStreamResourceBacking } = core.loadExtScript("ext:deno_web/06_streams.js");
const { takeWhole } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { answerEnded, answers, goOn, unsent } = core.loadExtScript("ext:isopod_handlers/held.js");
const {
  getInnerResponse,
  ResponsePrototype,
  serveFastBodyKey,
  serveFastConsumedKey,
  serveFastContentTypeKey,
  serveFastHeaderKindKey,
  SERVE_FAST_HEADER_DEFAULT_TEXT,
  toInnerResponse,
} = core.loadExtScript("ext:deno_fetch/23_response.js");

const USED = "the Response's body has already been used: clone() it before reading it";

/**
 * Sends a plain response: status 200, a string or bytes as its body, and no header other than `content-type`. deno's `Response` knows
 * that until its headers are accessed. Returns false for other responses.
 */
const respondPlainly = (function respondPlainly(held, response, inner) {
  const body = response[serveFastBodyKey];
  if (body === null || body === undefined) return false;
  if (response[serveFastConsumedKey]) throw new TypeError(USED);
  // `null`: no body has been created yet.
  if (inner.body !== null) {
    const source = inner.body.streamOrStatic;
    if (source.body !== body || source.consumed) return false;
    source.consumed = true;
  }
  response[serveFastConsumedKey] = true;
  const kind = response[serveFastHeaderKindKey];
  const type = kind === SERVE_FAST_HEADER_DEFAULT_TEXT ? kind : response[serveFastContentTypeKey];
  const last = answers(held);
  try {
    op_isopod_respond_plain(held.key, body, type, last);
  } catch (error) {
    unsent(held, error, last);
  }
  goOn(held, last);
  return true;
});

function respondWhole(held, inner, headers, bytes, isManual) {
  const last = answers(held);
  try {
    op_isopod_respond(held.key, inner.status, inner.statusMessage, headers, bytes, last, isManual);
  } catch (error) {
    unsent(held, error, last);
  }
  goOn(held, last);
}

const respond = (function respond(held, response) {
  if (held.answered) return;
  if (!ObjectPrototypeIsPrototypeOf(ResponsePrototype, response)) {
    throw new TypeError("a fetch handler must return a Response (or a promise of one)");
  }
  const known = getInnerResponse(response);
  if (known !== undefined && known.webSocket === undefined && respondPlainly(held, response, known)) return;
  const inner = toInnerResponse(response);
  if (inner.webSocket !== undefined) {
    respondWithSocket(held, inner);
    return;
  }
  if (inner.type === "error") {
    throw new TypeError("a fetch handler returned Response.error(), which cannot be sent");
  }
  const headers = inner.headerList;
  const isManual = inner.encodeBody === "manual";
  const body = inner.body;
  if (body === null) {
    respondWhole(held, inner, headers, null, isManual);
    return;
  }
  if (body.unusable() || response[serveFastConsumedKey]) throw new TypeError(USED);
  const bytes = takeWhole(inner);
  if (bytes !== null) {
    respondWhole(held, inner, headers, bytes, isManual);
    return;
  }
  const send = (rid) => op_isopod_respond_stream(held.key, inner.status, inner.statusMessage, headers, rid, isManual);
  sendStream(held, body.stream, body.length, send);
});

/** Answers with a socket, and keeps the event open as long as the socket. */
function respondWithSocket(held, inner) {
  const { couple, takeEnd } = core.loadExtScript("ext:isopod_web_socket/websocket.js");
  const end = takeEnd(inner.webSocket);
  const rid = op_isopod_socket_respond(held.key, inner.headerList);
  held.answered = true;
  held.pending++;
  held.isStreaming = true;
  PromisePrototypeThen(couple(end, rid), () => answerEnded(held));
}

/** Answers with a stream, and keeps the event open until it has been taken. */
function sendStream(held, stream, length, send) {
  const backing = getReadableStreamResourceBacking(stream);
  let rid;
  if (backing) {
    // The bytes are in Rust, and need not pass through JavaScript. The reader locks the stream.
    stream.getReader();
    rid = backing.rid;
  } else {
    // Reported here, because the reader of the resource only gets the message.
    rid = resourceForReadableStream(stream, length, (error) => op_isopod_fail(held.key, error, false, false));
  }
  held.answered = true;
  held.pending++;
  held.isStreaming = true;
  held.stream = stream;
  PromisePrototypeThen(send(rid), (complete) => {
    if (!complete) cancelSignal(held);
    answerEnded(held);
  }, (error) => {
    // The answer, if the head has not been sent; otherwise only the outcome and the log have it.
    op_isopod_fail(held.key, error, false, false);
    answerEnded(held);
  });
}

function cancelSignal(held) {
  const callback = held.onCancel;
  held.onCancel = null;
  callback?.();
}

return { cancelSignal, respond, sendStream };
})();
