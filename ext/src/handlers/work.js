// Events that are neither requests nor calls: tasks, which tell of their progress and their partial results while they run,
// messages published under topics, cron triggers, batches of queue messages.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_emit, op_isopod_message_data, op_isopod_progress } = core.ops;
const {
  ArrayPrototypePush,
  Date,
  MathRound,
  SafeArrayIterator,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
} = primordials;
const { CustomEvent, setIsTrusted } = core.loadExtScript("ext:deno_web/02_event.js");
const { QuotaExceededError } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { constructKey, ExecutionContext, give, heldOf, hold, inContextOf, run } = core.loadExtScript(
  "ext:isopod_handlers/handlers.js",
);
const { deserializeApart } = core.loadExtScript("ext:isopod_web/clone.js");
const { isHandedOver } = core.loadExtScript("ext:isopod_handlers/transfer.js");

/** The context of a task: it tells of its progress and its partial results while it runs. */
class TaskContext extends ExecutionContext {
  #key;
  constructor(key, held) {
    super(key, held);
    this.#key = held.key;
  }
  /** Resolves when there is room for more: await it. */
  progress(value) {
    return op_isopod_progress(this.#key, value === undefined ? null : value);
  }
  /** A partial result: a plain value or bytes. Bytes in the `transfer` list are handed over, not copied. */
  emit(name, data, transfer = undefined) {
    return op_isopod_emit(this.#key, `${name}`, data, isHandedOver(data, transfer));
  }
}

function beginTask(key, id, payload, config, entrypoint) {
  run(hold(key), entrypoint, "task", { id, payload, config }, give, TaskContext);
}

/** https://developer.mozilla.org/en-US/docs/Web/API/MessageEvent has the same names for what a message carries. */
class Message {
  #key;
  #data = undefined;
  #read = false;
  id;
  topic;
  source;
  timestamp;
  constructor(key, id, topic, source, at) {
    this.#key = key;
    this.id = id;
    this.topic = topic;
    this.source = source;
    this.timestamp = new Date(at);
  }
  /** Read when it is first asked for. */
  get data() {
    if (!this.#read) {
      const { 0: cloned, 1: value } = op_isopod_message_data(this.#key);
      this.#data = cloned ? deserializeApart(value) : value;
      this.#read = true;
    }
    return this.#data;
  }
}

function beginMessage(key, id, topic, source, at, entrypoint) {
  run(hold(key), entrypoint, "message", new Message(key, id, topic, source, at), (held) => give(held, null));
}

function beginScheduled(key, cron, scheduledTime, entrypoint) {
  const controller = { cron, scheduledTime, type: "scheduled", noRetry() {} };
  run(hold(key), entrypoint, "scheduled", controller, (held) => give(held, null));
}

function beginQueue(key, batch, entrypoint) {
  const outcome = { ackAll: false, retryAll: false, acked: [], retried: [] };
  const decided = new SafeSet();
  const decide = (id, list, entry) => {
    // The first call for a message wins, as it does in Workers.
    if (SetPrototypeHas(decided, id)) return;
    SetPrototypeAdd(decided, id);
    ArrayPrototypePush(list, entry);
  };
  const messages = [];
  for (const message of new SafeArrayIterator(batch.messages)) {
    ArrayPrototypePush(messages, {
      id: message.id,
      timestamp: new Date(message.timestamp),
      body: message.body,
      attempts: message.attempts,
      ack: () => decide(message.id, outcome.acked, message.id),
      retry: (options) =>
        decide(message.id, outcome.retried, { id: message.id, delaySeconds: options?.delaySeconds ?? 0 }),
    });
  }
  const input = {
    queue: batch.queue,
    messages,
    ackAll() {
      outcome.ackAll = true;
    },
    retryAll() {
      outcome.retryAll = true;
    },
  };
  run(hold(key), entrypoint, "queue", input, (held) => give(held, outcome));
}

/** An event is near a limit: its signal aborts, and whoever listens on globalThis is told. */
function softLimit(key, limit, used, max) {
  const tell = () => {
    const event = new CustomEvent("softlimit", { detail: { limit, used, max } });
    setIsTrusted(event, true);
    globalThis.dispatchEvent(event);
  };
  // Of no event's alone.
  if (key === 0) return tell();
  const held = heldOf(key);
  if (held === undefined) return;
  inContextOf(held, () => {
    const message = `the event has used ${MathRound(used)} ms of its ${MathRound(max)} ms of CPU time`;
    const reason = new QuotaExceededError(message, { quota: max, requested: used });
    if (typeof held.softLimit === "function") held.softLimit(reason);
    else held.softLimit = reason;
    tell();
  });
}

return { beginMessage, beginQueue, beginScheduled, beginTask, softLimit };
})();
