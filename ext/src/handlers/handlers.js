// The script's side of the handler interface: finds the handler an event is for, calls it, and sends back what it gives.
//
// Functions in parentheses are on the way of a worker's first event: V8 compiles those ahead, so that they are in the
// snapshot as bytecode.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_end,
  op_isopod_linger,
  op_isopod_fail,
  op_isopod_give,
  op_isopod_give_stream,
  op_isopod_pass_through,
  op_isopod_report,
  op_isopod_respond,
  op_isopod_respond_stream,
  op_isopod_room_for_promise,
  op_isopod_socket_respond,
} = core.ops;
const {
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectFreeze,
  ObjectHasOwn,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  PromiseResolve,
  ReflectApply,
  ReflectConstruct,
  SafeArrayIterator,
  SafeMap,
  Symbol,
  TypeError,
} = primordials;

const { Event, listenerCount, setIsTrusted } = core.loadExtScript("ext:deno_web/02_event.js");

const { AbortController } = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const { ReadableStreamPrototype, resourceForReadableStream, getReadableStreamResourceBacking } = core.loadExtScript(
  "ext:deno_web/06_streams.js",
);
const { takeWhole } = core.loadExtScript("ext:isopod_fetch/responses.js");
const { putInPlace, rowOf } = core.loadExtScript("ext:isopod_handlers/rows.js");
const { makeRequest } = core.loadExtScript("ext:isopod_handlers/incoming.js");
const { Held, isClass, isFunction, WorkerEntrypoint } = core.loadExtScript("ext:isopod_handlers/classes.js");
const { ResponsePrototype, toInnerResponse } = core.loadExtScript("ext:deno_fetch/23_response.js");

// Set once, when the worker is started.
let exported = { __proto__: null };
const env = { __proto__: null };
let globalObject = null;

const constructKey = Symbol("construct");
const open = new SafeMap();

const endIfDone = (function endIfDone(held) {
  if (held.pending === 0) held.onIdle?.();
  if (held.answered && held.pending === 0 && MapPrototypeDelete(open, held.key)) {
    op_isopod_end(held.key);
  }
});

// The one place that gives an answer: `last` spares the second op when nothing else is to be waited for.
const answer = (function answer(held, send) {
  if (held.answered) return;
  held.answered = true;
  const last = held.pending === 0;
  if (last) MapPrototypeDelete(open, held.key);
  try {
    send(last);
  } catch (error) {
    // What cannot be sent, as a header that HTTP does not know, is an answer too.
    op_isopod_fail(held.key, error, last, false);
  }
  if (last) return;
  // What is kept has a time of its own.
  if (held.kept > 0) held.isStreaming = true;
  else op_isopod_linger(held.key);
});

// `missing`: the script has nothing to call. Told beside the error, which a script may have seen and could throw again.
const fail = (function fail(held, error, missing = false) {
  answer(held, (last) => op_isopod_fail(held.key, error, last, missing));
});

const give = (function give(held, value) {
  if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value)) {
    giveStream(held, value);
    return;
  }
  answer(held, (last) => op_isopod_give(held.key, value === undefined ? null : value, last));
});

function giveStream(held, stream) {
  if (held.answered) return;
  sendStream(held, stream, undefined, (rid) => op_isopod_give_stream(held.key, rid));
}

/** Keeps an event open until a promise has settled. */
function waitUntil(held, promise) {
  if (held.pending > 0) op_isopod_room_for_promise(held.pending);
  held.pending++;
  PromisePrototypeThen(
    PromiseResolve(promise),
    () => {
      held.pending--;
      endIfDone(held);
    },
    (error) => {
      held.pending--;
      held.failed ??= { error };
      op_isopod_report(error, true);
      endIfDone(held);
    },
  );
}

/** Keeps an event open until the function that is returned is called. */
const keepOpen = (function keepOpen(held) {
  if (held.kept++ === 0) held.pending++;
  let isKept = true;
  return () => {
    if (!isKept) return;
    isKept = false;
    if (--held.kept > 0) return;
    if (held.answered) answerEnded(held);
    else held.pending--;
  };
});

/** https://developers.cloudflare.com/workers/runtime-apis/context/ */
class ExecutionContext {
  #held;
  #abort = undefined;
  props = ObjectFreeze({});
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
  /** Aborts when whoever waits for this event has gone, its time is over, or it is near its limit of CPU time. */
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

/** Finds what an event is for: an instance of a class with its context, or an object. `null` where there is nothing. */
const findTarget = (function findTarget(held, entrypoint, Context = ExecutionContext) {
  const target = entrypoint === undefined ? exported.default : exported[entrypoint];
  if (isClass(target)) {
    const ctx = new Context(constructKey, held);
    return { self: ReflectConstruct(target, [ctx, env]), method: undefined, bare: true, ctx };
  }
  const isThere = target !== null && (typeof target === "object" || isFunction(target));
  return isThere ? { self: target, method: undefined, bare: false, ctx: null } : null;
});

const contextOf = (held) => new ExecutionContext(constructKey, held);

/**
 * Finds what handles an event: `{ self, method, bare }`, where a bare method takes `(input)` alone because its object
 * was made with `ctx` and `env`. `null` where nothing does.
 */
const findHandler = (function findHandler(held, entrypoint, name, Context) {
  const found = findTarget(held, entrypoint, Context);
  if (found === null) return null;
  found.method = found.self[name];
  return isFunction(found.method) ? found : null;
});

function listExports() {
  let list = "";
  // deno-lint-ignore guard-for-in
  for (const name in exported) {
    list += list === "" ? name : `, ${name}`;
  }
  return list === "" ? "nothing" : list;
}

function failAsMissing(held, entrypoint, message) {
  const text = entrypoint !== undefined && exported[entrypoint] === undefined
    ? `the script has no entry point "${entrypoint}": it exports ${listExports()}`
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

/** Runs `body` with the event as the asynchronous context, so that what it logs later is known to be its. */
const inContextOf = (function inContextOf(held, body) {
  const before = core.getAsyncContext();
  core.setAsyncContext({ __proto__: null, isopodEvent: held.key });
  try {
    return body();
  } catch (error) {
    fail(held, error);
  } finally {
    core.setAsyncContext(before);
  }
});

const settle = (function settle(held, result, deliver) {
  if (core.isPromise(result) || (result !== null && typeof result === "object" && isFunction(result.then))) {
    PromisePrototypeThen(PromiseResolve(result), (value) => {
      try {
        deliver(held, value);
      } catch (error) {
        fail(held, error);
      }
    }, (error) => fail(held, error));
  } else {
    deliver(held, result);
  }
});

// ---- fetch

const respond = (function respond(held, response) {
  if (held.answered) return;
  if (!ObjectPrototypeIsPrototypeOf(ResponsePrototype, response)) {
    throw new TypeError("a fetch handler must return a Response (or a promise of one)");
  }
  const inner = toInnerResponse(response);
  if (inner.webSocket !== undefined) {
    respondWithSocket(held, inner);
    return;
  }
  if (inner.type === "error") {
    throw new TypeError("a fetch handler returned Response.error(), which cannot be sent");
  }
  const headers = inner.headerList;
  const isManual = inner.encodeBody === "manual";
  const body = inner.body;
  if (body === null) {
    answer(held, (last) => op_isopod_respond(held.key, inner.status, headers, null, last, isManual));
    return;
  }
  if (body.unusable()) {
    throw new TypeError("the Response's body has already been used: clone() it before reading it");
  }
  const bytes = takeWhole(inner);
  if (bytes !== null) {
    answer(held, (last) => op_isopod_respond(held.key, inner.status, headers, bytes, last, isManual));
    return;
  }
  const send = (rid) => op_isopod_respond_stream(held.key, inner.status, headers, rid, isManual);
  sendStream(held, body.stream, body.length, send);
});

/** Answers with a socket, and keeps the event open as long as the socket. */
function respondWithSocket(held, inner) {
  const { couple, takeEnd } = core.loadExtScript("ext:isopod_web_socket/websocket.js");
  const end = takeEnd(inner.webSocket);
  const rid = op_isopod_socket_respond(held.key, inner.headerList);
  held.answered = true;
  held.pending++;
  held.isStreaming = true;
  PromisePrototypeThen(couple(end, rid), () => answerEnded(held));
}

/** What an event was answered with has come to its end. */
function answerEnded(held) {
  held.pending--;
  held.isStreaming = false;
  held.stream = null;
  if (held.pending > 0) op_isopod_linger(held.key);
  else endIfDone(held);
}

/** Answers with a stream, and keeps the event open until it has been taken. */
function sendStream(held, stream, length, send) {
  const backing = getReadableStreamResourceBacking(stream);
  let rid;
  if (backing) {
    // The bytes are in Rust already: they need not pass through JavaScript. The reader keeps others away.
    stream.getReader();
    rid = backing.rid;
  } else {
    // Told of the error itself: what reads the resource learns its message alone.
    rid = resourceForReadableStream(stream, length, (error) => op_isopod_fail(held.key, error, false, false));
  }
  held.answered = true;
  held.pending++;
  held.isStreaming = true;
  held.stream = stream;
  PromisePrototypeThen(send(rid), (complete) => {
    if (!complete) cancelSignal(held);
    answerEnded(held);
  }, (error) => {
    // Before the head was sent this is the answer; after it, it is what the log and the outcome say.
    op_isopod_fail(held.key, error, false, false);
    answerEnded(held);
  });
}

function cancelSignal(held) {
  const callback = held.onCancel;
  held.onCancel = null;
  callback?.();
}

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

const beginFetch = (function beginFetch(key, method, url, hasBody, entrypoint) {
  const held = new Held(key);
  MapPrototypeSet(open, key, held);
  inContextOf(held, () => {
    const found = findHandler(held, entrypoint, "fetch");
    if (found === null) {
      if (entrypoint !== undefined || listenerCount(globalObject, "fetch") === 0) {
        failAsUnhandled(held, entrypoint, "fetch");
        return;
      }
      const event = new FetchEvent(constructKey, held, makeRequest(held, method, url, hasBody));
      setIsTrusted(event, true);
      globalObject.dispatchEvent(event);
      const response = responseOf(event);
      if (response === undefined) {
        throw new TypeError('no listener for "fetch" called event.respondWith() before it returned');
      }
      settle(held, response, respond);
      return;
    }
    const request = makeRequest(held, method, url, hasBody);
    const result = found.bare
      ? FunctionPrototypeCall(found.method, found.self, request)
      : FunctionPrototypeCall(found.method, found.self, request, env, new ExecutionContext(constructKey, held));
    settle(held, result, respond);
  });
});

// ---- calls and the other handlers

const hold = (function hold(key) {
  const held = new Held(key);
  MapPrototypeSet(open, key, held);
  return held;
});

const beginCall = (function beginCall(key, name, args, entrypoint, others) {
  const held = hold(key);
  inContextOf(held, () => {
    if (others !== undefined) putInPlace(args, others);
    let self = exported;
    let method = entrypoint === undefined && ObjectHasOwn(exported, name) ? exported[name] : undefined;
    if (!isFunction(method) || isClass(method)) {
      const found = findHandler(held, entrypoint, name);
      if (found === null) {
        failAsMissing(held, entrypoint, `the script has no function "${name}" to call: it exports ${listExports()}`);
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
 * The caller of an event left, or its time is over: its signal fires, and nothing it still does is its answer. Where its caller
 * left, what it gave to `waitUntil` goes on; once.
 */
function cancel(key, hasLeft) {
  const held = MapPrototypeGet(open, key);
  if (held === undefined) return;
  const goesOn = hasLeft && !held.isCanceled && held.pending > (held.isStreaming ? 1 : 0);
  held.answered = true;
  held.isCanceled = true;
  if (goesOn) {
    op_isopod_linger(key);
  } else {
    MapPrototypeDelete(open, key);
    held.pending = 1; // never done: the event has been ended from outside
  }
  inContextOf(held, () => cancelSignal(held));
}

/** What has to be told of an event that is open. */
const heldOf = (function heldOf(key) {
  return MapPrototypeGet(open, key);
});

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
  ExecutionContext,
  failAsMissing,
  FetchEvent,
  findTarget,
  heldOf,
  inContextOf,
  keepOpen,
  putInPlace,
  setExports,
  start,
  waitUntil,
  WorkerEntrypoint,
};
})();
