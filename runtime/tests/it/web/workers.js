
// What Workers have beside the Web platform: https://developers.cloudflare.com/workers/runtime-apis/

const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (...list) => new Uint8Array(list);

export const digests = () => {
  // FIPS 180-4 and RFC 1321: the digests of "abc".
  const known = {
    "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "MD5": "900150983cd24fb0d6963f7d28e17f72",
  };
  const list = {};
  for (const [name, value] of Object.entries(known)) {
    list[name] = async () => {
      const stream = new crypto.DigestStream(name);
      const writer = stream.getWriter();
      await writer.write("a");
      await writer.write(new TextEncoder().encode("b"));
      await writer.write(new TextEncoder().encode("c").buffer);
      await writer.close();
      return hex(await stream.digest) === value && stream.bytesWritten === 3;
    };
  }
  return checks({
    ...list,
    async "what is piped through is what subtle.digest() says"() {
      const data = new Uint8Array(3_000_001).map((_, i) => i % 251);
      const stream = new crypto.DigestStream({ name: "sha-512" });
      await new Response(data).body.pipeTo(stream);
      return hex(await stream.digest) === hex(await crypto.subtle.digest("SHA-512", data));
    },
    async "it fails with its stream"() {
      const stream = new crypto.DigestStream("SHA-256");
      await stream.abort(new Error("no more"));
      return await stream.digest.catch((error) => error.message) === "no more";
    },
    async "a chunk that is no bytes fails it"() {
      const stream = new crypto.DigestStream("SHA-256");
      await stream.getWriter().write(1).catch(() => {});
      return await stream.digest.catch((error) => error instanceof TypeError);
    },
    "an algorithm that there is not"() {
      return thrown(() => new crypto.DigestStream("SHA-3")).name === "NotSupportedError";
    },
  });
};

export const equality = () =>
  checks({
    "same": () => crypto.subtle.timingSafeEqual(bytes(1, 2, 3), bytes(1, 2, 3).buffer) === true,
    "other": () => crypto.subtle.timingSafeEqual(bytes(1, 2, 3), bytes(1, 2, 4)) === false,
    "a view": () => crypto.subtle.timingSafeEqual(bytes(9, 1, 2).subarray(1), new DataView(bytes(1, 2).buffer)) === true,
    "lengths": () => thrown(() => crypto.subtle.timingSafeEqual(bytes(1), bytes(1, 2))) instanceof TypeError,
    "kinds": () => thrown(() => crypto.subtle.timingSafeEqual("a", "a")) instanceof TypeError,
  });

export const waits = () =>
  checks({
    "it is resolved": async () => await scheduler.wait(1) === undefined,
    async "a signal ends it"() {
      const controller = new AbortController();
      const waiting = scheduler.wait(1e9, { signal: controller.signal });
      controller.abort(new Error("enough"));
      return await waiting.catch((error) => error.message) === "enough";
    },
    "a signal that has": async () =>
      await scheduler.wait(1, { signal: AbortSignal.abort(new Error("over")) }).catch((error) => error.message) === "over",
    "no delay": async () => await scheduler.wait().catch((error) => error instanceof TypeError),
    "it is no constructor": () => thrown(() => new Scheduler()) instanceof TypeError,
  });

export const pipes = () =>
  checks({
    async "a write waits until it is read"() {
      const { readable, writable } = new IdentityTransformStream();
      let written = false;
      const writing = writable.getWriter().write(bytes(1, 2, 3)).then(() => written = true);
      await soon();
      const before = written;
      const { value } = await readable.getReader().read();
      await writing;
      return !before && value.join() === "1,2,3";
    },
    async "a buffer takes what fits, and the chunk stays its writer's"() {
      const { readable, writable } = new IdentityTransformStream();
      const chunk = bytes(1, 2, 3, 4, 5);
      const writer = writable.getWriter();
      const writing = writer.write(chunk).then(() => writer.close());
      const reader = readable.getReader({ mode: "byob" });
      const read = async () => {
        const { value, done } = await reader.read(new Uint8Array(2));
        return done ? "done" : value.join();
      };
      const parts = [await read(), await read(), await read(), await read()];
      await writing;
      return parts.join(" ") === "1,2 3,4 5 done" && chunk.length === 5;
    },
    async "as many as are asked for"() {
      const { readable, writable } = new IdentityTransformStream();
      const writer = writable.getWriter();
      writer.write(bytes(1));
      writer.write(bytes(2, 3));
      writer.write(bytes(4, 5, 6));
      const { value } = await readable.getReader({ mode: "byob" }).readAtLeast(4, new Uint8Array(5));
      return value.join() === "1,2,3,4,5";
    },
    async "an end before that"() {
      const { readable, writable } = new IdentityTransformStream();
      const writer = writable.getWriter();
      writer.write(bytes(1)).then(() => writer.close());
      const reader = readable.getReader({ mode: "byob" });
      const first = await reader.readAtLeast(4, new Uint8Array(5));
      const next = await reader.readAtLeast(1, new Uint8Array(1));
      return !first.done && first.value.join() === "1" && next.done;
    },
    async "what a reader cancels, its writer is told"() {
      const { readable, writable } = new IdentityTransformStream();
      const writing = writable.getWriter().write(bytes(1)).catch((error) => error.message);
      await readable.cancel(new Error("left"));
      return await writing === "left";
    },
    async "what a writer aborts, its reader is told"() {
      const { readable, writable } = new IdentityTransformStream();
      const reading = readable.getReader().read().catch((error) => error.message);
      await writable.abort(new Error("gone"));
      return await reading === "gone";
    },
    async "other chunks than bytes"() {
      const { readable, writable } = new IdentityTransformStream();
      readable.getReader().read().catch(() => {});
      return await writable.getWriter().write("text").catch((error) => error instanceof TypeError);
    },
    async "a body of a known length"() {
      const { readable, writable } = new FixedLengthStream(5);
      const writer = writable.getWriter();
      const writing = writer.write(bytes(104, 101, 108, 108, 111)).then(() => writer.close());
      const text = await new Response(readable).text();
      await writing;
      return text === "hello";
    },
    async "too many bytes, and too few"() {
      const more = new FixedLengthStream(1);
      more.readable.getReader().read().catch(() => {});
      const tooMany = await more.writable.getWriter().write(bytes(1, 2)).catch((error) => error instanceof TypeError);
      const fewer = new FixedLengthStream(1);
      const reading = fewer.readable.getReader().read().catch((error) => error instanceof TypeError);
      const tooFew = await fewer.writable.close().catch((error) => error instanceof TypeError);
      return tooMany === true && tooFew === true && await reading === true;
    },
    "they are transform streams": () => new FixedLengthStream(1) instanceof IdentityTransformStream &&
      new IdentityTransformStream() instanceof TransformStream,
    async "they are piped through"() {
      const through = new Blob(["some text"]).stream().pipeThrough(new IdentityTransformStream());
      return await new Response(through).text() === "some text";
    },
  });

export const observers = () =>
  checks({
    // https://w3c.github.io/performance-timeline/#the-performanceobserver-interface
    async "marks and measures are observed"() {
      const seen = new Promise((resolve) => {
        const observer = new PerformanceObserver((list) => {
          observer.disconnect();
          resolve(list.getEntries().map((entry) => `${entry.entryType} ${entry.name}`).join());
        });
        observer.observe({ entryTypes: ["mark", "measure"] });
      });
      performance.mark("a");
      performance.measure("b", "a");
      return await seen === "mark a,measure b";
    },
    async "an observer adds types and gets entries by their start"() {
      performance.clearMarks();
      performance.mark("early", { startTime: 1 });
      const lists = [];
      const observer = new PerformanceObserver((list, self, options) =>
        lists.push([list.getEntries().map(({ name }) => name).join(), self === observer, options.droppedEntriesCount])
      );
      observer.observe({ type: "mark", buffered: true });
      observer.observe({ type: "measure" });
      performance.mark("late", { startTime: 9 });
      performance.measure("between", { start: 5, end: 6 });
      performance.measure("whole", null, "late");
      await 0;
      performance.mark("taken");
      const taken = observer.takeRecords().map(({ name }) => name).join();
      observer.disconnect();
      performance.mark("unseen");
      await 0;
      return JSON.stringify(lists) === '[["whole,early,between,late",true,0]]' && taken === "taken";
    },
    "the two ways to observe are not mixed"() {
      const errors = [[{ type: "mark" }, { entryTypes: ["mark"] }], [{ entryTypes: ["mark"] }, { type: "mark" }], [
        {},
      ], [{ entryTypes: ["mark"], buffered: true }]].map((options) => {
        const observer = new PerformanceObserver(() => {});
        try {
          options.forEach((option) => observer.observe(option));
        } catch (error) {
          return error.name;
        } finally {
          observer.disconnect();
        }
      });
      return errors.join() === "InvalidModificationError,InvalidModificationError,TypeError,TypeError" &&
        PerformanceObserver.supportedEntryTypes === PerformanceObserver.supportedEntryTypes;
    },
    // https://dom.spec.whatwg.org/#dom-event-istrusted
    "events have their time, and a property that cannot be forged"() {
      const event = new CustomEvent("a");
      const { get, configurable } = Object.getOwnPropertyDescriptor(event, "isTrusted");
      event.initEvent("b", true);
      const before = new Event("");
      return event.isTrusted === false && !configurable && get.call(before) === false && event.type === "b" && event.bubbles &&
        before.timeStamp <= performance.now() && before.timeStamp > 0 && Object.keys(event).join() === "isTrusted";
    },
    "the navigator": () => navigator.language === "en" && navigator.languages.join() === "en" && navigator.hardwareConcurrency === 1,
  });
