// Which event's code runs, and what becomes of code that runs on when its event has ended: it may finish what it computes, but
// what it would wait for never comes. Loads no script of deno's: guards.js is loaded before those.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_is_open } = core.ops;
const { ObjectKeys, Promise, ReflectApply, SafeArrayIterator, SafeWeakSet, WeakSetPrototypeAdd, WeakSetPrototypeHas } = primordials;

/** The key of the event whose code runs now; 0 outside of any. */
const currentEvent = (function currentEvent() {
  return core.getAsyncContext()?.isopodEvent ?? 0;
});

/** Whether the code that runs now belongs to an event, and that has ended. */
const hasEnded = (function hasEnded() {
  const event = currentEvent();
  return event !== 0 && !op_isopod_is_open(event);
});

/** Calls what gives a promise, unless the event has ended: then nothing is begun, and the promise is never settled. */
const unlessEnded = (function unlessEnded(original, self, args) {
  return hasEnded() ? new Promise(() => {}) : ReflectApply(original, self, args);
});

// ---- what was under way when its event ended

const errors = new SafeWeakSet();

/** Marks an error that says so. */
function sayingEnded(error) {
  WeakSetPrototypeAdd(errors, error);
  return error;
}

/** Whether this says that an operation was ended with its event. */
function saysEnded(error) {
  return error !== null && typeof error === "object" && WeakSetPrototypeHas(errors, error);
}

// ---- ops

/** Has the scripts that are loaded later find these ops too; those they have stay as they are. */
const addOps = (function addOps(ops) {
  const known = core.ops;
  for (const name of new SafeArrayIterator(ObjectKeys(ops))) known[name] ??= ops[name];
});

return { addOps, currentEvent, hasEnded, saysEnded, sayingEnded, unlessEnded };
})();
