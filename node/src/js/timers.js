// The module `node:timers`: https://nodejs.org/api/timers.html
// Timers are objects around the web's. They end with their event, referenced or not.

(function () {
const { core, internals, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  ReflectApply,
  SafeArrayIterator,
  SymbolDispose,
  SymbolFor,
  SymbolToPrimitive,
  TypeError,
} = primordials;
/** Those of the Web. The worker tells of them when it starts, and this script is in the snapshot. */
const web = () => internals.isopodNode.timers;

/** https://nodejs.org/api/errors.html#err_invalid_arg_type */
function checkCallback(callback) {
  if (typeof callback === "function") return;
  const given = callback === null || callback === undefined ? `${callback}` : `type ${typeof callback}`;
  const error = new TypeError(`The "callback" argument must be of type function. Received ${given}`);
  error.code = "ERR_INVALID_ARG_TYPE";
  throw error;
}

/** Returns the number of a timer object, or any other value itself. */
let numberOf;

/** The result of `setTimeout` and `setInterval`. */
class Timeout {
  #callback;
  #args;
  #delay;
  #repeats;
  #number = 0;
  #isReferenced = true;

  static {
    numberOf = (value) => typeof value === "object" && value !== null && #number in value ? value.#number : value;
  }

  constructor(callback, delay, args, repeats) {
    this.#callback = callback;
    this.#delay = delay;
    this.#args = args;
    this.#repeats = repeats;
    this.#start();
  }

  #start() {
    const run = () => ReflectApply(this.#callback, this, this.#args);
    const set = this.#repeats ? web().setInterval : web().setTimeout;
    this.#number = ReflectApply(set, globalThis, [run, this.#delay]);
  }

  ref() {
    this.#isReferenced = true;
    return this;
  }

  unref() {
    this.#isReferenced = false;
    return this;
  }

  hasRef() {
    return this.#isReferenced;
  }

  /** Restarts the timer with the same delay. */
  refresh() {
    ReflectApply(web().clearTimeout, globalThis, [this.#number]);
    this.#start();
    return this;
  }

  close() {
    ReflectApply(web().clearTimeout, globalThis, [this.#number]);
    return this;
  }

  [SymbolToPrimitive]() {
    return this.#number;
  }

  [SymbolDispose]() {
    this.close();
  }
}

/** The result of `setImmediate`. */
class Immediate extends Timeout {
  constructor(callback, args) {
    super(callback, 0, args, false);
  }
}

function setTimeout(callback, delay, ...args) {
  checkCallback(callback);
  return new Timeout(callback, delay, args, false);
}

function setInterval(callback, delay, ...args) {
  checkCallback(callback);
  return new Timeout(callback, delay, args, true);
}

function setImmediate(callback, ...args) {
  checkCallback(callback);
  return new Immediate(callback, args);
}

function clearTimeout(timer) {
  if (typeof timer === "object" && timer !== null && numberOf(timer) !== timer) return void timer.close();
  if (timer !== undefined && timer !== null) ReflectApply(web().clearTimeout, globalThis, [timer]);
}

const clearInterval = { clearInterval: (timer) => clearTimeout(timer) }.clearInterval;
const clearImmediate = { clearImmediate: (timer) => clearTimeout(timer) }.clearImmediate;

// https://nodejs.org/api/util.html#utilpromisifycustom
const promises = () => core.loadExtScript("ext:isopod_node/timers_promises.js");
for (const timer of new SafeArrayIterator([setTimeout, setImmediate])) {
  ObjectDefineProperty(timer, SymbolFor("nodejs.util.promisify.custom"), {
    __proto__: null,
    enumerable: true,
    get: () => promises()[timer.name],
  });
}

const exported = {
  clearImmediate,
  clearInterval,
  clearTimeout,
  setImmediate,
  setInterval,
  setTimeout,
  get promises() {
    return promises();
  },
};

return { clearImmediate, clearInterval, clearTimeout, setImmediate, setInterval, setTimeout, default: exported };
})();
