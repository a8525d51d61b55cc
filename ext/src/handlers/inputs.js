// The JavaScript side of the table of handlers other than `fetch` (input.rs): a row for each.
//
// A row is a function of the event and the arguments from Rust. It returns `{ input, reply, last, Context }`:
// - `input`: the handler's first argument;
// - `reply`: converts the handler's return value to the answer. Default: none;
// - `last`: in place of `reply`, returns the answer once the handler and its `waitUntil` promises have ended. Its argument is `null`,
//   or the first failure as `{ error }`;
// - `Context`: the class of the handler's context.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_emit, op_isopod_message_data, op_isopod_progress } = core.ops;
const { BigInt, Date } = primordials;
const { ExecutionContext } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { deserializeApart } = core.loadExtScript("ext:isopod_web/clone.js");
const { isHandedOver } = core.loadExtScript("ext:isopod_handlers/transfer.js");

/** The context of a task, which reports progress and partial results while it runs. */
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
  /** Emits a partial result: a plain value or bytes. Bytes in the `transfer` list are not copied. */
  emit(name, data, transfer = undefined) {
    return op_isopod_emit(this.#key, `${name}`, data, isHandedOver(data, transfer));
  }
}

function task(_held, id, payload, config) {
  return { input: { id, payload, config }, Context: TaskContext };
}

/** The content of a message has the same names in https://developer.mozilla.org/en-US/docs/Web/API/MessageEvent. */
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
  /** Read on first use. */
  get data() {
    if (!this.#read) {
      const { 0: cloned, 1: value } = op_isopod_message_data(this.#key);
      this.#data = cloned ? deserializeApart(value) : value;
      this.#read = true;
    }
    return this.#data;
  }
}

function message(held, id, topic, source, at) {
  return { input: new Message(held.key, BigInt(id), topic, source, at), reply: () => null };
}

function scheduled(_held, cron, scheduledTime) {
  return { input: { cron, scheduledTime, type: "scheduled", noRetry() {} }, reply: () => null };
}

return { message, scheduled, task };
})();
