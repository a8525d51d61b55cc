// `env.EVENTS`: a worker's way to tell others of something.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_publish } = core.ops;
const { isArrayBuffer } = core;
const { ArrayBufferIsView, ArrayPrototypeIncludes, SafeArrayIterator } = primordials;
const { currentEvent } = core.loadExtScript("ext:isopod_handlers/handlers.js");

class EventBus {
  #name;
  constructor(name) {
    this.#name = name;
  }
  /**
   * Publishes a value under a topic such as "orders.created". The value is copied as by structuredClone(); bytes in the
   * `transfer` list are handed over instead.
   */
  publish(topic, data, transfer = undefined) {
    const key = currentEvent();
    if (data === undefined) {
      op_isopod_publish(this.#name, `${topic}`, undefined, 0, key);
    } else if (ArrayBufferIsView(data) || isArrayBuffer(data)) {
      const buffer = data.buffer ?? data;
      const handOver = transfer !== undefined && ArrayPrototypeIncludes([...new SafeArrayIterator(transfer)], buffer);
      op_isopod_publish(this.#name, `${topic}`, data, handOver ? 1 : 0, key);
    } else {
      op_isopod_publish(this.#name, `${topic}`, core.serialize(data), 2, key);
    }
  }
}

return { EventBus };
})();
