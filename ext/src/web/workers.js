// The module `isopod:workers` (and `cloudflare:workers`, for scripts written for it).
// https://developers.cloudflare.com/workers/runtime-apis/bindings/#importing-env-as-a-global

(function () {
const { core, primordials } = __bootstrap;
const {
  Error,
  Proxy,
  ReflectDefineProperty,
  ReflectDeleteProperty,
  ReflectGet,
  ReflectGetOwnPropertyDescriptor,
  ReflectHas,
  ReflectOwnKeys,
  ReflectSet,
  TypeError,
} = primordials;
const { AsyncVariable, setAsyncContext } = core;
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const handlers = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { env: workerEnv, heldOf, WorkerEntrypoint } = handlers;
const { DurableObject } = core.loadExtScript("ext:isopod_handlers/classes.js");
const { RpcPromise, RpcProperty, RpcStub, RpcTarget } = core.loadExtScript("ext:isopod_rpc/rpc.js");

const replaced = new AsyncVariable();
const currentEnv = () => replaced.get() ?? workerEnv;

/** The bindings, or what `withEnv` has replaced them with. */
const env = new Proxy(workerEnv, {
  __proto__: null,
  defineProperty: (_, name, property) => ReflectDefineProperty(currentEnv(), name, property),
  deleteProperty: (_, name) => ReflectDeleteProperty(currentEnv(), name),
  get: (_, name) => ReflectGet(currentEnv(), name),
  getOwnPropertyDescriptor(_, name) {
    const property = ReflectGetOwnPropertyDescriptor(currentEnv(), name);
    // Like the properties of the target, because a proxy may not report others.
    if (property !== undefined) property.configurable = true;
    return property;
  },
  has: (_, name) => ReflectHas(currentEnv(), name),
  ownKeys: () => ReflectOwnKeys(currentEnv()),
  set: (_, name, value) => ReflectSet(currentEnv(), name, value),
});

const ownExports = () => core.loadExtScript("ext:isopod_fetcher/exports.js").ownExports;

/** `ctx.exports`, which exists once the module has been evaluated. */
const exports = new Proxy({}, {
  __proto__: null,
  defineProperty: () => false,
  deleteProperty: () => false,
  get: (_, name) => ReflectGet(ownExports(), name),
  getOwnPropertyDescriptor: (_, name) => ReflectGetOwnPropertyDescriptor(ownExports(), name),
  has: (_, name) => ReflectHas(ownExports(), name),
  ownKeys: () => ReflectOwnKeys(ownExports()),
  set: () => false,
});

/** Calls a function, for which and for whose asynchronous operations the exported `env` is another object. */
function withEnv(newEnv, fn) {
  if (newEnv === null || typeof newEnv !== "object") throw new TypeError("withEnv() needs an object with bindings");
  if (typeof fn !== "function") throw new TypeError("withEnv() needs a function to call");
  const before = replaced.enter(newEnv);
  try {
    return fn();
  } finally {
    setAsyncContext(before);
  }
}

/** Keeps the event whose code calls it open until the promise has settled, as `ctx.waitUntil`. */
function waitUntil(promise) {
  const held = heldOf(currentEvent());
  if (held === undefined) throw new Error("waitUntil() can only be called while an event is handled");
  handlers.waitUntil(held, promise);
}

/** A base class that scripts may extend, but that the runtime never instantiates. */
function unavailable(name, feature) {
  const message = `${feature} are not available in Isopod, so no ${name} can be created`;
  return {
    [name]: class {
      constructor() {
        throw new Error(message);
      }
    },
  }[name];
}

return {
  DurableObject,
  env,
  exports,
  RpcPromise,
  RpcProperty,
  RpcStub,
  RpcTarget,
  waitUntil,
  withEnv,
  WorkerEntrypoint,
  WorkflowEntrypoint: unavailable("WorkflowEntrypoint", "Workflows"),
};
})();
