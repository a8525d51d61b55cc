// `env.EVENTS`: publishes messages.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_publish } = core.ops;
const { isArrayBuffer } = core;
const { ArrayBufferIsView } = primordials;
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const { serializeApart, transferListOf } = core.loadExtScript("ext:isopod_web/clone.js");
const { isHandedOver } = core.loadExtScript("ext:isopod_handlers/transfer.js");

class EventBus {
  #name;
  constructor(name) {
    this.#name = name;
  }
  /**
   * Publishes a value under a topic such as "orders.created". The value is copied as by structuredClone(); buffers in the
   * `transfer` list, or in the `transfer` of an options object, are detached.
   */
  publish(topic, data, transfer = undefined) {
    const key = currentEvent();
    if (data === undefined) {
      op_isopod_publish(this.#name, `${topic}`, undefined, 0, key);
    } else if (ArrayBufferIsView(data) || isArrayBuffer(data)) {
      op_isopod_publish(this.#name, `${topic}`, data, isHandedOver(data, transfer) ? 1 : 0, key);
    } else {
      const list = transferListOf(transfer, "Failed to execute 'publish' on 'EventBus'");
      op_isopod_publish(this.#name, `${topic}`, serializeApart(data, list), 2, key);
    }
  }
}

return { make: (name) => new EventBus(name) };
})();
