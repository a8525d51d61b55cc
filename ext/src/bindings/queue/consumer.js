// The row of the `queue` handler: see inputs.js of the handlers. The interface is that of Workers:
// https://developers.cloudflare.com/queues/configuration/javascript-apis/#messagebatch
//
// The first decision about a message counts, and takes precedence over a later one about the batch:
// https://developers.cloudflare.com/queues/configuration/batching-retries/#explicit-acknowledgement-and-retries

(function () {
const { core, primordials } = __bootstrap;
const { isNativeError } = core;
const {
  ArrayPrototypeFilter,
  ArrayPrototypeJoin,
  ArrayPrototypePush,
  Date,
  JSONParse,
  ObjectDefineProperty,
  SafeArrayIterator,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
  StringPrototypeIncludes,
  StringPrototypeSlice,
  StringPrototypeSplit,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetBuffer,
  TypeError,
} = primordials;
const { deserializeApart } = core.loadExtScript("ext:isopod_web/clone.js");
const { metricsOf } = core.loadExtScript("ext:isopod_queue/queue.js");

/** Maximum length of an error in the log. */
const ERROR_LENGTH_MAX = 4096;

const constructKey = Symbol("construct");

/** The decision about a batch: `"ack"`, or `{ retry: seconds }` with `null` for the configured delay. */
class Decisions {
  all = null;
  each = [];
  #decided = new SafeSet();
  one(index, decision) {
    if (this.all !== null || SetPrototypeHas(this.#decided, index)) return;
    SetPrototypeAdd(this.#decided, index);
    ArrayPrototypePush(this.each, [index, decision]);
  }
  batch(decision) {
    this.all ??= decision;
  }
}

function retryOf(options) {
  const delay = options?.delaySeconds;
  return { retry: delay === undefined || delay === null ? null : delay | 0 };
}

function bodyOf({ form, text, bytes }) {
  switch (form) {
    case "text":
      return text;
    case "json":
      return JSONParse(text);
    case "bytes":
      return TypedArrayPrototypeGetBuffer(bytes);
    default:
      return deserializeApart(bytes);
  }
}

/** The properties are the object's own, as on Workers: `JSON.stringify(batch.messages)` shows them. */
class QueueMessage {
  #decisions;
  #index;
  constructor(key, decisions, index, given) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#decisions = decisions;
    this.#index = index;
    this.id = given.id;
    this.timestamp = new Date(given.timestamp);
    this.attempts = given.attempts;
    let body;
    // Read on first use, so that an unreadable body does not affect other messages.
    let isRead = false;
    ObjectDefineProperty(this, "body", {
      __proto__: null,
      configurable: true,
      enumerable: true,
      get: () => {
        if (!isRead) {
          body = bodyOf(given);
          isRead = true;
          given = null;
        }
        return body;
      },
    });
  }
  ack() {
    this.#decisions.one(this.#index, "ack");
  }
  retry(options = undefined) {
    this.#decisions.one(this.#index, retryOf(options));
  }
  get [SymbolToStringTag]() {
    return "QueueMessage";
  }
}

class QueueController {
  #decisions;
  constructor(key, decisions, queue, messages, metrics) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#decisions = decisions;
    this.metadata = { metrics };
    this.queue = queue;
    this.messages = messages;
  }
  ackAll() {
    this.#decisions.batch("ack");
  }
  retryAll(options = undefined) {
    this.#decisions.batch(retryOf(options));
  }
  get [SymbolToStringTag]() {
    return "QueueController";
  }
}

/** An error as text for the log. */
function told(error) {
  try {
    const text = StringPrototypeSlice(`${isNativeError(error) ? error.stack : error}`, 0, ERROR_LENGTH_MAX);
    // Without the frames of this crate's own scripts.
    const lines = ArrayPrototypeFilter(StringPrototypeSplit(text, "\n"), (line) => !StringPrototypeIncludes(line, "ext:isopod_"));
    return ArrayPrototypeJoin(lines, "\n");
  } catch {
    return "an error that cannot be shown";
  }
}

function queue(_held, name, given, { 0: count, 1: bytes, 2: oldest }) {
  const decisions = new Decisions();
  const messages = [];
  for (const one of new SafeArrayIterator(given)) {
    ArrayPrototypePush(messages, new QueueMessage(constructKey, decisions, messages.length, one));
  }
  const input = new QueueController(constructKey, decisions, name, messages, metricsOf({ count, bytes, oldest }));
  // Decisions may also be made in promises passed to `waitUntil`.
  const last = (failed) => ({
    all: decisions.all,
    each: decisions.each,
    error: failed === null ? null : told(failed.error),
  });
  return { input, last };
}

return { queue };
})();
