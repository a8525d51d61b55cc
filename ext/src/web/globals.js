// Defines the properties of globalThis for scripts, and starts workers. Evaluated when the snapshot is created;
// expensive parts are loaded when a script first uses them.

import { core, internals, primordials } from "ext:core/mod.js";

const { op_isopod_log, op_isopod_report, op_set_wasm_streaming_callback } = core.ops;
const {
  JSONParse,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectKeys,
  ObjectSetPrototypeOf,
  SafeArrayIterator,
  Symbol,
  SymbolToStringTag,
  TypeError,
} = primordials;

// First, because scripts loaded later get the ops with its checks.
const guards = core.loadExtScript("ext:isopod_quotas/guards.js");
const { limitTypes } = core.loadExtScript("ext:isopod_quotas/webassembly.js");
core.loadExtScript("ext:isopod_web/urls.js");
const context = core.loadExtScript("ext:isopod_context/context.js");
const event = core.loadExtScript("ext:deno_web/02_event.js");
const timers = core.loadExtScript("ext:deno_web/02_timers.js");
const abortSignal = core.loadExtScript("ext:deno_web/03_abort_signal.js");
const base64 = core.loadExtScript("ext:deno_web/05_base64.js");
const encoding = core.loadExtScript("ext:deno_web/08_text_encoding.js");
const console = core.loadExtScript("ext:deno_web/01_console.js");
const log = core.loadExtScript("ext:isopod_web/log.js");
const { setTimeOrigin } = core.loadExtScript("ext:deno_web/15_performance.js");
const performance = core.loadExtScript("ext:isopod_web/observers.js");
core.loadExtScript("ext:isopod_web/events.js");
const crypto = core.loadExtScript("ext:deno_crypto/00_crypto.js");
const cryptography = core.loadExtScript("ext:isopod_quotas/cryptography.js");
const url = core.loadExtScript("ext:deno_web/00_url.js");
const streams = core.loadExtScript("ext:deno_web/06_streams.js");
core.loadExtScript("ext:isopod_web/collect.js");
const file = core.loadExtScript("ext:deno_web/09_file.js");
const { FileReader } = core.loadExtScript("ext:deno_web/10_filereader.js");
const messagePort = core.loadExtScript("ext:deno_web/13_message_port.js");
const compression = core.loadExtScript("ext:isopod_web/compression.js");
const { DOMException, QuotaExceededError } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const headers = core.loadExtScript("ext:deno_fetch/20_headers.js");
// Before the scripts that use bodies.
core.loadExtScript("ext:isopod_fetch/bodies.js");
const formData = core.loadExtScript("ext:deno_fetch/21_formdata.js");
const { Request, Response } = core.loadExtScript("ext:isopod_fetch/responses.js");
// deno_fetch reports to deno_telemetry if that is enabled. Here it never is: these replace it, and it is not loaded.
internals.__telemetry = { TRACING_ENABLED: false, exitSpan() {} };
internals.__telemetryUtil = {};
const denoFetch = core.loadExtScript("ext:deno_fetch/26_fetch.js");
const { fetch, mainFetch } = core.loadExtScript("ext:isopod_fetch/fetch.js");
// Used by EventSource.
denoFetch.mainFetch = mainFetch;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const handlers = core.loadExtScript("ext:isopod_handlers/handlers.js");
const clone = core.loadExtScript("ext:isopod_web/clone.js");
const interfaces = core.loadExtScript("ext:isopod_web/interfaces.js");
const { Scheduler, scheduler } = core.loadExtScript("ext:isopod_web/scheduler.js");
// The snapshot does not keep V8's fast calls: when a worker loads its first script, deno_core replaces functions of the classes that it
// finds here, and would bring back what `interfaces` has removed from these.
for (const name of new SafeArrayIterator(["Crypto", "CryptoKey", "SubtleCrypto"])) delete core.ops[name];

const lazy = (specifier, prepared = (loaded) => loaded) => {
  let loaded;
  return () => {
    if (loaded !== undefined) return loaded;
    return loaded = prepared(core.loadExtScript(specifier));
  };
};
/** A script with an interface, loaded on first use. */
const lazyInterface = (name, specifier) =>
  lazy(specifier, (loaded) => {
    interfaces.addOther(loaded[name]);
    return loaded;
  });
const lazyUrlPattern = lazyInterface("URLPattern", "ext:deno_web/01_urlpattern.js");
const lazyBroadcast = lazyInterface("BroadcastChannel", "ext:isopod_web/broadcast.js");
const lazyEventSource = lazyInterface("EventSource", "ext:deno_fetch/27_eventsource.js");
const lazyPairs = lazyInterface("WebSocketRequestResponsePair", "ext:isopod_objects/sockets.js");
const lazyWebSocket = lazy("ext:isopod_web_socket/websocket.js", (loaded) => {
  interfaces.addOther(loaded.WebSocket);
  interfaces.addOther(loaded.WebSocketPair);
  return loaded;
});
const lazyHtml = lazyInterface("HTMLRewriter", "ext:isopod_html/html_rewriter.js");
const lazyCache = lazy("ext:isopod_cache/cache.js", (loaded) => {
  interfaces.addOther(loaded.Cache);
  interfaces.addOther(loaded.CacheStorage);
  return loaded;
});
const lazyFixedLength = lazy("ext:isopod_fetch/fixed_length.js");
const lazySoftLimit = lazy("ext:isopod_handlers/soft_limit.js");
const lazyNative = lazy("ext:isopod_native/native.js");

// ---- errors that ops throw by name

const domErrors = {
  __proto__: null,
  AbortError: 0,
  DataError: 0,
  IndexSizeError: 0,
  InvalidAccessError: 0,
  InvalidCharacterError: 0,
  InvalidStateError: 0,
  NetworkError: 0,
  NotSupportedError: 0,
  OperationError: 0,
  SyntaxError: 0,
  TypeMismatchError: 0,
};
// deno-lint-ignore guard-for-in
for (const name in domErrors) {
  core.registerErrorBuilder(`DOMException${name}`, (message) => new DOMException(message, name));
}
core.registerErrorBuilder(
  "IsopodEventEnded",
  (message) => context.sayingEnded(new DOMException(message, "AbortError")),
);
core.registerErrorBuilder("DOMExceptionQuotaExceededError", (message) => new QuotaExceededError(message));

// ---- globalThis is an EventTarget

const illegalConstructorKey = Symbol("illegal constructor");

class WorkerGlobalScope extends event.EventTarget {
  constructor(key = undefined) {
    if (key !== illegalConstructorKey) throw new TypeError("Illegal constructor");
    super();
  }
  get [SymbolToStringTag]() {
    return "WorkerGlobalScope";
  }
}

class Navigator {
  constructor(key = undefined) {
    if (key !== illegalConstructorKey) throw new TypeError("Illegal constructor");
  }
  get userAgent() {
    return internals.isopodUserAgent;
  }
  get language() {
    return "en";
  }
  get languages() {
    return languages;
  }
  /** A worker has one thread. */
  get hardwareConcurrency() {
    return 1;
  }
}
const languages = ObjectFreeze(["en"]);
const navigator = new Navigator(illegalConstructorKey);

core.loadExtScript("ext:isopod_web/keys.js");
core.loadExtScript("ext:isopod_web/aes_gcm.js");
core.loadExtScript("ext:isopod_web/ed448.js");
core.loadExtScript("ext:isopod_web/digest.js");
core.loadExtScript("ext:isopod_web/read_at_least.js");
guards.limitAbortSignal(abortSignal.AbortSignal);
cryptography.limitCryptography(crypto.SubtleCrypto.prototype);

const own = core.propNonEnumerable;
const writable = core.propWritable;
const later = core.propNonEnumerableLazyLoaded;

const properties = {
  AbortController: own(abortSignal.AbortController),
  AbortSignal: own(abortSignal.AbortSignal),
  Blob: own(file.Blob),
  BroadcastChannel: later((m) => m.BroadcastChannel, lazyBroadcast),
  ByteLengthQueuingStrategy: own(streams.ByteLengthQueuingStrategy),
  Cache: later((m) => m.Cache, lazyCache),
  CacheStorage: later((m) => m.CacheStorage, lazyCache),
  CloseEvent: own(event.CloseEvent),
  CompressionStream: own(compression.CompressionStream),
  CountQueuingStrategy: own(streams.CountQueuingStrategy),
  Crypto: own(crypto.Crypto),
  CryptoKey: own(crypto.CryptoKey),
  CustomEvent: own(event.CustomEvent),
  DecompressionStream: own(compression.DecompressionStream),
  DOMException: own(DOMException),
  ErrorEvent: own(event.ErrorEvent),
  Event: own(event.Event),
  EventSource: later((m) => m.EventSource, lazyEventSource),
  EventTarget: own(event.EventTarget),
  ExecutionContext: own(handlers.ExecutionContext),
  FetchEvent: own(handlers.FetchEvent),
  File: own(file.File),
  FileReader: own(FileReader),
  FixedLengthStream: later((m) => m.FixedLengthStream, lazyFixedLength),
  FormData: own(formData.FormData),
  Headers: own(headers.Headers),
  HTMLRewriter: later((m) => m.HTMLRewriter, lazyHtml),
  IdentityTransformStream: later((m) => m.IdentityTransformStream, lazyFixedLength),
  MessageChannel: own(messagePort.MessageChannel),
  MessageEvent: own(event.MessageEvent),
  MessagePort: own(messagePort.MessagePort),
  Navigator: own(Navigator),
  Performance: own(performance.Performance),
  PerformanceEntry: own(performance.PerformanceEntry),
  PerformanceMark: own(performance.PerformanceMark),
  PerformanceMeasure: own(performance.PerformanceMeasure),
  PerformanceObserver: own(performance.PerformanceObserver),
  PerformanceObserverEntryList: own(performance.PerformanceObserverEntryList),
  ProgressEvent: own(event.ProgressEvent),
  PromiseRejectionEvent: own(event.PromiseRejectionEvent),
  QuotaExceededError: own(QuotaExceededError),
  ReadableByteStreamController: own(streams.ReadableByteStreamController),
  ReadableStream: own(streams.ReadableStream),
  ReadableStreamBYOBReader: own(streams.ReadableStreamBYOBReader),
  ReadableStreamBYOBRequest: own(streams.ReadableStreamBYOBRequest),
  ReadableStreamDefaultController: own(streams.ReadableStreamDefaultController),
  ReadableStreamDefaultReader: own(streams.ReadableStreamDefaultReader),
  Request: own(Request),
  Response: own(Response),
  Scheduler: own(Scheduler),
  SubtleCrypto: own(crypto.SubtleCrypto),
  TextDecoder: own(encoding.TextDecoder),
  TextDecoderStream: own(encoding.TextDecoderStream),
  TextEncoder: own(encoding.TextEncoder),
  TextEncoderStream: own(encoding.TextEncoderStream),
  TransformStream: own(streams.TransformStream),
  TransformStreamDefaultController: own(streams.TransformStreamDefaultController),
  URL: own(url.URL),
  URLPattern: later((m) => m.URLPattern, lazyUrlPattern),
  URLSearchParams: own(url.URLSearchParams),
  WebSocket: later((m) => m.WebSocket, lazyWebSocket),
  WebSocketPair: later((m) => m.WebSocketPair, lazyWebSocket),
  WebSocketRequestResponsePair: later((m) => m.WebSocketRequestResponsePair, lazyPairs),
  WorkerGlobalScope: own(WorkerGlobalScope),
  WritableStream: own(streams.WritableStream),
  WritableStreamDefaultController: own(streams.WritableStreamDefaultController),
  WritableStreamDefaultWriter: own(streams.WritableStreamDefaultWriter),
  atob: writable(base64.atob),
  btoa: writable(base64.btoa),
  caches: core.propGetterOnly(() => lazyCache().caches),
  clearInterval: writable(timers.clearInterval),
  clearTimeout: writable(timers.clearTimeout),
  console: own(
    log.limitConsole(
      new console.Console((message, level) => op_isopod_log(message, level, context.currentEvent())),
    ),
  ),
  crypto: core.propGetterOnly(() => interfaces.getCrypto()),
  fetch: writable(guards.limitFetch(fetch)),
  navigator: core.propGetterOnly(() => navigator),
  performance: writable(performance.performance),
  reportError: writable(event.reportError),
  scheduler: writable(scheduler),
  self: writable(globalThis),
  setInterval: writable(guards.limitTimer(timers.setInterval)),
  setTimeout: writable(guards.limitTimer(timers.setTimeout)),
  structuredClone: writable(clone.structuredClone),
  [webidl.brand]: own(webidl.brand),
};

interfaces.addOthers(properties);
core.defineGlobalProperties(globalThis, properties);
ObjectSetPrototypeOf(globalThis, WorkerGlobalScope.prototype);
event.setEventTargetData(globalThis);
event.saveGlobalThisReference(globalThis);
event.defineEventHandler(globalThis, "error", undefined, true);
event.defineEventHandler(globalThis, "unhandledrejection");
event.defineEventHandler(globalThis, "rejectionhandled");
delete Intl.v8BreakIterator;

// ---- uncaught errors and rejections, each reported once

core.setReportExceptionCallback(event.reportException);
core.setUnhandledPromiseRejectionHandler((promise, reason) => {
  const rejection = new event.PromiseRejectionEvent("unhandledrejection", { cancelable: true, promise, reason });
  globalThis.dispatchEvent(rejection);
  // Promises that were ended with their event are not reported.
  if (!rejection.defaultPrevented && !context.saysEnded(reason)) op_isopod_report(reason, true);
  return true;
});
core.setHandledPromiseRejectionHandler((promise, reason) => {
  globalThis.dispatchEvent(new event.PromiseRejectionEvent("rejectionhandled", { promise, reason }));
});

// ---- starting a worker

const fillEnv = (function fillEnv(env, bindings) {
  for (const { 0: name, 1: { text, isJson, script } } of new SafeArrayIterator(bindings)) {
    let value = isJson ? JSONParse(text) : text;
    if (script !== null) value = core.loadExtScript(script).make(name, value);
    ObjectDefineProperty(env, name, {
      __proto__: null,
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
});

// Standard globals such as `URL` are not replaced.
const exposeBindings = (function exposeBindings() {
  for (const name of new SafeArrayIterator(ObjectKeys(handlers.env))) {
    if (!(name in globalThis)) {
      ObjectDefineProperty(globalThis, name, {
        __proto__: null,
        value: handlers.env[name],
        enumerable: true,
        writable: true,
        configurable: true,
      });
    }
  }
});

// In parentheses, so that the snapshot contains its bytecode.
const boot = (function boot(options) {
  setTimeOrigin();
  // Not with core's function that calls this: it would be compiled for each worker.
  op_set_wasm_streaming_callback(denoFetch.handleWasmStreaming);
  internals.isopodUserAgent = options.userAgent;
  console.setNoColorFns(() => !options.colors, () => !options.errorColors);
  // Ops added after the snapshot are not among those that its scripts captured.
  if (options.addsOps) context.addOps(core.ops);
  fillEnv(handlers.env, options.bindings);
  internals.isopodProcess = { args: options.args, env: { ...options.env }, main: options.main, isCommand: options.command };
  if (options.node) core.loadExtScript("ext:isopod_node/start.js").start(globalThis, options.node, options.bindings);
  if (options.command) core.loadExtScript("ext:isopod_process/command.js").start(globalThis);
  // User code can access the APIs above, but not the ops below them.
  guards.limitMemory(globalThis);
  limitTypes(globalThis);
  delete globalThis.Deno;
  delete globalThis.__bootstrap;
  delete globalThis.__isopod;
  for (const name of new SafeArrayIterator(options.removedGlobals)) {
    delete globalThis[name];
  }
});

// Called once now, so that they need not be compiled when a worker starts.
setTimeOrigin();
console.setNoColorFns(() => true, () => true);
handlers.start(globalThis);
new Request("https://localhost/");
new Response("text");

// The host's entry points, until boot() deletes them.
globalThis.__isopod = {
  boot,
  exposeBindings,
  setExports: handlers.setExports,
  beginCall: handlers.beginCall,
  beginFetch: handlers.beginFetch,
  beginHandler: handlers.beginHandler,
  callBack: (...args) => lazyNative().callBack(...new SafeArrayIterator(args)),
  cancel: handlers.cancel,
  clearTimers: (numbers) => {
    // Called without `timers`, because they require the global object as receiver.
    const { clearTimeout } = timers;
    for (const number of new SafeArrayIterator(numbers)) clearTimeout(number);
  },
  runTicks: core.runNextTicks,
  softLimit: (...args) => lazySoftLimit().softLimit(...new SafeArrayIterator(args)),
};
