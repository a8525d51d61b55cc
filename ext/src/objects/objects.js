// The Durable Objects that live in this worker.
//
// An object begins with its own event, which stays open as long as the object. Its code runs as part of that event,
// regardless of the calling event, so that work started for one event is usable by the others.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_give,
  op_isopod_is_open,
  op_isopod_object_close,
  op_isopod_object_durable,
  op_isopod_object_enter,
  op_isopod_object_is_dirty,
  op_isopod_object_open,
  op_isopod_object_rest,
  op_isopod_object_stands,
  op_void_async_deferred,
} = core.ops;
const {
  Error,
  FunctionPrototypeCall,
  MapPrototypeDelete,
  MapPrototypeGet,
  MapPrototypeSet,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  Promise,
  PromisePrototypeThen,
  ReflectApply,
  ReflectConstruct,
  SafeArrayIterator,
  SafeMap,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeDelete,
  SetPrototypeGetSize,
  Symbol,
  SymbolToStringTag,
  TypeError,
} = primordials;
const { currentEvent, setOutputGate } = core.loadExtScript("ext:isopod_context/context.js");
const { answer, endIfDone, fail, waitUntil } = core.loadExtScript("ext:isopod_handlers/held.js");
const { env, exportsOf } = core.loadExtScript("ext:isopod_handlers/handlers.js");
const { DurableObject, isClass, isFunction, listExports } = core.loadExtScript("ext:isopod_handlers/classes.js");
const { idOf } = core.loadExtScript("ext:isopod_objects/namespace.js");
const { storageOf } = core.loadExtScript("ext:isopod_objects/storage.js");
const { clearTimeout, setTimeout } = core.loadExtScript("ext:deno_web/02_timers.js");

/** https://developers.cloudflare.com/durable-objects/api/state/#blockconcurrencywhile */
const BLOCKED_MS_MAX = 30_000;

const constructKey = Symbol("construct");

/** By entry point. */
const objects = new SafeMap();

/** By the key of their own event. */
const byEvent = new SafeMap();

/** Output of an object waits until its earlier writes are on disk, except those of an open transaction. */
setOutputGate(() => {
  const object = MapPrototypeGet(byEvent, currentEvent());
  return object === undefined || object.transactions > 0 || !object.isDirty() ? null : object.durable();
});

/** The error of an event whose object had ended before it was begun (events.rs). */
function goneError() {
  const error = new Error("the Durable Object has ended; try again");
  ObjectDefineProperty(error, "name", { __proto__: null, value: "IsopodObjectGone", configurable: true, writable: true });
  return error;
}

/** An object, from its start to its end. */
class LiveObject {
  entrypoint;
  className;
  id;
  /** Its own event. */
  held;
  rid = -1;
  instance = null;
  state;
  /** A promise, while no event may begin. */
  gate = null;
  /** Settles when the last waiting event has begun. `null` if none waits. */
  #waiting = null;
  /** Identifies the code that may run then. */
  #holder = null;
  /** Calls of `transaction` that have not ended. */
  transactions = 0;
  /** Calls of `deleteAll`, which close all cursors. */
  deletions = 0;
  /** Its alarm() is running, and has set no other alarm. */
  isInAlarm = false;
  /** Events that are being handled. */
  #open = new SafeSet();
  /** Answered events that may continue with a stream or a socket. */
  #answered = new SafeSet();
  /** The sockets that it has accepted, `null` before the first. */
  sockets = null;
  broken = null;
  isEnded = false;

  constructor(held, entrypoint, className, id) {
    this.held = held;
    this.entrypoint = entrypoint;
    this.className = className;
    this.id = id;
    this.state = new DurableObjectState(constructKey, this);
  }

  /** Runs `body` as part of the object's own event. */
  inContext(body) {
    const before = core.getAsyncContext();
    core.setAsyncContext({ ...before, __proto__: null, isopodEvent: this.held.key });
    try {
      return body();
    } finally {
      core.setAsyncContext(before);
    }
  }

  /** Handles an event: waits until it may begin, and afterwards until its writes are on disk. */
  async handle(held, call) {
    op_isopod_object_enter(this.held.key, held.key, SetPrototypeGetSize(this.#open) === 0);
    SetPrototypeAdd(this.#open, held);
    try {
      if (this.gate !== null || this.#waiting !== null) await this.#turn();
      this.#check();
      if (this.instance === null) {
        this.#construct();
        if (this.gate !== null) await this.#turn();
        this.#check();
      }
      const result = await call(this.instance);
      await this.durable();
      return result;
    } catch (error) {
      if (this.broken === null) await this.durable();
      throw error;
    } finally {
      SetPrototypeDelete(this.#open, held);
      if (held.key !== this.held.key) this.#keep(held);
    }
  }

  /**
   * Waits until an event may begin. Events begin one after another, each in its own turn, so that their code does not
   * interleave until it waits for something other than storage.
   */
  async #turn() {
    const before = this.#waiting;
    let begun;
    const own = this.#waiting = new Promise((resolve) => begun = resolve);
    if (before !== null) await before;
    while (this.gate !== null) await this.gate;
    PromisePrototypeThen(op_void_async_deferred(), () => {
      if (this.#waiting === own) this.#waiting = null;
      begun();
    });
  }

  /** Returns whether it has writes that are not on disk. */
  isDirty() {
    return !this.isEnded && op_isopod_object_is_dirty(this.rid);
  }

  /** Waits until all writes are on disk. */
  async durable() {
    if (!this.isDirty()) return;
    try {
      await op_isopod_object_durable(this.rid);
    } catch (error) {
      this.abort(error);
      throw error;
    }
  }

  #check() {
    if (this.broken !== null) throw this.broken;
    if (this.isEnded) throw goneError();
  }

  #construct() {
    const Class = exportsOf()[this.className];
    if (!isClass(Class)) {
      const error = new TypeError(
        `the script has no class "${this.className}" for its Durable Objects: it exports ${listExports(exportsOf())}`,
      );
      this.abort(error);
      throw error;
    }
    try {
      this.instance = ReflectConstruct(Class, [this.state, env]);
    } catch (error) {
      this.abort(error);
      throw error;
    }
  }

  #keep(held) {
    SetPrototypeAdd(this.#answered, held);
    if (SetPrototypeGetSize(this.#answered) > 64) this.#forget();
  }

  #forget() {
    for (const held of [...new SafeArrayIterator(listOf(this.#answered))]) {
      if (!op_isopod_is_open(held.key)) SetPrototypeDelete(this.#answered, held);
    }
  }

  /** Returns whether it has work. */
  isBusy() {
    this.#forget();
    // Events that were answered with its accepted sockets do not count as work.
    const accepted = this.sockets?.count() ?? 0;
    return SetPrototypeGetSize(this.#open) > 0 || SetPrototypeGetSize(this.#answered) > accepted || this.gate !== null ||
      this.held.pending > 1 || this.isDirty();
  }

  /** Drops the instance. The next event creates another one; the sockets stay. */
  hibernate() {
    this.instance = null;
    this.state = new DurableObjectState(constructKey, this);
    op_isopod_object_rest(this.rid);
  }

  /** Handles a message or alarm that is not an event of the host. */
  handleOwn(call) {
    const own = { __proto__: null, key: this.held.key, answered: true };
    return this.inContext(() => this.handle(own, call));
  }

  /** Runs `body` while no other event begins. */
  exclusively(body) {
    const before = this.gate;
    // Nested in another such call.
    if (before !== null && core.getAsyncContext()?.isopodExclusive === this.#holder) return (async () => await body())();
    const promise = before === null ? this.#hold(body) : PromisePrototypeThen(before, () => this.#hold(body));
    const gate = this.gate = PromisePrototypeThen(promise, () => {}, () => {});
    PromisePrototypeThen(gate, () => {
      if (this.gate === gate) this.gate = null;
    });
    return promise;
  }

  #hold(body) {
    this.#check();
    this.#holder = {};
    const before = core.getAsyncContext();
    core.setAsyncContext({ ...before, __proto__: null, isopodExclusive: this.#holder });
    try {
      return (async () => await body())();
    } finally {
      core.setAsyncContext(before);
    }
  }

  /** Ends the object with an error for all its waiting callers. The next event finds a new object. */
  abort(error) {
    if (this.broken !== null || this.isEnded) return;
    this.broken = error;
    for (const held of new SafeArrayIterator(listOf(this.#open))) fail(held, error);
    this.end(false);
  }

  /** Ends the object. With `keeps`, its writes are committed. */
  end(keeps) {
    if (this.isEnded) return;
    this.isEnded = true;
    if (MapPrototypeGet(objects, this.entrypoint) === this) MapPrototypeDelete(objects, this.entrypoint);
    MapPrototypeDelete(byEvent, this.held.key);
    if (this.rid !== -1) op_isopod_object_close(this.rid, keeps);
    this.sockets?.closeAll();
    this.held.pending--;
    endIfDone(this.held);
  }
}

const { forEach } = SafeSet.prototype;

function listOf(set) {
  const list = [];
  ReflectApply(forEach, set, [(item) => list[list.length] = item]);
  return list;
}

/** `ctx` of an object: https://developers.cloudflare.com/durable-objects/api/state/ */
class DurableObjectState {
  #object;
  storage;
  constructor(key, object) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#object = object;
    this.storage = storageOf(object);
  }
  get id() {
    return this.#object.id;
  }
  get props() {
    return {};
  }
  get exports() {
    return core.loadExtScript("ext:isopod_fetcher/exports.js").ownExports;
  }
  waitUntil(promise) {
    waitUntil(this.#object.held, promise);
  }
  blockConcurrencyWhile(callback) {
    const object = this.#object;
    const promise = object.exclusively(async () => {
      const timer = setTimeout(() => {
        object.abort(
          new Error(
            "A call to blockConcurrencyWhile() in a Durable Object waited for too long. The call was canceled and the Durable " +
              "Object was reset.",
          ),
        );
      }, BLOCKED_MS_MAX);
      try {
        return await ReflectApply(callback, undefined, []);
      } catch (error) {
        object.abort(error);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    });
    // The object's callers get the error.
    PromisePrototypeThen(promise, undefined, () => {});
    return promise;
  }
  acceptWebSocket(socket, tags = undefined) {
    this.#sockets().accept(socket, tags);
  }
  getWebSockets(tag = undefined) {
    return this.#object.sockets?.list(tag) ?? [];
  }
  getTags(socket) {
    return this.#sockets().tagsOf(socket);
  }
  setWebSocketAutoResponse(pair = undefined) {
    this.#sockets().setAutoResponse(pair);
  }
  getWebSocketAutoResponse() {
    return this.#object.sockets?.autoResponse ?? null;
  }
  getWebSocketAutoResponseTimestamp(socket) {
    return this.#sockets().respondedAt(socket);
  }
  setHibernatableWebSocketEventTimeout(_timeout = undefined) {}
  getHibernatableWebSocketEventTimeout() {
    return null;
  }
  #sockets() {
    const object = this.#object;
    return object.sockets ??= core.loadExtScript("ext:isopod_objects/sockets.js").socketsOf(object);
  }
  abort(reason = undefined) {
    const message = reason === undefined ? "Application called abort() to reset Durable Object." : `${reason}`;
    const error = typeof reason === "object" && reason !== null ? reason : new Error(message);
    this.#object.abort(error);
    throw error;
  }
  get [SymbolToStringTag]() {
    return "DurableObjectState";
  }
}

// ---- events

/** Passes an event to its object. */
function receive(held, entrypoint, call) {
  const object = MapPrototypeGet(objects, entrypoint);
  if (object === undefined) throw goneError();
  return object.inContext(() => object.handle(held, call));
}

/** A request. */
function fetch(held, entrypoint, request) {
  return receive(held, entrypoint, (instance) => {
    const { fetch } = instance;
    if (!isFunction(fetch)) throw new TypeError("Handler does not export a fetch() function.");
    return FunctionPrototypeCall(fetch, instance, request);
  });
}

/** A method call, made by `respond`. */
function call(held, entrypoint, respond) {
  return receive(held, entrypoint, (instance) => {
    if (!ObjectPrototypeIsPrototypeOf(DurableObject.prototype, instance)) {
      throw new TypeError(
        "The receiving Durable Object does not support RPC, because its class was not declared with `extends DurableObject`. " +
          "In order to enable RPC, make sure your class extends the special class `DurableObject`, which can be imported from " +
          'the module "cloudflare:workers".',
      );
    }
    return respond(instance);
  });
}

const deliver = (held, value) => answer(held, (last) => op_isopod_give(held.key, value, last));

/** The row of the start of an object. */
function objectStart(held, entrypoint, className, hex, name) {
  return {
    deliver,
    run() {
      const object = new LiveObject(held, entrypoint, className, idOf(hex, name ?? undefined));
      object.rid = op_isopod_object_open(held.key);
      MapPrototypeSet(objects, entrypoint, object);
      MapPrototypeSet(byEvent, held.key, object);
      held.onCancel = () => object.end(true);
      held.answered = true;
      held.pending = 1;
      op_isopod_give(held.key, null, false);
      op_isopod_object_stands(held.key);
      return undefined;
    },
  };
}

/** The row of an eviction. */
function objectEvict(_held, entrypoint) {
  return {
    deliver,
    run() {
      const object = MapPrototypeGet(objects, entrypoint);
      if (object === undefined) return true;
      if (object.isBusy()) return false;
      if (object.sockets !== null && object.sockets.count() > 0) {
        object.hibernate();
        return false;
      }
      object.end(true);
      return true;
    },
  };
}

return { call, deliver, fetch, objectEvict, objectOf: (entrypoint) => MapPrototypeGet(objects, entrypoint), objectStart, receive };
})();
