// The module `node:async_hooks`: https://nodejs.org/api/async_context.html
//
// An asynchronous context maps variables to their stores, and names the event whose code is running. A context that was
// captured is restored with the event that is running now, so that code never runs as part of another event, whose CPU
// time, quotas and log it would use.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeUnshift,
  NumberIsSafeInteger,
  ObjectDefineProperty,
  ObjectFreeze,
  ReflectApply,
  SafeArrayIterator,
  TypeError,
} = primordials;
const { AsyncVariable, getAsyncContext, setAsyncContext } = core;

/** Calls a function in a captured context, as part of the event that is running now. */
function runIn(context, fn, self, args) {
  const before = getAsyncContext();
  const restored = { __proto__: null, ...context };
  const event = before?.isopodEvent;
  if (event === undefined) delete restored.isopodEvent;
  else restored.isopodEvent = event;
  setAsyncContext(restored);
  try {
    return ReflectApply(fn, self, args);
  } finally {
    setAsyncContext(before);
  }
}

/** An error as Node has it: https://nodejs.org/api/errors.html#err_invalid_arg_type */
function invalidType(name, expected, value) {
  const given = value === null ? "null" : `type ${typeof value}`;
  const error = new TypeError(`The "${name}" argument must be of type ${expected}. Received ${given}`);
  error.code = "ERR_INVALID_ARG_TYPE";
  return error;
}

function checkFunction(fn, name) {
  if (typeof fn !== "function") throw invalidType(name, "function", fn);
}

/** Stores that stay with asynchronous operations. */
class AsyncLocalStorage {
  #variable = new AsyncVariable();
  #defaultValue;
  #name;

  constructor(options = {}) {
    if (options === null || typeof options !== "object") throw invalidType("options", "object", options);
    this.#defaultValue = options.defaultValue;
    this.#name = options.name === undefined ? "" : `${options.name}`;
  }

  /** Returns a function that calls `fn` in the context of now. */
  static bind(fn) {
    return AsyncResource.bind(fn);
  }

  /** Returns a function that calls any function in the context of now. */
  static snapshot() {
    const context = getAsyncContext();
    return function runInAsyncScope(fn, ...args) {
      return runIn(context, fn, this, args);
    };
  }

  get name() {
    return this.#name;
  }

  getStore() {
    const entry = this.#variable.get();
    return entry === undefined ? this.#defaultValue : entry.store;
  }

  run(store, callback, ...args) {
    const before = this.#variable.enter({ __proto__: null, store });
    try {
      return ReflectApply(callback, null, args);
    } finally {
      setAsyncContext(before);
    }
  }

  exit(callback, ...args) {
    return this.run(undefined, callback, ...new SafeArrayIterator(args));
  }

  enterWith(store) {
    this.#variable.enter({ __proto__: null, store });
  }

  /** Leaves every context of this storage, captured ones too. */
  disable() {
    this.#variable = new AsyncVariable();
  }
}

let lastId = 1;
let current = null;

const executionAsyncId = () => current === null ? 0 : current.asyncId();
const triggerAsyncId = () => current === null ? 0 : current.triggerAsyncId();
const executionAsyncResource = () => current ?? ObjectFreeze({ __proto__: null });

/** The context of an asynchronous operation that a library implements. */
class AsyncResource {
  #context = getAsyncContext();
  #id = ++lastId;
  #trigger;

  constructor(type, options = {}) {
    if (typeof type !== "string") throw invalidType("type", "string", type);
    const trigger = typeof options === "number" ? options : options?.triggerAsyncId;
    if (trigger !== undefined && !(NumberIsSafeInteger(trigger) && trigger >= -1)) {
      throw invalidType("triggerAsyncId", "number", trigger);
    }
    this.#trigger = trigger ?? executionAsyncId();
  }

  static bind(fn, type = undefined, thisArg = undefined) {
    checkFunction(fn, "fn");
    return new AsyncResource(type || fn.name || "bound-anonymous-fn").bind(fn, thisArg);
  }

  asyncId() {
    return this.#id;
  }

  triggerAsyncId() {
    return this.#trigger;
  }

  runInAsyncScope(fn, thisArg, ...args) {
    const before = current;
    current = this;
    try {
      return runIn(this.#context, fn, thisArg, args);
    } finally {
      current = before;
    }
  }

  bind(fn, thisArg = undefined) {
    checkFunction(fn, "fn");
    const resource = this;
    const bound = function (...args) {
      ArrayPrototypeUnshift(args, fn, thisArg === undefined ? this : thisArg);
      return ReflectApply(resource.runInAsyncScope, resource, args);
    };
    ObjectDefineProperty(bound, "length", {
      __proto__: null,
      value: fn.length,
      configurable: true,
      enumerable: false,
      writable: false,
    });
    return bound;
  }

  emitDestroy() {
    return this;
  }
}

/** Hooks are never called, as on Workers: the operations of the platform have no ids. */
function createHook() {
  const hook = { enable: () => hook, disable: () => hook };
  return hook;
}

const exported = {
  AsyncLocalStorage,
  AsyncResource,
  asyncWrapProviders: ObjectFreeze({ __proto__: null }),
  createHook,
  executionAsyncId,
  executionAsyncResource,
  triggerAsyncId,
};

return { ...exported, default: exported };
})();
