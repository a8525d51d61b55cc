// Channels between the parts of one worker: https://html.spec.whatwg.org/multipage/web-messaging.html#broadcasting-to-other-browsing-contexts
//
// No other worker hears them. As with ports, only the memory of messages that wait is counted outside, and a message is handled as
// part of the event that posted it.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_hold, op_isopod_release, op_isopod_task } = core.ops;
const {
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSplice,
  PromisePrototypeThen,
  SafeArrayIterator,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { defineEventHandler, EventTarget, MessageEvent, setIsTrusted } = core.loadExtScript("ext:deno_web/02_event.js");
const { hasEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { addInterface, deserialize, serialize, sizeOf } = core.loadExtScript("ext:isopod_web/clone.js");

/** Memory of a message besides its bytes. */
const MESSAGE_BYTES = 128;

/** The open channels, in the order in which they were made. */
const channels = [];

// ---- messages that wait, of all channels in one line

let first = null;
let last = null;
let isScheduled = false;

function push(message) {
  op_isopod_hold(message.bytes);
  if (last === null) first = message;
  else last.next = message;
  last = message;
  schedule();
}

/** Each message is a separate task. */
function schedule() {
  if (isScheduled || first === null) return;
  isScheduled = true;
  PromisePrototypeThen(op_isopod_task(), () => {
    isScheduled = false;
    work();
    schedule();
  });
}

function work() {
  const { bytes, channel, content, context, next } = first;
  first = next;
  if (first === null) last = null;
  op_isopod_release(bytes);
  const before = core.getAsyncContext();
  core.setAsyncContext(context);
  try {
    if (isOpen(channel) && !hasEnded()) deliver(channel, content);
  } finally {
    core.setAsyncContext(before);
  }
}

function deliver(channel, content) {
  let event;
  try {
    event = new MessageEvent("message", { data: deserialize(content).value });
  } catch {
    event = new MessageEvent("messageerror");
  }
  setIsTrusted(event, true);
  channel.dispatchEvent(event);
}

// ---- the interface

let isOpen;
let isChannel;

class BroadcastChannel extends EventTarget {
  #name;
  #isOpen = true;

  constructor(name) {
    const prefix = "Failed to construct 'BroadcastChannel'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    super();
    this.#name = webidl.converters.DOMString(name, prefix, "Argument 1");
    ArrayPrototypePush(channels, this);
  }

  static {
    isOpen = (channel) => channel.#isOpen;
    isChannel = (value) => #name in value;
  }

  get name() {
    return this.#name;
  }

  postMessage(message) {
    const name = this.#name;
    webidl.requiredArguments(arguments.length, 1, "Failed to execute 'postMessage' on 'BroadcastChannel'");
    if (!this.#isOpen) throw new DOMException("The channel is closed", "InvalidStateError");
    // Also where there is no other channel: what cannot be cloned is an error.
    let content = serialize(message, []);
    for (const channel of new SafeArrayIterator(ArrayPrototypeSlice(channels))) {
      if (channel === this || channel.#name !== name) continue;
      // Each gets a copy of its own.
      content ??= serialize(message, []);
      const bytes = sizeOf(content) + MESSAGE_BYTES;
      push({ __proto__: null, bytes, channel, content, context: core.getAsyncContext(), next: null });
      content = null;
    }
  }

  close() {
    this.#isOpen = false;
    const at = ArrayPrototypeIndexOf(channels, this);
    if (at !== -1) ArrayPrototypeSplice(channels, at, 1);
  }
}

defineEventHandler(BroadcastChannel.prototype, "message");
defineEventHandler(BroadcastChannel.prototype, "messageerror");
webidl.configureInterface(BroadcastChannel);
addInterface(BroadcastChannel, { __proto__: null, is: isChannel });

return { BroadcastChannel };
})();
