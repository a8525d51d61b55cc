// The side of the caller: stubs, promises and properties of other workers.
// https://developers.cloudflare.com/workers/runtime-apis/rpc/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_rpc_dup, op_isopod_rpc_lend, op_isopod_rpc_stub_call } = core.ops;
const {
  ArrayPrototypePush,
  Error,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  ObjectSetPrototypeOf,
  PromisePrototypeCatch,
  PromisePrototypeFinally,
  PromisePrototypeThen,
  Proxy,
  ReflectGet,
  SafeArrayIterator,
  SafeFinalizationRegistry,
  Symbol,
  SymbolAsyncDispose,
  SymbolDispose,
  SymbolToStringTag,
  TypeError,
  WeakMapPrototypeGet,
  WeakMapPrototypeSet,
} = primordials;
const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { heldOf, keepOpen } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { errorOf } = core.loadExtScript("ext:isopod_rpc/errors.js");
const { isObject, nodes, RpcTarget, run } = core.loadExtScript("ext:isopod_rpc/target.js");
const { limits, read, write } = core.loadExtScript("ext:isopod_rpc/values.js");

const constructKey = Symbol("construct");

const isTarget = (value) => ObjectPrototypeIsPrototypeOf(RpcTarget.prototype, value);

/** Garbage-collected stubs are disposed as well. */
const abandoned = new SafeFinalizationRegistry((rid) => core.tryClose(rid));

function longer(path, name) {
  const { 0: pathMax } = limits();
  if (path.length >= pathMax) {
    throw new TypeError(`the path of a call has more than ${pathMax} names (\`limits.rpc_path\`)`);
  }
  return [...new SafeArrayIterator(path), name];
}

// ---- nodes: the targets of the proxies

/** A stub's node, of a resource. */
class StubNode {
  rid;
  /** The target, if it is this event's own. */
  own;
  #isLive = true;
  constructor(rid, own = undefined) {
    this.rid = rid;
    this.own = own;
    abandoned.register(this, rid, this);
  }
  live() {
    if (!this.#isLive) throw new Error("RPC stub used after being disposed.");
    return this.rid;
  }
  request(isCall, path, args) {
    return exchange((message) => op_isopod_rpc_stub_call(this.live(), message), isCall, path, args);
  }
  dup() {
    return stubFor(op_isopod_rpc_dup(this.live()), this.own);
  }
  dispose() {
    if (!this.#isLive) return;
    this.#isLive = false;
    abandoned.unregister(this);
    core.tryClose(this.rid);
  }
}

/** The node of a promise. Calls on it are made on its result. */
class PromiseNode {
  type = "RpcPromise";
  #promise;
  constructor(promise) {
    this.#promise = promise;
  }
  async request(isCall, path, args) {
    const result = await this.#promise;
    let found;
    try {
      found = run(result, isCall, path, args);
    } catch (error) {
      // As if it had been looked up at the result's origin.
      error.remote = true;
      throw error;
    }
    return await found;
  }
  dispose() {
    PromisePrototypeThen(this.#promise, (result) => {
      if (isObject(result)) result[SymbolDispose]?.();
    }, () => {});
  }
}

/** The node of a service, whose calls `send` makes. */
class ServiceNode {
  #send;
  constructor(send) {
    this.#send = send;
  }
  request(isCall, path, args) {
    return exchange(this.#send, isCall, path, args);
  }
  dispose() {}
}

/** Sends a request, and reads the result. */
async function exchange(send, isCall, path, args) {
  const depth = (core.getAsyncContext()?.isopodRpcDepth ?? 0) + 1;
  const { 2: depthMax } = limits();
  if (depth > depthMax) throw new Error(`calls between workers are nested deeper than ${depthMax} levels (\`limits.rpc_depth\`)`);
  const { 0: bytes, 1: parcel, 2: failure } = await send(write([isCall, path, args, depth], targetOf));
  if (failure !== undefined) throw errorOf(failure);
  const stubs = [];
  const { 0: result } = read(bytes, parcel, into(stubs));
  if (isObject(result) && WeakMapPrototypeGet(nodes, result) === undefined) disposable(result, stubs);
  return result;
}

/** Makes stubs, and puts them into a list. */
const into = (stubs) => (rid) => {
  const stub = stubFor(rid);
  ArrayPrototypePush(stubs, stub);
  return stub;
};

function disposeAll(stubs) {
  for (const stub of new SafeArrayIterator(stubs)) WeakMapPrototypeGet(nodes, stub).dispose();
}

/** Disposing a result disposes the stubs in it. */
function disposable(result, stubs) {
  ObjectDefineProperty(result, SymbolDispose, {
    __proto__: null,
    value: () => disposeAll(stubs),
    configurable: true,
    enumerable: false,
    writable: true,
  });
}

// ---- proxies

/** Stands for a function or an object of another worker. */
class RpcStub {
  constructor(target) {
    if (!isObject(target)) throw new TypeError("an RpcStub needs an RpcTarget, a function or an object");
    return stubFor(op_isopod_rpc_lend(targetOf(target)), target);
  }
  get [SymbolToStringTag]() {
    return "JsRpcStub";
  }
}

/** The result of a running call. */
class RpcPromise {
  constructor(key) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
  }
  get [SymbolToStringTag]() {
    return "JsRpcPromise";
  }
}

/** A property of a service, of a stub, or of the result of a promise. */
class RpcProperty {
  constructor(key) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
  }
  get [SymbolToStringTag]() {
    return "JsRpcProperty";
  }
}

/** A promise's method, called on the promise. */
const onPromise = (promise) => ({
  __proto__: null,
  then: (onFulfilled, onRejected) => PromisePrototypeThen(promise(), onFulfilled, onRejected),
  catch: (onRejected) => PromisePrototypeCatch(promise(), onRejected),
  finally: (onFinally) => PromisePrototypeFinally(promise(), onFinally),
});

/** The traps of a proxy for a node: `own` are its methods, `Interface` is its class. */
function proxyOf(Interface, node, path, own) {
  const { prototype } = Interface;
  const target = () => {};
  ObjectSetPrototypeOf(target, prototype);
  const proxy = new Proxy(target, {
    __proto__: null,
    get(_, name) {
      if (name in own) return own[name];
      if (typeof name === "symbol" || name in prototype) return ReflectGet(prototype, name);
      return propertyOf(node, longer(path, name));
    },
    has: (_, name) => name in own || name in prototype,
    set() {
      throw new TypeError("properties of other workers cannot be set");
    },
    defineProperty: () => false,
    deleteProperty: () => false,
    setPrototypeOf: () => false,
    preventExtensions: () => false,
    getOwnPropertyDescriptor: () => undefined,
    ownKeys: () => [],
    apply: (_, _self, args) => promiseOf(unlessEnded(() => node.request(true, path, args), undefined, [])),
  });
  return proxy;
}

/** A stub for the target of this resource. */
function stubFor(rid, own = undefined) {
  const node = new StubNode(rid, own);
  const dispose = () => node.dispose();
  const proxy = proxyOf(RpcStub, node, [], {
    __proto__: null,
    // Otherwise it would be taken for a promise.
    then: undefined,
    dup: () => node.dup(),
    [SymbolDispose]: dispose,
    [SymbolAsyncDispose]: async () => dispose(),
  });
  WeakMapPrototypeSet(nodes, proxy, node);
  return proxy;
}

function promiseOf(promise) {
  const node = new PromiseNode(promise);
  const dispose = () => node.dispose();
  const proxy = proxyOf(RpcPromise, node, [], {
    ...onPromise(() => promise),
    __proto__: null,
    [SymbolDispose]: dispose,
    [SymbolAsyncDispose]: async () => dispose(),
  });
  WeakMapPrototypeSet(nodes, proxy, node);
  return proxy;
}

function propertyOf(node, path) {
  const own = onPromise(() => unlessEnded(() => node.request(false, path, []), undefined, []));
  const proxy = proxyOf(RpcProperty, node, path, own);
  WeakMapPrototypeSet(nodes, proxy, { __proto__: null, type: "RpcProperty" });
  return proxy;
}

/** The properties of a service that `prototype` does not have, whose calls `send` makes. */
function serviceProperty(send, name) {
  return propertyOf(new ServiceNode(send), [name]);
}

// ---- the side of the callee

/** Answers a request to a target of this event. */
async function respond(held, target, bytes, parcel) {
  const given = [];
  try {
    const { 0: isCall, 1: path, 2: args, 3: depth } = read(bytes, parcel, into(given));
    core.setAsyncContext({ ...core.getAsyncContext(), __proto__: null, isopodRpcDepth: depth });
    const result = await run(target, isCall, path, args);
    const kept = held?.isCall ? () => keepOpen(held) : undefined;
    return write([result, disposerOf(result)], targetOf, kept);
  } finally {
    // The callee has to dup() stubs that it keeps.
    disposeAll(given);
  }
}

/** Notified when the caller disposes a copied, disposable result. */
class Disposer extends RpcTarget {
  #result;
  constructor(result) {
    super();
    this.#result = result;
  }
  [SymbolDispose]() {
    this.#result[SymbolDispose]();
  }
}

function disposerOf(result) {
  if (result === null || typeof result !== "object" || isTarget(result)) return undefined;
  return typeof result[SymbolDispose] === "function" ? new Disposer(result) : undefined;
}

/**
 * The function behind a stub of a target of this event. A call without arguments means that nothing holds the stub any more;
 * then it calls `gone`. A target that is still lent otherwise is not disposed by that.
 */
const targetOf = (function targetOf(target, gone = undefined, isOnceMore = false) {
  return (bytes, parcel) => {
    if (bytes !== undefined) return respond(heldOf(currentEvent()), target, bytes, parcel);
    gone?.();
    if (!isOnceMore && typeof target === "object") target[SymbolDispose]?.();
  };
});

return { respond, RpcPromise, RpcProperty, RpcStub, RpcTarget, serviceProperty };
})();
