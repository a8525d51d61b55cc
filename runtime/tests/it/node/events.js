// Checks of `node:events`. https://nodejs.org/api/events.html

import EventEmitter, { EventEmitter as Named, errorMonitor, on, once } from "node:events";

export const emitters = () =>
  checks({
    "both exports": () => EventEmitter === Named && EventEmitter.EventEmitter === EventEmitter,
    "listeners are called in order with arguments": () => {
      const seen = [];
      const emitter = new EventEmitter();
      emitter.on("event", function (a, b) { seen.push(a + b, this === emitter); });
      emitter.prependListener("event", () => seen.push("first"));
      return emitter.emit("event", 1, 2) === true && emitter.emit("other") === false && seen.join() === "first,3,true";
    },
    "once": () => {
      const emitter = new EventEmitter();
      let calls = 0;
      emitter.once("event", () => calls++);
      emitter.emit("event");
      emitter.emit("event");
      return calls === 1 && emitter.listenerCount("event") === 0;
    },
    "off": () => {
      const emitter = new EventEmitter();
      const listener = () => {};
      return emitter.on("a", listener).off("a", listener).eventNames().length === 0;
    },
    // "If an EventEmitter does not have at least one listener registered for the 'error' event … the error is thrown"
    "an error without a listener is thrown": () => thrown(() => new EventEmitter().emit("error", new Error("whoops"))).message === "whoops",
    "errorMonitor": () => {
      const emitter = new EventEmitter();
      let seen;
      emitter.on(errorMonitor, (error) => seen = error.message);
      return thrown(() => emitter.emit("error", new Error("a"))).message === "a" && seen === "a";
    },
    "a subclass and a constructor called without new": () => {
      class Mine extends EventEmitter {}
      function Old() { EventEmitter.call(this); }
      Object.setPrototypeOf(Old.prototype, EventEmitter.prototype);
      let calls = 0;
      for (const emitter of [new Mine(), new Old()]) emitter.on("a", () => calls++).emit("a");
      return calls === 2;
    },
    "events.once": async () => {
      const emitter = new EventEmitter();
      queueMicrotask(() => emitter.emit("event", 42));
      return (await once(emitter, "event"))[0] === 42;
    },
    "events.once of an error": async () => {
      const emitter = new EventEmitter();
      queueMicrotask(() => emitter.emit("error", new Error("kaboom")));
      return await once(emitter, "event").catch((error) => error.message) === "kaboom";
    },
    "events.once of an EventTarget": async () => {
      const target = new EventTarget();
      queueMicrotask(() => target.dispatchEvent(new Event("a")));
      return (await once(target, "a"))[0].type === "a";
    },
    "events.on": async () => {
      const emitter = new EventEmitter();
      process.nextTick(() => { emitter.emit("a", 1); emitter.emit("a", 2); });
      const seen = [];
      for await (const [value] of on(emitter, "a")) {
        seen.push(value);
        if (value === 2) break;
      }
      return seen.join() === "1,2" && emitter.listenerCount("a") === 0;
    },
  });
