// Makes Rust functions callable by scripts.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_callback_fail,
  op_isopod_callback_give,
  op_isopod_callback_give_stream,
  op_isopod_native,
} = core.ops;
const {
  ArrayPrototypePush,
  Error,
  EvalError,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectPrototypeIsPrototypeOf,
  PromisePrototypeThen,
  PromiseResolve,
  RangeError,
  ReferenceError,
  ReflectApply,
  SafeArrayIterator,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  SyntaxError,
  TypeError,
  URIError,
} = primordials;
const { ReadableStreamPrototype, readableStreamForRid, resourceForReadableStream } = core.loadExtScript(
  "ext:deno_web/06_streams.js",
);
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");

const { currentEvent, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { putInPlace } = core.loadExtScript("ext:isopod_handlers/handlers.js");

const classes = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

// The first is the error, each further one the cause of the one before it.
function makeError(chain, at = 0) {
  const { 0: name, 1: message } = chain[at];
  let error;
  if (StringPrototypeStartsWith(name, "DOMException")) {
    error = new DOMException(message, StringPrototypeSlice(name, 12));
  } else {
    error = new (classes[name] ?? Error)(message);
    if (classes[name] === undefined) {
      ObjectDefineProperty(error, "name", {
        __proto__: null,
        value: name,
        configurable: true,
        enumerable: false,
        writable: true,
      });
    }
  }
  if (at + 1 < chain.length) {
    ObjectDefineProperty(error, "cause", {
      __proto__: null,
      value: makeError(chain, at + 1),
      configurable: true,
      enumerable: false,
      writable: true,
    });
  }
  return error;
}

/** A function that calls the Rust function with this number. */
function nativeFunction(number) {
  const call = async (...args) => {
    const streams = [];
    for (let i = 0; i < args.length; i++) {
      if (ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, args[i])) {
        ArrayPrototypePush(streams, resourceForReadableStream(args[i]));
        args[i] = null;
      }
    }
    const { 0: value, 1: stream, 2: error } = await op_isopod_native(
      number,
      args.length === 0 ? null : args,
      streams,
      currentEvent(),
    );
    if (error !== undefined) throw makeError(error);
    return stream === undefined ? value : readableStreamForRid(stream);
  };
  return (...args) => unlessEnded(call, undefined, args);
}

/** A binding whose methods are Rust functions, each given as `[name, number]`. */
function make(_name, methods) {
  const binding = { __proto__: null };
  for (const { 0: name, 1: number } of new SafeArrayIterator(methods)) {
    binding[name] = nativeFunction(number);
  }
  return ObjectFreeze(binding);
}

// ---- script functions that Rust calls

function giveBack(call, value) {
  if (!ObjectPrototypeIsPrototypeOf(ReadableStreamPrototype, value)) {
    op_isopod_callback_give(call, value === undefined ? null : value);
    return;
  }
  // The reader gets an error at the position where it broke off.
  PromisePrototypeThen(op_isopod_callback_give_stream(call, resourceForReadableStream(value)), undefined, () => {});
}

/** Calls a function as part of the event that passed it. */
function callBack(event, call, callback, args, others) {
  const failed = (error) => op_isopod_callback_fail(call, error);
  const before = core.getAsyncContext();
  core.setAsyncContext({ __proto__: null, isopodEvent: event });
  try {
    if (others !== undefined) putInPlace(args, others);
    const result = ReflectApply(callback, undefined, args);
    if (core.isPromise(result) || typeof result?.then === "function") {
      const given = PromisePrototypeThen(PromiseResolve(result), (value) => giveBack(call, value));
      PromisePrototypeThen(given, undefined, failed);
    } else {
      giveBack(call, result);
    }
  } catch (error) {
    failed(error);
  } finally {
    core.setAsyncContext(before);
  }
}

return { callBack, make, nativeFunction };
})();
