// Members of events that deno_web leaves out: https://dom.spec.whatwg.org/#interface-event

(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ReflectApply,
  SafeArrayIterator,
  SymbolPrototypeGetDescription,
} = primordials;
const { converters, requiredArguments } = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { performance, Performance } = core.loadExtScript("ext:deno_web/15_performance.js");
const { Event } = core.loadExtScript("ext:deno_web/02_event.js");

/** The names of an event's slots. */
const slots = { __proto__: null };
for (const name of new SafeArrayIterator(ObjectGetOwnPropertySymbols(new Event("")))) {
  slots[SymbolPrototypeGetDescription(name)] = name;
}
const attributes = slots["[[attributes]]"];
const canceled = slots["[[canceledFlag]]"];
const dispatched = slots["[[dispatched]]"];
const isTrusted = slots["[[isTrusted]]"];
const stops = slots["[[stopPropagationFlag]]"];
const stopsImmediately = slots["[[stopImmediatePropagationFlag]]"];

const { now } = Performance.prototype;

/** `[LegacyUnforgeable]`: a property of each event. */
const trusted = {
  __proto__: null,
  get: ObjectGetOwnPropertyDescriptor(Event.prototype, "isTrusted").get,
  set: undefined,
  enumerable: true,
  configurable: false,
};

// The constructor sets this slot of each event, once.
ObjectDefineProperty(Event.prototype, attributes, {
  __proto__: null,
  set(value) {
    value.timeStamp = ReflectApply(now, performance, []);
    ObjectDefineProperty(this, attributes, { __proto__: null, value, writable: false, enumerable: false, configurable: false });
    ObjectDefineProperty(this, "isTrusted", trusted);
  },
});

const { initEvent } = {
  initEvent(type, bubbles = false, cancelable = false) {
    const own = this[attributes];
    requiredArguments(arguments.length, 1, "Failed to execute 'initEvent' on 'Event'");
    type = converters.DOMString(type, "Failed to execute 'initEvent' on 'Event'", "Argument 1");
    if (this[dispatched]) return;
    this[canceled] = this[isTrusted] = this[stops] = this[stopsImmediately] = false;
    own.target = null;
    own.type = type;
    own.bubbles = !!bubbles;
    own.cancelable = !!cancelable;
  },
};
ObjectDefineProperty(Event.prototype, "initEvent", {
  __proto__: null,
  value: initEvent,
  writable: true,
  enumerable: true,
  configurable: true,
});
})();
