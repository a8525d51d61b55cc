// Structured clones and transfer. https://html.spec.whatwg.org/multipage/structured-data.html

// §2.7.5 StructuredSerializeWithTransfer, of buffers.
export const buffers = () =>
  checks({
    "a buffer is detached"() {
      const buffer = new ArrayBuffer(8);
      const copy = structuredClone(buffer, { transfer: [buffer] });
      return buffer.detached && copy.byteLength === 8;
    },
    "a view goes with its buffer"() {
      const view = new Uint8Array([1, 2, 3]);
      return structuredClone(view, { transfer: [view.buffer] }).join() === "1,2,3" && view.length === 0;
    },
    "one buffer stays one"() {
      const b = new ArrayBuffer(8);
      const copy = structuredClone({ a: b, b, v: new Uint16Array(b, 2, 2) }, { transfer: [b] });
      return copy.a === copy.b && copy.v.buffer === copy.a && copy.v.byteOffset === 2 && copy.v.length === 2;
    },
    "what can be resized stays so, and its views track it"() {
      const b = new ArrayBuffer(4, { maxByteLength: 16 });
      const copy = structuredClone({ b, v: new Uint8Array(b) }, { transfer: [b] });
      copy.b.resize(8);
      return copy.v.length === 8 && copy.b.maxByteLength === 16 && b.detached;
    },
    "a copy of it too"() {
      const copy = structuredClone(new Uint8Array(new ArrayBuffer(4, { maxByteLength: 16 })));
      copy.buffer.resize(8);
      return copy.length === 8;
    },
    "twice in the list"() {
      const b = new ArrayBuffer(8);
      return refusal(() => structuredClone(b, { transfer: [b, b] })) === true && !b.detached;
    },
    "detached before"() {
      const b = new ArrayBuffer(8);
      b.transfer();
      return [() => structuredClone(1, { transfer: [b] }), () => structuredClone(b, { transfer: [b] }), () => structuredClone(b)]
        .every((act) => refusal(act) === true);
    },
    "detached by a getter"() {
      const b = new ArrayBuffer(8);
      return refusal(() => structuredClone({ get a() { b.transfer(); } }, { transfer: [b] }));
    },
    "nothing is detached where the value throws"() {
      const b = new ArrayBuffer(8);
      const error = thrown(() => structuredClone({ get a() { throw 7; } }, { transfer: [b] }));
      return error === 7 && !b.detached;
    },
    "out of bounds"() {
      const b = new ArrayBuffer(8, { maxByteLength: 16 });
      const view = new Uint8Array(b, 4, 4);
      b.resize(4);
      return refusal(() => structuredClone(view));
    },
    // DetachArrayBuffer throws a TypeError for another [[ArrayBufferDetachKey]].
    "the memory of WebAssembly"() {
      const { buffer } = new WebAssembly.Memory({ initial: 1 });
      return thrown(() => structuredClone(buffer, { transfer: [buffer] })) instanceof TypeError;
    },
    // §2.7.3: the agent is not cross-origin isolated.
    "a shared buffer": () => refusal(() => structuredClone(new SharedArrayBuffer(1))),
    "a view of one": () => refusal(() => structuredClone([new Uint8Array(new SharedArrayBuffer(1))])),
  });

// Objects that are not serializable, in any position; objects that are not transferable.
export const refused = () => {
  const values = {
    Request: new Request("http://a/"),
    Response: new Response(),
    Headers: new Headers(),
    URL: new URL("http://a/"),
    URLSearchParams: new URLSearchParams(),
    FormData: new FormData(),
    AbortController: new AbortController(),
    AbortSignal: AbortSignal.abort(),
    Event: new Event("x"),
    EventTarget: new EventTarget(),
    TextEncoder: new TextEncoder(),
    TextDecoder: new TextDecoder(),
    CompressionStream: new CompressionStream("gzip"),
    MessageChannel: new MessageChannel(),
    MessagePort: new MessageChannel().port1,
    ReadableStream: new ReadableStream(),
    WritableStream: new WritableStream(),
    TransformStream: new TransformStream(),
    reader: new ReadableStream().getReader(),
    strategy: new CountQueuingStrategy({ highWaterMark: 1 }),
    crypto,
    subtle: crypto.subtle,
    URLPattern: new URLPattern({ pathname: "/a" }),
    navigator,
    performance,
    globalThis,
    FileReader: new FileReader(),
    subclass: new (class extends URL {})("http://a/"),
    Promise: Promise.resolve(),
    WeakMap: new WeakMap(),
    symbol: Symbol("x"),
    function() {},
    generator: (function* () {})(),
    proxy: new Proxy({}, {}),
    memory: new WebAssembly.Memory({ initial: 1 }),
  };
  const list = {};
  for (const [name, value] of Object.entries(values)) {
    list[name] = () => refusal(() => structuredClone(value));
    list[`${name} in a value`] = () => refusal(() => structuredClone(new Map([[{ a: [value] }, 1]])));
    list[`${name} to a port`] = () => refusal(() => new MessageChannel().port1.postMessage([value]));
  }
  const plain = [{}, [], new Date(), new Uint8Array(1), new Blob([]), new SharedArrayBuffer(1), new Error()];
  const only = [MessagePort, ReadableStream, ArrayBuffer].map(({ prototype }) => Object.create(prototype));
  for (const value of [...plain, ...only, values.Headers, values.function, values.proxy]) {
    list[`${Object.prototype.toString.call(value)} in the list`] = () =>
      refusal(() => structuredClone(1, { transfer: [value] }));
  }
  return checks({
    ...list,
    "what only has the prototype is plain"() {
      const copy = structuredClone(Object.create(URL.prototype, { a: { value: 1, enumerable: true } }));
      return copy.a === 1 && Object.getPrototypeOf(copy) === Object.prototype;
    },
    "deno's brand says nothing"() {
      const brand = Symbol.for("Deno.core.hostObject");
      const copy = structuredClone({ x: 1, [brand]() { throw 1; } });
      const port = { [brand]: "MessagePort" };
      return copy.x === 1 && Reflect.ownKeys(copy).length === 1 && refusal(() => structuredClone(port, { transfer: [port] }));
    },
    "too deep a value is an error"() {
      let deep = [];
      for (let i = 0; i < 1e5; i++) deep = [deep];
      return thrown(() => structuredClone(deep)) instanceof RangeError;
    },
    "arguments are converted as Web IDL says"() {
      const { port1 } = new MessageChannel();
      const wrong = [1, "x", true, Symbol()];
      const are = [() => structuredClone(), () => port1.postMessage(), () => new structuredClone(1)];
      for (const value of wrong) are.push(() => structuredClone(1, value), () => port1.postMessage(1, value));
      return are.every((act) => thrown(act) instanceof TypeError) && structuredClone(1, null) === 1 &&
        structuredClone.length === 1 && structuredClone.name === "structuredClone";
    },
  });
};

// The copies of platform objects.
export const copies = () =>
  checks({
    async "a Blob"() {
      const [copy, same] = structuredClone(Array(2).fill(new Blob(["hé"], { type: "text/x" })));
      return copy === same && copy instanceof Blob && copy.type === "text/x" && await copy.text() === "hé";
    },
    "a sparse array, by what it has"() {
      const sparse = new Array(4294967295);
      sparse[4e9] = "x";
      const copy = structuredClone({ sparse }).sparse;
      return copy.length === 4294967295 && copy[4e9] === "x" && Object.keys(copy).length === 1;
    },
    async "a File, as its closest serializable class"() {
      const copy = structuredClone(new (class extends File {})(["hé"], "n", { lastModified: 5 }));
      return Object.getPrototypeOf(copy) === File.prototype && copy.name === "n" && copy.lastModified === 5 &&
        await copy.text() === "hé";
    },
    // https://webidl.spec.whatwg.org/#idl-DOMException
    "a DOMException"() {
      const error = new DOMException("m", "AbortError");
      const copy = structuredClone({ error }).error;
      return copy instanceof DOMException && copy !== error && copy.name === "AbortError" && copy.message === "m" &&
        copy.code === 20 && copy.stack === error.stack;
    },
    "a QuotaExceededError"() {
      const copy = structuredClone(new QuotaExceededError("m", { quota: 5 }));
      return copy instanceof QuotaExceededError && copy.quota === 5 && copy.requested === null && copy.message === "m";
    },
    // §2.7.3, step "[[ErrorData]]".
    "an error"() {
      for (const Kind of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
        const error = Object.assign(new Kind("m", { cause: { a: 1 } }), { own: 1 });
        const copy = structuredClone(error);
        const same = Object.getPrototypeOf(copy) === Kind.prototype && copy.message === "m" && copy.stack === error.stack;
        if (!same || copy.cause.a !== 1 || "own" in copy) return Kind.name;
      }
      const odd = structuredClone(Object.assign(new Error("x"), { name: "Odd" }));
      return odd.name === "Error" && !Object.hasOwn(structuredClone(new Error()), "message");
    },
    "a WebAssembly.Module"() {
      const m = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      const copy = structuredClone({ m, n: m });
      return copy.m instanceof WebAssembly.Module && copy.m !== m && copy.m === copy.n;
    },
    "plain values"() {
      const value = {
        zero: -0,
        holes: [1, , 3],
        sparse: Object.assign([], { 5: 1, x: 2 }),
        date: new Date(5),
        never: new Date(NaN),
        pattern: /a/gi,
        map: new Map([[{}, 1]]),
        set: new Set([1]),
        big: 10n ** 30n,
        boxed: Object(10n),
        nothing: undefined,
        view: new DataView(new ArrayBuffer(4), 1, 2),
        lone: "\ud800",
      };
      value.self = value;
      value.pattern.lastIndex = 3;
      const copy = structuredClone(value);
      return Object.is(copy.zero, -0) && !(1 in copy.holes) && copy.holes.length === 3 && copy.sparse.length === 6 &&
        copy.sparse.x === 2 && copy.date.getTime() === 5 && isNaN(copy.never) && copy.pattern.flags === "gi" &&
        copy.pattern.lastIndex === 0 && copy.map.size === 1 && copy.big === 10n ** 30n && copy.self === copy &&
        Object.keys(copy).join() === Object.keys(value).join() && copy.view.byteOffset === 1 && copy.lone === "\ud800" &&
        typeof copy.boxed === "object" && "nothing" in copy;
    },
  });

// https://w3c.github.io/webcrypto/#cryptokey-interface: serializable, extractable or not.
export const keys = () => {
  const list = {};
  const algorithms = [
    [{ name: "AES-GCM", length: 256 }, ["encrypt"]],
    [{ name: "HMAC", hash: "SHA-256" }, ["sign"]],
    [{ name: "ECDSA", namedCurve: "P-256" }, ["sign", "verify"]],
    [{ name: "ECDSA", namedCurve: "P-521" }, ["sign"]],
    [{ name: "ECDH", namedCurve: "P-384" }, ["deriveBits"]],
    [{ name: "Ed25519" }, ["sign", "verify"]],
    [{ name: "X25519" }, ["deriveBits"]],
  ];
  for (const [algorithm, usages] of algorithms) {
    for (const extractable of [true, false]) {
      list[`${algorithm.name} ${algorithm.namedCurve} ${extractable}`] = async () => {
        const made = await crypto.subtle.generateKey(algorithm, extractable, usages);
        return (made instanceof CryptoKey ? [made] : [made.privateKey, made.publicKey]).every((key) => {
          const copy = structuredClone({ key }).key;
          const all = ({ type, extractable, usages, algorithm }) => JSON.stringify([type, extractable, usages, algorithm]);
          return copy instanceof CryptoKey && copy !== key && all(copy) === all(key);
        });
      };
    }
  }
  for (const name of ["PBKDF2", "HKDF"]) {
    list[name] = async () => {
      const key = await crypto.subtle.importKey("raw", new Uint8Array(3), name, false, ["deriveBits"]);
      return structuredClone(key).algorithm.name === name;
    };
  }
  return checks({
    ...list,
    async "a copy signs as the key does"() {
      const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
      const [algorithm, data] = [{ name: "ECDSA", hash: "SHA-256" }, new Uint8Array(3)];
      const signature = await crypto.subtle.sign(algorithm, structuredClone(made).privateKey, data);
      return crypto.subtle.verify(algorithm, made.publicKey, signature, data);
    },
    // It would return the bytes of keys that are not extractable.
  });
};

// https://html.spec.whatwg.org/multipage/web-messaging.html#message-ports
export const ports = () =>
  checks({
    async "a message with what it hands over"() {
      const { port1, port2 } = new MessageChannel();
      const [bytes, handed] = [new ArrayBuffer(3), new MessageChannel().port1];
      port1.postMessage({ bytes, handed }, [bytes, handed]);
      const { data, ports } = await message(port2);
      return data.bytes.byteLength === 3 && bytes.detached && ports.length === 1 && ports[0] === data.handed &&
        Object.isFrozen(ports) && data.handed !== handed;
    },
    async "ports come in the order of the list"() {
      const { port1, port2 } = new MessageChannel();
      const [a, b] = [new MessageChannel().port1, new MessageChannel().port1];
      port1.postMessage([b, a], { transfer: [a, b] });
      const { data, ports } = await message(port2);
      return ports[0] === data[1] && ports[1] === data[0];
    },
    "through itself": () => {
      const { port1 } = new MessageChannel();
      return refusal(() => port1.postMessage(1, [port1]));
    },
    "the other end is lost with its message"() {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(1, [port2]);
      return refusal(() => structuredClone(port2, { transfer: [port2] }));
    },
    "a closed port sends nothing and takes all the same"() {
      const { port1 } = new MessageChannel();
      port1.close();
      const bytes = new ArrayBuffer(1);
      port1.postMessage(bytes, [bytes]);
      return bytes.detached && refusal(() => structuredClone(port1, { transfer: [port1] }));
    },
    async "messages under way go with a port"() {
      const [a, courier] = [new MessageChannel(), new MessageChannel()];
      a.port2.onmessage = () => a.port1.close();
      a.port1.postMessage("first");
      courier.port1.postMessage(0, [a.port2]);
      const { ports } = await message(courier.port2);
      return (await message(ports[0])).data === "first";
    },
    async "closing in a listener loses no message"() {
      const { port1, port2 } = new MessageChannel();
      for (let i = 0; i < 3; i++) port2.postMessage(i);
      return new Promise((resolve) => {
        let n = 0;
        port1.onmessage = () => {
          port1.close();
          if (++n === 3) resolve(true);
        };
      });
    },
    async "a port hears that the other was closed, after its messages"() {
      const { port1, port2 } = new MessageChannel();
      const heard = [];
      port1.onmessage = () => heard.push("message");
      port2.postMessage(1);
      port2.close();
      await new Promise((resolve) => port1.onclose = resolve);
      return heard.join() === "message";
    },
    async "only onmessage starts a port"() {
      const { port1, port2 } = new MessageChannel();
      let n = 0;
      port1.addEventListener("message", () => n++);
      port2.postMessage(1);
      await soon();
      const before = n;
      const heard = new Promise((resolve) => port1.addEventListener("message", resolve));
      port1.start();
      await heard;
      return before === 0 && n === 1;
    },
    async "each message is a task"() {
      const { port1, port2 } = new MessageChannel();
      const log = [];
      const done = new Promise((resolve) => {
        port1.onmessage = ({ data }) => {
          log.push(data);
          queueMicrotask(() => log.push(`after ${data}`));
          if (data === 2) setTimeout(resolve, 0);
        };
      });
      port2.postMessage(1);
      port2.postMessage(2);
      queueMicrotask(() => log.push("microtask"));
      await done;
      return log.join() === "microtask,1,after 1,2,after 2" || log;
    },
    "members are those of the standard": () =>
      Object.getOwnPropertyNames(MessagePort.prototype).sort().join() ===
        "close,constructor,onclose,onmessage,onmessageerror,postMessage,start" &&
      MessagePort.prototype.postMessage.length === 1 &&
      [() => new MessagePort(), () => MessagePort.prototype.start.call({})].every((act) => thrown(act) instanceof TypeError),
  });

// https://streams.spec.whatwg.org/#transferrable-streams
export const streams = () =>
  checks({
    async "a ReadableStream"() {
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue("a");
          controller.enqueue({ b: 1 });
          controller.close();
        },
      });
      const copy = structuredClone(stream, { transfer: [stream] });
      const { locked } = stream;
      const chunks = [];
      for await (const chunk of copy) chunks.push(chunk);
      return locked && JSON.stringify(chunks) === '["a",{"b":1}]';
    },
    async "its error"() {
      const stream = new ReadableStream({ start: (controller) => controller.error(new RangeError("m")) });
      const error = await structuredClone(stream, { transfer: [stream] }).getReader().read().catch((error) => error);
      return error instanceof RangeError && error.message === "m";
    },
    async "its cancellation"() {
      const reason = new Promise((resolve) => {
        const stream = new ReadableStream({ cancel: resolve });
        structuredClone(stream, { transfer: [stream] }).cancel("why");
      });
      return await reason === "why";
    },
    async "a chunk that cannot be cloned"() {
      const stream = new ReadableStream({ pull: (controller) => controller.enqueue(() => {}) });
      const error = await structuredClone(stream, { transfer: [stream] }).getReader().read().catch((error) => error);
      return error.name === "DataCloneError";
    },
    async "a WritableStream"() {
      const chunks = [];
      const closed = new Promise((resolve) => {
        const stream = new WritableStream({ write: (chunk) => void chunks.push(chunk), close: resolve });
        const writer = structuredClone(stream, { transfer: [stream] }).getWriter();
        writer.write("x").then(() => writer.close());
      });
      await closed;
      return chunks.join() === "x";
    },
    async "a TransformStream"() {
      const stream = new TransformStream({ transform: (chunk, controller) => controller.enqueue(chunk.toUpperCase()) });
      const { readable, writable } = structuredClone(stream, { transfer: [stream] });
      const writer = writable.getWriter();
      writer.write("x").then(() => writer.close());
      const chunks = [];
      for await (const chunk of readable) chunks.push(chunk);
      return chunks.join() === "X";
    },
    "a locked one"() {
      const stream = new ReadableStream();
      stream.getReader();
      return refusal(() => structuredClone(stream, { transfer: [stream] }));
    },
  });

// https://html.spec.whatwg.org/multipage/web-messaging.html#broadcasting-to-other-browsing-contexts
export const broadcasts = () =>
  checks({
    async "a message reaches the others of its name, in their order, each as a copy"() {
      const [a, b, c, other] = ["one", "one", "one", "two"].map((name) => new BroadcastChannel(name));
      const seen = [];
      const done = new Promise((resolve) => {
        for (const channel of [a, b, c, other]) {
          channel.onmessage = ({ data, isTrusted, target }) => {
            seen.push([[a, b, c, other].indexOf(channel), data.value, isTrusted, target === channel]);
            data.value = "changed";
            if (seen.length === 4) resolve();
          };
        }
      });
      a.postMessage({ value: 1 });
      c.postMessage({ value: 2 });
      await done;
      [a, b, c, other].forEach((channel) => channel.close());
      return JSON.stringify(seen) === "[[1,1,true,true],[2,1,true,true],[0,2,true,true],[1,2,true,true]]";
    },
    async "a closed channel neither sends nor receives"() {
      const [a, b, c] = ["x", "x", "x"].map((name) => new BroadcastChannel(name));
      const seen = [];
      b.onmessage = () => seen.push("b");
      const done = new Promise((resolve) => c.onmessage = resolve);
      a.postMessage(1);
      b.close();
      await done;
      a.close();
      const error = await Promise.resolve().then(() => a.postMessage(1)).catch(({ name }) => name);
      return seen.length === 0 && error === "InvalidStateError" && a.name === "x";
    },
    "what cannot be cloned is refused": () => {
      const channel = new BroadcastChannel("x");
      return refusal(() => channel.postMessage(() => {})) === true && refusal(() => structuredClone(channel));
    },
  });
