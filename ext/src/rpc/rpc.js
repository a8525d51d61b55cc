// The side of the caller: stubs, promises and properties of other workers.
// https://developers.cloudflare.com/workers/runtime-apis/rpc/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_rpc_dup, op_isopod_rpc_lend, op_isopod_rpc_stub_call } = core.ops;
const {
  ArrayPrototypePush,
  Error,
  ObjectDefineProperty,
  ObjectFreeze,
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
const { areLight, isLight, limits, read, write, writeLight } = core.loadExtScript("ext:isopod_rpc/values.js");

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
  promise;
  constructor(promise) {
    this.promise = promise;
  }
  async request(isCall, path, args) {
    const result = await this.promise;
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
    PromisePrototypeThen(this.promise, (result) => {
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
  const request = [isCall, path, args, depth];
  const message = areLight(path) && areLight(args) ? writeLight(request) : write(request, targetOf);
  const { 0: bytes, 1: parcel, 2: failure } = await send(message);
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

/** The methods of a promise: those of the promise that `promiseOfTraps` returns. */
const onPromise = (promiseOfTraps) => ({
  __proto__: null,
  then: (traps) => (onFulfilled, onRejected) => PromisePrototypeThen(promiseOfTraps(traps), onFulfilled, onRejected),
  catch: (traps) => (onRejected) => PromisePrototypeCatch(promiseOfTraps(traps), onRejected),
  finally: (traps) => (onFinally) => PromisePrototypeFinally(promiseOfTraps(traps), onFinally),
});

const disposing = {
  __proto__: null,
  [SymbolDispose]: ({ node }) => () => node.dispose(),
  [SymbolAsyncDispose]: ({ node }) => async () => node.dispose(),
};

/** A kind of proxies: all have one target, which nothing can change. `own` makes the methods that are not the node's. */
function kindOf({ prototype }, own) {
  const target = () => {};
  ObjectSetPrototypeOf(target, prototype);
  return { __proto__: null, prototype, own, target };
}

// Without a `then`, or a stub would be taken for a promise.
const STUBS = kindOf(RpcStub, { ...disposing, __proto__: null, then: () => undefined, dup: ({ node }) => () => node.dup() });
const PROMISES = kindOf(RpcPromise, { ...disposing, ...onPromise(({ node }) => node.promise), __proto__: null });
const PROPERTIES = kindOf(RpcProperty, onPromise(({ node, path }) => requestOf(node, false, path, [])));

const requestOf = (node, isCall, path, args) => unlessEnded(node.request, node, [isCall, path, args]);

/** The traps of a proxy. */
class Traps {
  constructor(kind, node, path) {
    this.kind = kind;
    this.node = node;
    this.path = path;
  }
  get(_, name) {
    const { own, prototype } = this.kind;
    const make = own[name];
    if (make !== undefined) return make(this);
    if (typeof name === "symbol" || name in prototype) return ReflectGet(prototype, name);
    return propertyOf(this.node, longer(this.path, name));
  }
  has(_, name) {
    return name in this.kind.own || name in this.kind.prototype;
  }
  set() {
    throw new TypeError("properties of other workers cannot be set");
  }
  defineProperty() {
    return false;
  }
  deleteProperty() {
    return false;
  }
  setPrototypeOf() {
    return false;
  }
  preventExtensions() {
    return false;
  }
  getOwnPropertyDescriptor() {
    return undefined;
  }
  ownKeys() {
    return [];
  }
  apply(_, _self, args) {
    return promiseOf(requestOf(this.node, true, this.path, args));
  }
}
// Traps that scripts would give to all objects.
ObjectSetPrototypeOf(Traps.prototype, null);

const ROOT = ObjectFreeze([]);

/** A proxy for what is at a path of a node. `known` is the node by which a message describes it. */
function proxyOf(kind, node, path = ROOT, known = node) {
  const proxy = new Proxy(kind.target, new Traps(kind, node, path));
  WeakMapPrototypeSet(nodes, proxy, known);
  return proxy;
}

/** A stub for the target of this resource. */
const stubFor = (rid, own = undefined) => proxyOf(STUBS, new StubNode(rid, own));

const promiseOf = (promise) => proxyOf(PROMISES, new PromiseNode(promise));

const propertyNode = ObjectFreeze({ __proto__: null, type: "RpcProperty" });

const propertyOf = (node, path) => proxyOf(PROPERTIES, node, path, propertyNode);

/** The properties of a service, whose calls `send` makes. */
function serviceOf(send) {
  const node = new ServiceNode(send);
  return (name) => propertyOf(node, [name]);
}

// ---- the side of the callee

/** Answers a request to a target of this event. */
async function respond(held, target, bytes, parcel) {
  const given = [];
  try {
    const { 0: isCall, 1: path, 2: args, 3: depth } = read(bytes, parcel, into(given));
    core.setAsyncContext({ ...core.getAsyncContext(), __proto__: null, isopodRpcDepth: depth });
    const result = await run(target, isCall, path, args);
    if (isLight(result)) return writeLight([result, undefined]);
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

return { respond, RpcPromise, RpcProperty, RpcStub, RpcTarget, serviceOf };
})();
