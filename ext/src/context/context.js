// The event whose code is running. Code that continues after its event has ended may finish its computation, but
// promises it waits for never settle. Loads no script of deno's, because guards.js is loaded before those.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_is_open } = core.ops;
const { ObjectKeys, Promise, ReflectApply, SafeArrayIterator, SafeWeakSet, WeakSetPrototypeAdd, WeakSetPrototypeHas } = primordials;

/** The key of the event whose code is running; 0 if it belongs to none. */
const currentEvent = (function currentEvent() {
  return core.getAsyncContext()?.isopodEvent ?? 0;
});

/** Returns true if the running code belongs to an event that has ended. */
const hasEnded = (function hasEnded() {
  const event = currentEvent();
  return event !== 0 && !op_isopod_is_open(event);
});

/** Calls a function that returns a promise. After the event has ended, returns a promise that never settles instead. */
const unlessEnded = (function unlessEnded(original, self, args) {
  return hasEnded() ? new Promise(() => {}) : ReflectApply(original, self, args);
});

// ---- operations that were ended with their event

const errors = new SafeWeakSet();

/** Marks an error as such. */
function sayingEnded(error) {
  WeakSetPrototypeAdd(errors, error);
  return error;
}

/** Returns true if the error says that an operation was ended with its event. */
function saysEnded(error) {
  return error !== null && typeof error === "object" && WeakSetPrototypeHas(errors, error);
}

// ---- ops

/** Makes these ops available to scripts loaded later; existing ones are unchanged. */
const addOps = (function addOps(ops) {
  const known = core.ops;
  for (const name of new SafeArrayIterator(ObjectKeys(ops))) known[name] ??= ops[name];
});

// ---- what leaves the worker

let gate = () => null;

/** Sets what holds back requests and calls: a function that returns a promise, or `null`. */
function setOutputGate(held) {
  gate = held;
}

/** A promise to be awaited before the running code tells others something, or `null`. */
const outputGate = (function outputGate() {
  return gate();
});

return { addOps, currentEvent, hasEnded, outputGate, saysEnded, sayingEnded, setOutputGate, unlessEnded };
})();
