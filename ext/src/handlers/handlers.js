// The JavaScript side of the handler interface: finds the handler of an event, calls it, and sends its answer.
//
// Functions in parentheses are on the way of a worker's first event: V8 compiles those ahead, so that they are in the
// snapshot as bytecode.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_give, op_isopod_give_stream, op_isopod_linger, op_isopod_pass_through } = core.ops;
const {
  FunctionPrototypeCall,
  ObjectHasOwn,
  ObjectPrototypeIsPrototypeOf,
  PromiseResolve,
  ReflectApply,
  ReflectConstruct,
  SafeArrayIterator,
  Symbol,
  TypeError,
} = primordials;

const { Event, listenerCount, setIsTrusted } = core.loadExtScript("ext:deno_web/02_event.js");

const { AbortController } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { ReadableStreamPrototype } = core.loadExtScript("ext:deno_web/06_streams.js");
const {
  answer,
  answers,
  endIfDone,
  EventContext,
  fail,
  goOn,
  heldOf,
  hold,
  inContextOf,
  keepOpen,
  letGo,
  settle,
  unsent,
  waitUntil,
} = core.loadExtScript("ext:isopod_handlers/held.js");
const { propsOf, putInPlace, rowOf } = core.loadExtScript("ext:isopod_handlers/rows.js");
const { makeRequest } = core.loadExtScript("ext:isopod_handlers/incoming.js");
const { cancelSignal, respond, sendStream } = core.loadExtScript("ext:isopod_handlers/respond.js");
const { DurableObject, isClass, isFunction, listExports, WorkerEntrypoint } = core.loadExtScript("ext:isopod_handlers/classes.js");

// Set once, when the worker is started.
let exported = { __proto__: null };
const env = { __proto__: null };
let globalObject = null;

const constructKey = Symbol("construct");

const give = (function give(held, value) {
  if (held.answered) return;
  if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value)) {
    sendStream(held, value, undefined, (rid) => op_isopod_give_stream(held.key, rid));
    return;
  }
  const last = answers(held);
  try {
    op_isopod_give(held.key, value === undefined ? null : value, last);
  } catch (error) {
    unsent(held, error, last);
  }
  goOn(held, last);
});

/** https://developers.cloudflare.com/workers/runtime-apis/context/ */
class ExecutionContext {
  #held;
  #abort = undefined;
  #props = undefined;
  constructor(key, held) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#held = held;
  }
  waitUntil(promise) {
    waitUntil(this.#held, promise);
  }
  passThroughOnException() {
    op_isopod_pass_through(this.#held.key);
  }
  /** The properties of the service binding that the event came by. */
  get props() {
    return this.#props ??= propsOf(this.#held.key);
  }
  /** The entry points of the worker itself, as service bindings. */
  get exports() {
    return core.loadExtScript("ext:isopod_fetcher/exports.js").ownExports;
  }
  /** Aborts when the caller of this event has left, its time is over, or it is near its limit of CPU time. */
  get signal() {
    if (this.#abort === undefined) {
      const controller = this.#abort = new AbortController();
      const held = this.#held;
      const told = held.softLimit;
      held.softLimit = (reason) => controller.abort(reason);
      if (told !== null) controller.abort(told);
      const before = held.onCancel;
      held.onCancel = () => {
        before?.();
        controller.abort(new DOMException("the event was canceled", "AbortError"));
      };
    }
    return this.#abort.signal;
  }
}

/** Finds the recipient of an event: an instance of a class with its context, or an object. `null` without one. */
const findTarget = (function findTarget(held, entrypoint, Context = ExecutionContext) {
  const target = entrypoint === undefined ? exported.default : exported[entrypoint];
  if (isClass(target)) {
    // Its instances are Durable Objects, and reached by their namespace.
    if (ObjectPrototypeIsPrototypeOf(DurableObject.prototype, target.prototype)) return null;
    const ctx = new Context(constructKey, held);
    return { self: ReflectConstruct(target, [ctx, env]), method: undefined, bare: true, ctx };
  }
  const isThere = target !== null && (typeof target === "object" || isFunction(target));
  return isThere ? { self: target, method: undefined, bare: false, ctx: null } : null;
});

const contextOf = (held) => new ExecutionContext(constructKey, held);

/**
 * Finds the handler of an event: `{ self, method, bare }`. A bare method takes `(input)` alone, because its object was created with
 * `ctx` and `env`. `null` without one.
 */
const findHandler = (function findHandler(held, entrypoint, name, Context) {
  const found = findTarget(held, entrypoint, Context);
  if (found === null) return null;
  found.method = found.self[name];
  return isFunction(found.method) ? found : null;
});

function failAsMissing(held, entrypoint, message) {
  const text = entrypoint !== undefined && exported[entrypoint] === undefined
    ? `the script has no entry point "${entrypoint}": it exports ${listExports(exported)}`
    : message;
  fail(held, new TypeError(text), true);
}

function failAsUnhandled(held, entrypoint, name) {
  const where = entrypoint === undefined ? "its default export" : `the export "${entrypoint}"`;
  failAsMissing(
    held,
    entrypoint,
    `the script does not handle "${name}" events: ${where} has no ${name}() method, and no listener for ` +
      `"${name}" was added`,
  );
}

// ---- fetch

let responseOf;
class FetchEvent extends Event {
  #held;
  #ctx;
  #promise = undefined;
  request;
  constructor(key, held, request) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    super("fetch", { cancelable: true });
    this.#held = held;
    this.#ctx = new ExecutionContext(constructKey, held);
    this.request = request;
  }
  respondWith(response) {
    if (this.#promise !== undefined) throw new DOMException("respondWith() has already been called", "InvalidStateError");
    this.#promise = PromiseResolve(response);
    this.stopImmediatePropagation();
  }
  waitUntil(promise) {
    this.#ctx.waitUntil(promise);
  }
  passThroughOnException() {
    this.#ctx.passThroughOnException();
  }
  static {
    responseOf = (event) => event.#promise;
  }
}

/** Durable Objects have entry points that no script's export has. */
const isObject = (entrypoint) => entrypoint !== undefined && entrypoint[0] === "\0";

/** Calls the handler of a request that is not a method of an object: a method of a class, or a listener. */
function callOther(held, entrypoint, request) {
  if (isObject(entrypoint)) return core.loadExtScript("ext:isopod_objects/objects.js").fetch(held, entrypoint, request);
  const found = findHandler(held, entrypoint, "fetch");
  if (found !== null) {
    return found.bare
      ? FunctionPrototypeCall(found.method, found.self, request)
      : FunctionPrototypeCall(found.method, found.self, request, env, new ExecutionContext(constructKey, held));
  }
  if (entrypoint !== undefined || listenerCount(globalObject, "fetch") === 0) {
    failAsUnhandled(held, entrypoint, "fetch");
    return undefined;
  }
  const event = new FetchEvent(constructKey, held, request);
  setIsTrusted(event, true);
  globalObject.dispatchEvent(event);
  const response = responseOf(event);
  if (response === undefined) {
    throw new TypeError('no listener for "fetch" called event.respondWith() before it returned');
  }
  return response;
}

const beginFetch = (function beginFetch(key, method, url, length, entrypoint) {
  const held = hold(key);
  const before = core.getAsyncContext();
  core.setAsyncContext(new EventContext(key));
  try {
    const target = entrypoint === undefined ? exported.default : exported[entrypoint];
    const fetch = target !== null && typeof target === "object" ? target.fetch : undefined;
    const request = makeRequest(held, method, url, length);
    const result = typeof fetch === "function"
      ? FunctionPrototypeCall(fetch, target, request, env, new ExecutionContext(constructKey, held))
      : callOther(held, entrypoint, request);
    settle(held, result, respond);
  } catch (error) {
    fail(held, error);
  } finally {
    core.setAsyncContext(before);
  }
});

// ---- calls and the other handlers

const beginCall = (function beginCall(key, name, args, entrypoint, others) {
  const held = hold(key);
  inContextOf(held, () => {
    if (others !== undefined) putInPlace(args, others);
    let self = exported;
    let method = entrypoint === undefined && ObjectHasOwn(exported, name) ? exported[name] : undefined;
    if (!isFunction(method) || isClass(method)) {
      const found = findHandler(held, entrypoint, name);
      if (found === null) {
        failAsMissing(held, entrypoint, `the script has no function "${name}" to call: it exports ${listExports(exported)}`);
        return;
      }
      self = found.self;
      method = found.method;
    } else {
      self = undefined;
    }
    settle(held, ReflectApply(method, self, args), give);
  });
});

const beginHandler = (function beginHandler(key, handler, script, args, entrypoint, others) {
  const held = hold(key);
  inContextOf(held, () => {
    if (others !== undefined) putInPlace(args, others);
    const row = ReflectApply(rowOf(script, handler), undefined, [held, ...new SafeArrayIterator(args)]);
    const { input, reply, last, run, Context = ExecutionContext } = row;
    if (run !== undefined) {
      const result = run(entrypoint);
      if (result !== undefined) settle(held, result, row.deliver);
      return;
    }
    const found = findHandler(held, entrypoint, handler, Context);
    if (found === null) {
      failAsUnhandled(held, entrypoint, handler);
      return;
    }
    const given = found.bare ? [input] : [input, env, new Context(constructKey, held)];
    const call = () => ReflectApply(found.method, found.self, given);
    if (last !== undefined) {
      core.loadExtScript("ext:isopod_handlers/last.js").settleLast(held, call, last, { give, endIfDone });
      return;
    }
    const result = call();
    settle(held, result, reply === undefined ? give : (held, value) => give(held, reply(value)));
  });
});

// ---- the worker itself

/**
 * Cancels an event whose caller left, or whose time is over: its signal fires, and it can no longer answer. If its caller left, its
 * `waitUntil` promises continue, unless it was canceled before.
 */
function cancel(key, hasLeft) {
  const held = heldOf(key);
  if (held === undefined) return;
  const goesOn = hasLeft && !held.isCanceled && held.pending > (held.isStreaming ? 1 : 0);
  held.answered = true;
  held.isCanceled = true;
  if (goesOn) {
    op_isopod_linger(key);
  } else {
    letGo(held);
    held.pending = 1; // never done: the event has been ended from outside
  }
  inContextOf(held, () => cancelSignal(held));
}

function start(global) {
  globalObject = global;
}

const setExports = (function setExports(namespace) {
  exported = namespace;
});

return {
  answer,
  beginCall,
  beginFetch,
  beginHandler,
  cancel,
  contextOf,
  env,
  exportsOf: () => exported,
  ExecutionContext,
  failAsMissing,
  FetchEvent,
  findTarget,
  heldOf,
  inContextOf,
  isObject,
  keepOpen,
  putInPlace,
  setExports,
  start,
  waitUntil,
  WorkerEntrypoint,
};
})();
