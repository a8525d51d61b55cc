// Message channels: https://html.spec.whatwg.org/multipage/web-messaging.html#message-channels
//
// Replaces deno_web's script of this name. Both ends of a channel are in one isolate, so messages wait here, and only
// their memory is counted outside. A message is handled as part of the event that posted it.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_hold, op_isopod_release, op_isopod_task } = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypeFilter,
  ArrayPrototypeIncludes,
  PromisePrototypeThen,
  ReflectApply,
  SafeArrayIterator,
  SafeFinalizationRegistry,
  Symbol,
  TypeError,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { defineEventHandler, Event, EventTarget, MessageEvent, setIsTrusted } = core.loadExtScript(
  "ext:deno_web/02_event.js",
);
const { hasEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { addInterface, dataCloneError, deserialize, serialize, sizeOf, transferListOf } = core.loadExtScript(
  "ext:isopod_web/clone.js",
);

/** Memory of a message besides its bytes. */
const MESSAGE_BYTES = 128;

/** Messages of garbage-collected channels. */
const abandoned = new SafeFinalizationRegistry((held) => op_isopod_release(held.bytes));

/** One end of a channel, which moves from port to port in a transfer. */
class End {
  /** Its port; `null` while it is being transferred, and after it was closed. */
  port = null;
  /** The other end; `null` once either was closed. */
  peer = null;
  started = false;
  isScheduled = false;
  /** True if the port has yet to be told that the other end was closed. */
  tellClosed = false;
  first = null;
  last = null;
  held = { __proto__: null, bytes: 0 };
  constructor() {
    abandoned.register(this, this.held);
  }

  push(content) {
    const bytes = sizeOf(content) + MESSAGE_BYTES;
    op_isopod_hold(bytes);
    this.held.bytes += bytes;
    const message = { __proto__: null, content, bytes, context: core.getAsyncContext(), next: null };
    if (this.last === null) this.first = message;
    else this.last.next = message;
    this.last = message;
    this.schedule();
  }

  shift() {
    const message = this.first;
    this.first = message.next;
    if (this.first === null) this.last = null;
    this.held.bytes -= message.bytes;
    op_isopod_release(message.bytes);
    return message;
  }

  /** Drops messages that no port will receive, and closes the objects transferred with them. */
  discard() {
    while (this.first !== null) {
      const { handed } = this.shift().content;
      if (handed === null) continue;
      for (const { type, data } of new SafeArrayIterator(handed)) {
        if (type === undefined) continue;
        // A TransformStream has two.
        for (const end of new SafeArrayIterator(ArrayIsArray(data) ? data : [data])) end.close();
      }
    }
  }

  hasWork() {
    return this.port !== null && ((this.started && this.first !== null) || this.tellClosed);
  }

  /** Each message is a separate task. */
  schedule() {
    if (this.isScheduled || !this.hasWork()) return;
    this.isScheduled = true;
    PromisePrototypeThen(op_isopod_task(), () => {
      this.isScheduled = false;
      this.work();
      this.schedule();
    });
  }

  work() {
    if (!this.hasWork()) return;
    if (this.started && this.first !== null) {
      const { content, context } = this.shift();
      const before = core.getAsyncContext();
      core.setAsyncContext(context);
      try {
        if (!hasEnded()) deliver(this.port, content);
      } finally {
        core.setAsyncContext(before);
      }
    } else {
      this.tellClosed = false;
      dispatch(this.port, new Event("close"));
    }
  }

  /** Messages posted before are still delivered, at either end. */
  close() {
    const { peer } = this;
    this.tellClosed = false;
    if (!this.started) this.discard();
    if (peer === null) return;
    this.peer = null;
    peer.peer = null;
    peer.tellClosed = true;
    peer.schedule();
  }
}

function dispatch(target, event) {
  setIsTrusted(event, true);
  target.dispatchEvent(event);
}

function deliver(port, content) {
  let event;
  try {
    const { value, transferred } = deserialize(content);
    const ports = ArrayPrototypeFilter(transferred, isPort);
    event = new MessageEvent("message", { data: value, ports: ports.length === 0 ? undefined : ports });
  } catch {
    event = new MessageEvent("messageerror");
  }
  dispatch(port, event);
}

const constructKey = Symbol("construct");
let endOf;
let isPort;
let takeEnd;

class MessagePort extends EventTarget {
  /** `null` once the port was closed or transferred. */
  #end = null;

  constructor(key = undefined, end = undefined) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    super();
    this.#end = end;
    end.port = this;
  }

  static {
    isPort = (value) => #end in value;
    endOf = (port, name) => {
      if (port === null || typeof port !== "object" || !isPort(port)) {
        throw new TypeError(`Failed to execute '${name}' on 'MessagePort': Illegal invocation`);
      }
      return port.#end;
    };
    takeEnd = (port) => {
      const end = port.#end;
      port.#end = null;
      return end;
    };
  }

  postMessage(message, options = undefined) {
    const prefix = "Failed to execute 'postMessage' on 'MessagePort'";
    const end = endOf(this, "postMessage");
    webidl.requiredArguments(arguments.length, 1, prefix);
    const transfer = transferListOf(options, prefix);
    if (ArrayPrototypeIncludes(transfer, this)) throw dataCloneError("a port cannot be transferred through itself");
    const isDoomed = end?.peer?.port != null && ArrayPrototypeIncludes(transfer, end.peer.port);
    // Transferred objects are detached even if the message is not delivered.
    const content = serialize(message, transfer);
    // A getter of the message may have closed it.
    if (!isDoomed) this.#end?.peer?.push(content);
  }

  start() {
    const end = endOf(this, "start");
    if (end === null) return;
    end.started = true;
    end.schedule();
  }

  close() {
    if (endOf(this, "close") !== null) takeEnd(this).close();
  }
}

defineEventHandler(MessagePort.prototype, "message", (port) => endOf(port, "onmessage") !== null && start(port));
defineEventHandler(MessagePort.prototype, "messageerror");
defineEventHandler(MessagePort.prototype, "close");
webidl.configureInterface(MessagePort);
const MessagePortPrototype = MessagePort.prototype;
const { start: startPort } = MessagePortPrototype;

function start(port) {
  ReflectApply(startPort, port, []);
}

core.registerTransferableResource("MessagePort", (port) => {
  const end = takeEnd(port);
  if (end === null) throw dataCloneError("the transfer list contains a port that is closed or already transferred");
  end.port = null;
  end.started = false;
  return end;
}, (end) => {
  const port = new MessagePort(constructKey, end);
  end.schedule();
  return port;
});

class MessageChannel {
  #port1;
  #port2;

  constructor() {
    const ends = [new End(), new End()];
    ends[0].peer = ends[1];
    ends[1].peer = ends[0];
    this.#port1 = new MessagePort(constructKey, ends[0]);
    this.#port2 = new MessagePort(constructKey, ends[1]);
  }

  get port1() {
    return this.#port1;
  }

  get port2() {
    return this.#port2;
  }
}

webidl.configureInterface(MessageChannel);

addInterface(MessagePort, { __proto__: null, is: isPort, transfer: "MessagePort" });

return {
  // clone.js alone defines which interfaces can be cloned.
  markNotSerializable() {},
  MessageChannel,
  MessagePort,
  MessagePortPrototype,
};
})();
