// Checks of `node:async_hooks`. https://nodejs.org/api/async_context.html

import async_hooks, { AsyncLocalStorage, AsyncResource, executionAsyncId } from "node:async_hooks";

const storage = new AsyncLocalStorage();
const other = new AsyncLocalStorage({ defaultValue: "none", name: "other" });
const get = () => storage.getStore();
const tick = () => new Promise((resolve) => setTimeout(resolve, 1));
const of = (value, act) => storage.run(value, act);
/** The store in which a callback is called. */
const seenBy = (act) => new Promise((resolve, reject) => act(() => resolve(get()), reject));
/** The store after an await. */
const after = async (act) => {
  await act();
  return get();
};
const thenable = { then: (resolve) => resolve(get()) };

// Node's documentation: "The store is accessible to any asynchronous operations created within the callback."
export const follows = () =>
  checks({
    "run": () => of(1, get) === 1 && get() === undefined,
    "run with arguments": () => of(1, () => storage.run(2, (...args) => `${args}${get()}`, "a", "b")) === "a,b2",
    "run leaves when it throws": () => thrown(() => of(1, () => { throw 7; })) === 7 && get() === undefined,
    "nested runs": () => of(1, () => [of(2, get), get()].join()) === "2,1",
    "two storages": () => of(1, () => other.run(2, () => `${get()}${other.getStore()}`)) === "12",
    "default": () => other.getStore() === "none" && other.name === "other" && other.run(undefined, () => other.getStore()) === undefined,
    "await": async () => await of(1, () => after(tick)) === 1,
    "then": async () => await of(1, () => tick().then(get)) === 1,
    "then on a promise of another context": async () => {
      const promise = of(2, () => tick());
      return await of(1, () => promise.then(get)) === 1;
    },
    "catch and finally": async () =>
      await of(1, () => Promise.reject(0).catch(get)) === 1 && await of(1, () => seenBy((seen) => tick().finally(seen))) === 1,
    "a custom thenable": async () => await of(1, async () => await thenable) === 1,
    "an async generator": async () => {
      async function* values() {
        yield get();
        await tick();
        yield get();
      }
      return (await of(1, async () => {
        const all = [];
        for await (const value of values()) all.push(value);
        return all;
      })).join() === "1,1";
    },
    "queueMicrotask": async () => await of(1, () => seenBy(queueMicrotask)) === 1,
    "setTimeout": async () => await of(1, () => seenBy((seen) => setTimeout(seen, 1))) === 1,
    "setInterval": async () =>
      await of(1, () => seenBy((seen) => { const interval = setInterval(() => (clearInterval(interval), seen()), 1); })) === 1,
    "scheduler.wait": async () => await of(1, () => after(() => scheduler.wait(1))) === 1,
    "Promise.all": async () =>
      (await Promise.all([1, 2, 3].map((value) => of(value, async () => (await tick(), get()))))).join() === "1,2,3",
    "crypto": async () => await of(1, () => after(() => crypto.subtle.digest("SHA-256", new Uint8Array(8)))) === 1,
    "fetch": async () => await of(1, () => after(() => fetch("data:,a").then((response) => response.text()))) === 1,
    "a body": async () => await of(1, () => after(() => new Response(new Blob(["a"])).text())) === 1,
    "a stream's source": async () => {
      const stream = of(1, () => new ReadableStream({ start(c) { c.enqueue(get()); c.close(); } }));
      return (await stream.getReader().read()).value === 1;
    },
    "a stream's reader": async () => {
      const stream = of(2, () => new ReadableStream({ pull(c) { c.enqueue("a"); } }));
      return await of(1, () => after(() => stream.getReader().read())) === 1;
    },
    "a transform": async () => await of(1, async () => {
      const { readable, writable } = new TransformStream({ transform: (_, controller) => controller.enqueue(get()) });
      const writer = writable.getWriter();
      writer.write("a");
      return (await readable.getReader().read()).value;
    }) === 1,
    "a port": async () => {
      const { port1, port2 } = new MessageChannel();
      const seen = seenBy((seen) => port2.onmessage = seen);
      of(1, () => port1.postMessage("a"));
      const store = await seen;
      port1.close();
      return store === 1;
    },
    // Listeners are called by whom dispatches, in its context.
    "an event target": () => {
      const target = new EventTarget();
      const seen = [];
      of(1, () => target.addEventListener("a", () => seen.push(get())));
      target.addEventListener("a", AsyncResource.bind(() => seen.push(get())));
      of(2, () => target.dispatchEvent(new Event("a")));
      return seen.join() === "2,";
    },
    "an abort": () => {
      const controller = new AbortController();
      let seen;
      controller.signal.addEventListener("abort", of(1, () => AsyncLocalStorage.bind(() => seen = get())));
      of(2, () => controller.abort());
      return seen === 1;
    },
    "an unhandled rejection": async () =>
      await seenBy((seen) => {
        addEventListener("unhandledrejection", (event) => (event.preventDefault(), seen()), { once: true });
        of(1, () => void Promise.reject(new Error("a")));
      }) === 1,
    "import()": async () => await of(1, () => after(() => import("node:async_hooks"))) === 1,
  });

export const members = () =>
  checks({
    "exit": () => of(1, () => [storage.exit(get), storage.exit((a) => a, 5), get()].join()) === ",5,1",
    "enterWith": async () => {
      const inside = await of(1, async () => {
        storage.enterWith(2);
        await tick();
        return get();
      });
      return inside === 2 && get() === undefined;
    },
    "disable": async () => {
      const mine = new AsyncLocalStorage();
      let snapshot;
      const left = await mine.run(1, async () => {
        snapshot = AsyncLocalStorage.snapshot();
        mine.disable();
        await tick();
        return mine.getStore();
      });
      return left === undefined && snapshot(() => mine.getStore()) === undefined && mine.run(2, () => mine.getStore()) === 2;
    },
    "bind": () => {
      const bound = of(1, () => AsyncLocalStorage.bind(function (a, b) { return [this.x, a, b, get()]; }));
      return bound.length === 2 && of(2, () => bound.call({ x: 0 }, "a", "b")).join() === "0,a,b,1";
    },
    "bind of no function": () => thrown(() => AsyncLocalStorage.bind(1)).code === "ERR_INVALID_ARG_TYPE",
    "snapshot": () => {
      const snapshot = of(1, () => AsyncLocalStorage.snapshot());
      return of(2, () => [snapshot((a) => a + get(), 5), get()].join()) === "6,2";
    },
    "a snapshot leaves when it throws": () => {
      const snapshot = of(1, () => AsyncLocalStorage.snapshot());
      return thrown(() => snapshot(() => { throw 7; })) === 7 && get() === undefined;
    },
    "AsyncResource": () => {
      class Query extends AsyncResource {
        constructor() {
          super("Query");
        }
      }
      const query = of(1, () => new Query());
      const id = query.asyncId();
      const [self, argument, store, running, trigger] = query.runInAsyncScope(
        function (a) {
          return [this, a, get(), executionAsyncId(), new AsyncResource("a").triggerAsyncId()];
        },
        "self",
        "a",
      );
      return self === "self" && argument === "a" && store === 1 && running === id && trigger === id &&
        executionAsyncId() === 0 && new Query().asyncId() > id && query.emitDestroy() === query;
    },
    "AsyncResource.bind": () => {
      const bound = of(1, () => AsyncResource.bind(function () { return [this, get()]; }, "a", "self"));
      return bound().join() === "self,1";
    },
    "a type that is no text": () => thrown(() => new AsyncResource(1)).code === "ERR_INVALID_ARG_TYPE",
    "the rest of the module": () =>
      async_hooks.AsyncLocalStorage === AsyncLocalStorage && async_hooks.createHook({}).enable().disable() !== undefined &&
      async_hooks.triggerAsyncId() === 0 && typeof async_hooks.executionAsyncResource() === "object",
  });
