// What each name of the Minimum Common Web API does: https://min-common-api.proposal.wintertc.org/

/** The module `(module (func (export "two") (result i32) i32.const 2))`. */
const TWO = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 116, 119, 111, 0, 0, 10, 6, 1, 4, 0, 65, 2, 11]);
/** A module that imports the function `a.b`. */
const NEEDS = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0]);
/** A module whose function `f` is `unreachable`. */
const TRAPS = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
const wasm = () => new Response(TWO, { headers: { "content-type": "application/wasm" } });

const thrown = (act) => {
  try {
    act();
  } catch (error) {
    return error;
  }
};
const rejected = (promise) => promise.then(() => undefined, (error) => error);
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const streamOf = (...chunks) =>
  new ReadableStream({
    start(controller) {
      chunks.forEach((chunk) => controller.enqueue(chunk));
      controller.close();
    },
  });
const collected = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const text = (stream) => new Response(stream).text();
/** The event that a handler of the global object gets. */
const heardBy = async (handler, act) => {
  const heard = new Promise((resolve) => {
    globalThis[handler] = (...args) => {
      args[0]?.preventDefault?.();
      resolve(args);
      // As `onerror` says that an error was dealt with.
      return true;
    };
  });
  act();
  const args = await heard;
  globalThis[handler] = null;
  return args;
};
const bytes = () => new ReadableStream({
  type: "bytes",
  pull(controller) {
    const { byobRequest } = controller;
    if (byobRequest === null) {
      controller.enqueue(new Uint8Array([9]));
      return;
    }
    byobRequest.view[0] = 7;
    byobRequest.respond(1);
    if (!(byobRequest instanceof ReadableStreamBYOBRequest)) controller.error(new Error("another class"));
  },
});

export const behaviors = {
  AbortController: () => {
    const controller = new AbortController();
    let aborted = 0;
    controller.signal.onabort = () => aborted++;
    controller.abort("why");
    return aborted === 1 && controller.signal.aborted && controller.signal.reason === "why";
  },
  AbortSignal: async () => {
    const any = AbortSignal.any([AbortSignal.timeout(1), new AbortController().signal]);
    await new Promise((resolve) => any.addEventListener("abort", resolve));
    return any.reason.name === "TimeoutError" && thrown(() => AbortSignal.abort().throwIfAborted()).name === "AbortError";
  },
  Event: () => {
    const event = new Event("a", { cancelable: true });
    event.preventDefault();
    return event.type === "a" && event.defaultPrevented && !event.isTrusted;
  },
  EventTarget: () => {
    const target = new EventTarget();
    let count = 0;
    target.addEventListener("a", () => count++, { once: true });
    return target.dispatchEvent(new Event("a")) && target.dispatchEvent(new Event("a")) && count === 1;
  },
  CustomEvent: () => new CustomEvent("a", { detail: { b: 1 } }).detail.b === 1,
  ErrorEvent: () => new ErrorEvent("error", { message: "m", lineno: 3, error: 5 }).lineno === 3,
  MessageChannel: async () => {
    const { port1, port2 } = new MessageChannel();
    const received = new Promise((resolve) => port2.onmessage = resolve);
    port1.postMessage({ a: new Date(0) });
    const { data } = await received;
    port1.close();
    return data.a instanceof Date;
  },
  MessageEvent: () => new MessageEvent("message", { data: 1, origin: "o" }).data === 1,
  MessagePort: async () => {
    const { port1, port2 } = new MessageChannel();
    const { port1: given, port2: other } = new MessageChannel();
    const received = new Promise((resolve) => port2.onmessage = resolve);
    port1.postMessage(null, [given]);
    const { ports: [taken] } = await received;
    const answered = new Promise((resolve) => other.onmessage = resolve);
    taken.postMessage("through");
    const { data } = await answered;
    [port1, other].forEach((port) => port.close());
    return taken instanceof MessagePort && data === "through";
  },
  PromiseRejectionEvent: () => {
    const promise = Promise.resolve();
    return new PromiseRejectionEvent("unhandledrejection", { promise, reason: 5 }).reason === 5;
  },
  DOMException: () => new DOMException("m", "DataCloneError").code === DOMException.DATA_CLONE_ERR,
  Headers: () => {
    const headers = new Headers({ A: "1" });
    headers.append("a", "2");
    headers.append("Set-Cookie", "b=c");
    headers.append("set-cookie", "d=e");
    return headers.get("a") === "1, 2" && headers.getSetCookie().length === 2 && [...headers.keys()][0] === "a";
  },
  Request: async () => {
    const request = new Request("http://a.example/b", { method: "POST", body: "text", headers: { c: "d" } });
    return request.url === "http://a.example/b" && request.method === "POST" && await request.clone().text() === "text" && request.headers.get("c") === "d";
  },
  Response: async () => {
    const response = Response.json({ a: 1 }, { status: 201 });
    return response.status === 201 && response.ok && response.headers.get("content-type") === "application/json" && (await response.json()).a === 1 && response.bodyUsed && Response.redirect("http://a.example", 301).status === 301;
  },
  FormData: async () => {
    const form = new FormData();
    form.append("a", "1");
    form.append("f", new File(["content"], "name.txt"));
    const read = await new Response(form).formData();
    return read.get("a") === "1" && read.get("f").name === "name.txt" && await read.get("f").text() === "content";
  },
  Blob: async () => {
    const blob = new Blob(["ab", new Uint8Array([99])], { type: "text/plain" });
    return blob.size === 3 && await blob.slice(1).text() === "bc" && blob.type === "text/plain" && (await blob.bytes()).length === 3;
  },
  File: () => new File(["a"], "n", { lastModified: 5 }).lastModified === 5 && new File([], "n") instanceof Blob,
  CompressionStream: async () => {
    const packed = new Blob(["a".repeat(1000)]).stream().pipeThrough(new CompressionStream("gzip"));
    const size = (await new Response(packed).bytes()).length;
    return size > 10 && size < 100;
  },
  DecompressionStream: async () => {
    const formats = ["gzip", "deflate", "deflate-raw"];
    const through = (format) => new Blob(["text"]).stream().pipeThrough(new CompressionStream(format)).pipeThrough(new DecompressionStream(format));
    return (await Promise.all(formats.map((format) => text(through(format))))).join() === "text,text,text";
  },
  ByteLengthQueuingStrategy: () => new ByteLengthQueuingStrategy({ highWaterMark: 5 }).size(new Uint8Array(3)) === 3,
  CountQueuingStrategy: () => new CountQueuingStrategy({ highWaterMark: 5 }).size("chunk") === 1,
  ReadableByteStreamController: async () => {
    let is;
    const stream = new ReadableStream({ type: "bytes", start: (controller) => is = controller instanceof ReadableByteStreamController && controller.desiredSize === 0 });
    return is && await stream.cancel() === undefined;
  },
  ReadableStream: async () => {
    const [one, other] = ReadableStream.from(["a", "b"]).tee();
    return (await collected(one)).join() === "a,b" && (await collected(other)).join() === "a,b";
  },
  ReadableStreamBYOBReader: async () => {
    const reader = bytes().getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(4));
    return reader instanceof ReadableStreamBYOBReader && value.length === 1 && value[0] === 7 && value.buffer.byteLength === 4;
  },
  ReadableStreamBYOBRequest: async () => {
    const read = await rejected(bytes().getReader({ mode: "byob" }).read(new Uint8Array(1)));
    return read === undefined && thrown(() => new ReadableStreamBYOBRequest()) instanceof TypeError;
  },
  ReadableStreamDefaultController: async () => {
    let is;
    const stream = new ReadableStream({ start: (controller) => (is = controller instanceof ReadableStreamDefaultController && controller.desiredSize === 1, controller.error("why")) });
    return is && await rejected(stream.getReader().read()) === "why";
  },
  ReadableStreamDefaultReader: async () => {
    const reader = new ReadableStreamDefaultReader(streamOf("a"));
    const first = await reader.read();
    const end = await reader.read();
    reader.releaseLock();
    return first.value === "a" && end.done && await reader.closed.catch((error) => error instanceof TypeError);
  },
  TransformStream: async () => {
    const upper = new TransformStream({ transform: (chunk, controller) => controller.enqueue(chunk.toUpperCase()), flush: (controller) => controller.enqueue("!") });
    return (await collected(streamOf("a", "b").pipeThrough(upper))).join("") === "AB!";
  },
  TransformStreamDefaultController: async () => {
    const ends = new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(controller instanceof TransformStreamDefaultController);
        controller.terminate();
      },
    });
    return (await collected(streamOf(1).pipeThrough(ends))).join() === "true";
  },
  WritableStream: async () => {
    const written = [];
    await streamOf("a", "b").pipeTo(new WritableStream({ write: (chunk) => void written.push(chunk), close: () => void written.push("end") }));
    return written.join() === "a,b,end";
  },
  WritableStreamDefaultController: async () => {
    let controller;
    const stream = new WritableStream({ start: (given) => void (controller = given) });
    controller.error("why");
    return controller instanceof WritableStreamDefaultController && await rejected(stream.getWriter().closed) === "why";
  },
  WritableStreamDefaultWriter: async () => {
    let release;
    const writer = new WritableStreamDefaultWriter(new WritableStream({ write: () => new Promise((resolve) => release = resolve) }));
    const written = writer.write("a");
    const isFull = writer.desiredSize === 0;
    await later(0);
    release();
    await written;
    return isFull && writer.desiredSize === 1 && await writer.close() === undefined;
  },
  TextDecoder: () => new TextDecoder("shift_jis").decode(new Uint8Array([130, 160])) === "あ" && thrown(() => new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([255]))) instanceof TypeError,
  TextDecoderStream: async () => (await collected(streamOf(new Uint8Array([226, 130]), new Uint8Array([172])).pipeThrough(new TextDecoderStream()))).join("") === "€",
  TextEncoder: () => new TextEncoder().encode("€").join() === "226,130,172" && new TextEncoder().encodeInto("a€", new Uint8Array(3)).read === 1,
  TextEncoderStream: async () => (await collected(streamOf("\ud83d", "\ude00").pipeThrough(new TextEncoderStream())))[0].join() === "240,159,152,128",
  URL: () => {
    const url = new URL("../b?c=d#e", "http://u:p@a.example:80/x/y");
    url.port = "81";
    return url.href === "http://u:p@a.example:81/b?c=d#e" && URL.canParse("http://a") && URL.parse("//") === null;
  },
  URLSearchParams: () => {
    const params = new URLSearchParams("b=2&a=1&b=3 4");
    params.sort();
    return params.getAll("b").join() === "2,3 4" && String(params) === "a=1&b=2&b=3+4" && params.has("b", "2");
  },
  URLPattern: () => new URLPattern({ pathname: "/books/:id(\\d+)" }).exec("http://a.example/books/12").pathname.groups.id === "12",
  Crypto: () => crypto instanceof Crypto && crypto.getRandomValues(new Uint8Array(32)).some((byte) => byte !== 0) && /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(crypto.randomUUID()),
  CryptoKey: async () => {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt"]);
    return key instanceof CryptoKey && key.type === "secret" && !key.extractable && key.algorithm.length === 128 && (await rejected(crypto.subtle.exportKey("raw", key))).name === "InvalidAccessError";
  },
  SubtleCrypto: async () => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("abc")));
    const { privateKey, publicKey } = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const signature = await crypto.subtle.sign("Ed25519", privateKey, digest);
    return digest[0] === 186 && await crypto.subtle.verify("Ed25519", publicKey, signature, digest);
  },
  Performance: () => performance instanceof Performance && performance.mark("m").name === "m" && performance.measure("d", "m").duration >= 0 && performance.getEntriesByName("d").length === 1,
  "WebAssembly.Global": () => {
    const global = new WebAssembly.Global({ value: "i32", mutable: true }, 1);
    global.value = 2;
    return global.valueOf() === 2;
  },
  "WebAssembly.Instance": () => new WebAssembly.Instance(new WebAssembly.Module(TWO)).exports.two() === 2,
  "WebAssembly.Memory": () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    return memory.grow(1) === 1 && memory.buffer.byteLength === 131_072 && thrown(() => memory.grow(1)) instanceof RangeError;
  },
  "WebAssembly.Module": () => WebAssembly.Module.exports(new WebAssembly.Module(TWO))[0].name === "two" && WebAssembly.Module.imports(new WebAssembly.Module(NEEDS))[0].module === "a",
  "WebAssembly.Table": () => {
    const table = new WebAssembly.Table({ initial: 1, element: "anyfunc" });
    const { two } = new WebAssembly.Instance(new WebAssembly.Module(TWO)).exports;
    table.set(0, two);
    return table.get(0)() === 2 && table.grow(2) === 1 && table.length === 3;
  },
  "WebAssembly.Tag": () => {
    const tag = new WebAssembly.Tag({ parameters: ["i32"] });
    return new WebAssembly.Exception(tag, [1]).is(tag) && !new WebAssembly.Exception(tag, [1]).is(new WebAssembly.Tag({ parameters: ["i32"] }));
  },
  "WebAssembly.Exception": () => {
    const tag = new WebAssembly.Tag({ parameters: ["i32", "f64"] });
    return new WebAssembly.Exception(tag, [1, 2.5]).getArg(tag, 1) === 2.5;
  },
  "WebAssembly.CompileError": () => thrown(() => new WebAssembly.Module(new Uint8Array(4))) instanceof WebAssembly.CompileError,
  "WebAssembly.LinkError": () => thrown(() => new WebAssembly.Instance(new WebAssembly.Module(NEEDS), { a: { b: 5 } })) instanceof WebAssembly.LinkError,
  "WebAssembly.RuntimeError": () => thrown(new WebAssembly.Instance(new WebAssembly.Module(TRAPS)).exports.f) instanceof WebAssembly.RuntimeError,
  globalThis: () => globalThis instanceof EventTarget && globalThis.globalThis === globalThis,
  atob: () => atob("/w==") === "\xff" && thrown(() => atob("a")).name === "InvalidCharacterError",
  btoa: () => btoa("\xff") === "/w==" && thrown(() => btoa("€")).name === "InvalidCharacterError",
  clearTimeout: async () => {
    let fired = false;
    clearTimeout(setTimeout(() => fired = true, 0));
    await later(2);
    return !fired;
  },
  clearInterval: async () => {
    let fired = 0;
    const timer = setInterval(() => ++fired && clearInterval(timer), 0);
    await later(5);
    return fired === 1;
  },
  "navigator.userAgent": () => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+/.test(navigator.userAgent),
  onerror: async () => {
    const error = new Error("reported");
    const [message, , , , given] = await heardBy("onerror", () => reportError(error));
    return `${message}`.includes("reported") && given === error;
  },
  onunhandledrejection: async () => {
    const [event] = await heardBy("onunhandledrejection", () => void Promise.reject("unhandled"));
    return event instanceof PromiseRejectionEvent && event.reason === "unhandled";
  },
  onrejectionhandled: async () => {
    let promise;
    await heardBy("onunhandledrejection", () => promise = Promise.reject("late"));
    const [event] = await heardBy("onrejectionhandled", () => promise.catch(() => {}));
    return event.promise === promise && event.reason === "late";
  },
  queueMicrotask: async () => {
    const order = [];
    queueMicrotask(() => order.push("microtask"));
    order.push("code");
    await null;
    return order.join() === "code,microtask";
  },
  reportError: async () => {
    const heard = new Promise((resolve) => addEventListener("error", (event) => (event.preventDefault(), resolve(event)), { once: true }));
    reportError("a string");
    const event = await heard;
    return event instanceof ErrorEvent && event.error === "a string";
  },
  self: () => self === globalThis,
  setTimeout: async () => await new Promise((resolve) => setTimeout(resolve, 1, "argument")) === "argument",
  setInterval: async () => {
    let count = 0;
    await new Promise((resolve) => {
      const timer = setInterval((by) => (count += by) >= 4 && (clearInterval(timer), resolve()), 1, 2);
    });
    return count === 4;
  },
  structuredClone: () => {
    const cyclic = { map: new Map([["a", new Uint8Array([1])]]) };
    cyclic.self = cyclic;
    const clone = structuredClone(cyclic);
    const buffer = new ArrayBuffer(2);
    const moved = structuredClone(buffer, { transfer: [buffer] });
    return clone !== cyclic && clone.self === clone && clone.map.get("a")[0] === 1 && moved.byteLength === 2 && buffer.detached && thrown(() => structuredClone(() => {})).name === "DataCloneError";
  },
  fetch: async () => await (await fetch("data:text/plain,fetched")).text() === "fetched" && await rejected(fetch("nonsense:")) instanceof TypeError,
  console: () => ["assert", "count", "debug", "dir", "error", "group", "info", "log", "table", "time", "trace", "warn"].every((name) => typeof console[name] === "function"),
  crypto: () => Object.prototype.toString.call(crypto) === "[object Crypto]" && crypto.subtle instanceof SubtleCrypto,
  performance: async () => {
    const before = performance.now();
    await later(3);
    return performance.now() > before && Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1000;
  },
  "WebAssembly.compile": async () => await WebAssembly.compile(TWO) instanceof WebAssembly.Module && await rejected(WebAssembly.compile(new Uint8Array(1))) instanceof WebAssembly.CompileError,
  "WebAssembly.compileStreaming": async () => await WebAssembly.compileStreaming(wasm()) instanceof WebAssembly.Module && await rejected(WebAssembly.compileStreaming(new Response(TWO))) instanceof TypeError,
  "WebAssembly.instantiate": async () => (await WebAssembly.instantiate(TWO)).instance.exports.two() === 2 && await WebAssembly.instantiate(new WebAssembly.Module(TWO)) instanceof WebAssembly.Instance,
  "WebAssembly.instantiateStreaming": async () => (await WebAssembly.instantiateStreaming(Promise.resolve(wasm()))).instance.exports.two() === 2,
  "WebAssembly.JSTag": () => WebAssembly.JSTag instanceof WebAssembly.Tag && thrown(() => new WebAssembly.Exception(WebAssembly.JSTag, [1])) instanceof TypeError,
  "WebAssembly.validate": () => WebAssembly.validate(TWO) && !WebAssembly.validate(new Uint8Array(8)),
};
