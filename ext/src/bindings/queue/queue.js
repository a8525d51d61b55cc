// The JavaScript side of a queue's producer, with the interface of Workers:
// https://developers.cloudflare.com/queues/configuration/javascript-apis/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_queue_metrics, op_isopod_queue_send, op_isopod_room_for_memory } = core.ops;
const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { bytesOfView } = core.loadExtScript("ext:isopod_web/bytes.js");
const { askForText, COPY, LARGE_BYTES } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { serializeApart } = core.loadExtScript("ext:isopod_web/clone.js");
const {
  ArrayBufferIsView,
  ArrayPrototypePush,
  Date,
  Error,
  JSONStringify,
  Symbol,
  SymbolIterator,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypeError,
} = primordials;

const BATCH_COUNT_MAX = 100;

/** The backlog for scripts. */
function metricsOf({ count, bytes, oldest }) {
  return {
    backlogCount: count,
    backlogBytes: bytes,
    oldestMessageTimestamp: oldest === 0 ? undefined : new Date(oldest),
  };
}

function encoded(text) {
  askForText(text, COPY);
  return core.encode(text);
}

const expected = (form, type, body) =>
  new TypeError(`Content Type "${form}" requires a value of type ${type}, but received: ${typeof body}`);

/** Returns the bytes of a body with this content type. */
function bytesOf(form, body) {
  if (body === undefined) throw new TypeError("Message body cannot be undefined");
  switch (form) {
    case "text":
      if (typeof body !== "string") throw expected(form, "string", body);
      return encoded(body);
    case "bytes": {
      if (!ArrayBufferIsView(body)) throw expected(form, "ArrayBufferView", body);
      const bytes = bytesOfView(body);
      const length = TypedArrayPrototypeGetByteLength(bytes);
      // The op makes a copy.
      if (length > LARGE_BYTES) op_isopod_room_for_memory(length, false);
      return bytes;
    }
    case "json": {
      const json = JSONStringify(body);
      if (json === undefined) throw new TypeError(`Message body cannot be written as JSON: it is a ${typeof body}`);
      return encoded(json);
    }
    case "v8":
      return serializeApart(body, []);
  }
}

function formOf(contentType) {
  if (contentType === undefined) return "json";
  const form = `${contentType}`;
  if (form !== "text" && form !== "bytes" && form !== "json" && form !== "v8") {
    throw new TypeError(`Unsupported queue message content type: ${form}`);
  }
  return form;
}

/** Converts to an `int` of workerd's interfaces. */
const secondsOf = (delaySeconds, otherwise) =>
  delaySeconds === undefined || delaySeconds === null ? otherwise : delaySeconds | 0;

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");

async function send(name, defaultDelay, body, options) {
  const form = formOf(options?.contentType);
  const delay = secondsOf(options?.delaySeconds, defaultDelay);
  const bytes = bytesOf(form, body);
  const metrics = await op_isopod_queue_send(name, false, form[0], [bytes], [delay], currentEvent());
  return { metadata: { metrics: metricsOf(metrics) } };
}

async function sendBatch(name, defaultDelay, messages, options) {
  if (!isObject(messages) || messages[SymbolIterator] === undefined) {
    throw new TypeError("Failed to execute 'sendBatch' on 'WorkerQueue': parameter 1 is not of type 'Sequence'.");
  }
  const delayOfAll = secondsOf(options?.delaySeconds, defaultDelay);
  const bodies = [];
  const delays = [];
  let forms = "";
  // deno-lint-ignore prefer-primordials -- any iterable of the script's
  for (const message of messages) {
    if (!isObject(message)) {
      throw new TypeError("Incorrect type: the provided value is not of type 'MessageSendRequest'.");
    }
    if (bodies.length === BATCH_COUNT_MAX) {
      throw new Error(`Queue sendBatch failed: batch message count exceeds limit of ${BATCH_COUNT_MAX}`);
    }
    const form = formOf(message.contentType);
    const bytes = bytesOf(form, message.body);
    forms += form[0];
    ArrayPrototypePush(bodies, bytes);
    ArrayPrototypePush(delays, secondsOf(message.delaySeconds, delayOfAll));
  }
  if (bodies.length === 0) throw new TypeError("sendBatch() requires at least one message");
  const metrics = await op_isopod_queue_send(name, true, forms, bodies, delays, currentEvent());
  return { metadata: { metrics: metricsOf(metrics) } };
}

async function metrics(name) {
  return metricsOf(await op_isopod_queue_metrics(name, currentEvent()));
}

const constructKey = Symbol("construct");

class WorkerQueue {
  #name;
  #delay;
  constructor(key, name, delay) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#name = name;
    this.#delay = delay;
  }
  /** Resolves when the message is on disk. */
  async send(body, options = undefined) {
    if (arguments.length === 0) {
      throw new TypeError("Failed to execute 'send' on 'WorkerQueue': parameter 1 is not of type 'JsValue'.");
    }
    return unlessEnded(send, undefined, [this.#name, this.#delay, body, options]);
  }
  /** Sends all messages or none. Resolves when they are on disk. */
  async sendBatch(messages, options = undefined) {
    return unlessEnded(sendBatch, undefined, [this.#name, this.#delay, messages, options]);
  }
  async metrics() {
    return unlessEnded(metrics, undefined, [this.#name]);
  }
  get [SymbolToStringTag]() {
    return "WorkerQueue";
  }
}

return { make: (name, { delay }) => new WorkerQueue(constructKey, name, delay), metricsOf };
})();
