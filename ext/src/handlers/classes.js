// Classes among a script's exports, and the state of an event.

(function () {
const { primordials } = __bootstrap;
const { FunctionPrototypeToString, SafeWeakMap, StringPrototypeStartsWith, WeakMapPrototypeGet, WeakMapPrototypeSet } = primordials;

const isFunction = (function isFunction(value) {
  return typeof value === "function";
});

const classes = new SafeWeakMap();

// The source of a class begins with "class"; that of functions and arrow functions does not.
const isClass = (function isClass(value) {
  if (!isFunction(value)) return false;
  let known = WeakMapPrototypeGet(classes, value);
  if (known === undefined) {
    known = StringPrototypeStartsWith(FunctionPrototypeToString(value), "class");
    WeakMapPrototypeSet(classes, value, known);
  }
  return known;
});

/** The base class of entry points, with `this.env` and `this.ctx`. */
class WorkerEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** The base class for Durable Objects. */
class DurableObject {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** The state of an event until it ends. */
class Held {
  key;
  answered = false;
  /** Number of pending `waitUntil` promises, of the answer's stream, and of functions that other workers keep. */
  pending = 0;
  /** True for a call, which stays open while other workers keep parts of its answer. */
  isCall = false;
  kept = 0;
  isStreaming = false;
  isCanceled = false;
  /** The stream that is being sent. Kept here, because its resource is closed when it is collected. */
  stream = null;
  onCancel = null;
  /** A function, called with the reason when the event is near a limit; afterwards the reason. */
  softLimit = null;
  /** Called while nothing is pending. */
  onIdle = null;
  /** The first failure of a `waitUntil` promise, as `{ error }`. */
  failed = null;
  constructor(key) {
    this.key = key;
  }
}

/** A script's exports, for messages. */
function listExports(exported) {
  let list = "";
  // deno-lint-ignore guard-for-in
  for (const name in exported) {
    list += list === "" ? name : `, ${name}`;
  }
  return list === "" ? "nothing" : list;
}

return { DurableObject, Held, isClass, isFunction, listExports, WorkerEntrypoint };
})();
