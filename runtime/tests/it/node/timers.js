// Checks of `node:timers`, and of the order of callbacks. https://nodejs.org/api/timers.html

import { setTimeout as imported } from "node:timers";
import { scheduler, setInterval as every, setTimeout as wait } from "node:timers/promises";

export const timers = () =>
  checks({
    "a timer is an object": () => {
      const timer = setTimeout(() => {}, 1000);
      const is = typeof timer === "object" && timer.unref() === timer && !timer.hasRef() && timer.ref().hasRef() && Number(timer) > 0;
      clearTimeout(timer);
      return is && imported === setTimeout;
    },
    "a callback has its arguments": async () => await new Promise((resolve) => setTimeout(resolve, 0, "argument")) === "argument",
    "a cleared timer does not fire": async () => {
      let fired = 0;
      const timer = setTimeout(() => fired++, 0);
      const byNumber = setTimeout(() => fired++, 0);
      const immediate = setImmediate(() => fired++);
      clearTimeout(timer);
      clearTimeout(+byNumber);
      clearImmediate(immediate);
      setTimeout(() => fired++, 0).close();
      await wait(5);
      return fired === 0;
    },
    "refresh": async () => {
      let fired = 0;
      const timer = setTimeout(() => fired++, 1);
      await wait(5);
      timer.refresh();
      await wait(5);
      return fired === 2;
    },
    "setInterval": async () => {
      let fired = 0;
      await new Promise((resolve) => {
        const timer = setInterval(() => ++fired === 3 && (clearInterval(timer), resolve()), 1);
      });
      return fired === 3;
    },
    "setImmediate": async () => await new Promise((resolve) => setImmediate(resolve, "now")) === "now",
    "a callback that is none": () => thrown(() => setTimeout("code")).code === "ERR_INVALID_ARG_TYPE",
    "promises": async () => await wait(1, "value") === "value" && await scheduler.wait(1) === undefined && await scheduler.yield() === undefined,
    "an aborted wait": async () => {
      const controller = new AbortController();
      const waiting = wait(1000, undefined, { signal: controller.signal });
      controller.abort(new Error("why"));
      return await waiting.catch((error) => error.name === "AbortError" && error.code === "ABORT_ERR" && error.cause.message === "why");
    },
    "promises of intervals": async () => {
      let count = 0;
      for await (const value of every(1, "x")) if (value === "x" && ++count === 3) break;
      return count === 3;
    },
  });

const ordered = (act) =>
  new Promise((resolve) => {
    const seen = [];
    act((name) => () => seen.push(name));
    setTimeout(() => resolve(seen.join()), 5);
  });

// https://nodejs.org/api/process.html#when-to-use-queuemicrotask-vs-processnexttick: "the nextTick queue is always drained
// before the … microtask queue", and what either queues runs before the next timer.
export const order = async () => {
  // The first turn of a call.
  const first = await ordered((at) => {
    queueMicrotask(at("microtask"));
    process.nextTick(at("tick"));
  });
  return checks({
    "in the first turn": () => first === "tick,microtask",
    "in a timer": async () =>
      await new Promise((resolve) =>
        setTimeout(() => {
          resolve(ordered((at) => {
            Promise.resolve().then(at("then"));
            process.nextTick(at("tick"));
            queueMicrotask(at("microtask"));
            process.nextTick(at("tick 2"));
          }));
        }, 0)
      ) === "tick,tick 2,then,microtask",
    // While microtasks run, all of them run before the next tick.
    "in a microtask": async () => {
      await null;
      return await ordered((at) => {
        process.nextTick(at("tick"));
        queueMicrotask(at("microtask"));
      }) === "microtask,tick";
    },
    "ticks of ticks": async () =>
      await new Promise((resolve) =>
        setTimeout(() => {
          resolve(ordered((at) => {
            process.nextTick(() => {
              at("a")();
              process.nextTick(at("c"));
              queueMicrotask(at("d"));
            });
            process.nextTick(at("b"));
          }));
        }, 0)
      ) === "a,b,c,d",
    "arguments": async () => await new Promise((resolve) => process.nextTick((a, b) => resolve(a + b), 1, 2)) === 3,
    "the context of the caller": async () => {
      const { AsyncLocalStorage } = await import("node:async_hooks");
      const storage = new AsyncLocalStorage();
      return await new Promise((resolve) => storage.run("store", () => process.nextTick(() => resolve(storage.getStore())))) === "store";
    },
    "an error does not stop the queue": async () => {
      let reported;
      const report = (event) => (event.preventDefault(), reported = event.error.message);
      addEventListener("error", report);
      const after = await new Promise((resolve) => {
        process.nextTick(() => { throw new Error("in a tick"); });
        process.nextTick(resolve, "after");
      });
      removeEventListener("error", report);
      return after === "after" && reported === "in a tick";
    },
  });
};
