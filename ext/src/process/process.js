// The module `isopod:process`: access to the process, for scripts run from the command line.

(function () {
const { core, internals, primordials } = __bootstrap;
const {
  op_isopod_process_close_input,
  op_isopod_process_exit,
  op_isopod_process_exit_code,
  op_isopod_process_exit_code_now,
  op_isopod_process_open_input,
  op_isopod_process_read,
  op_isopod_process_reads,
  op_isopod_process_write,
} = core.ops;
const {
  ArrayBufferIsView,
  Number,
  NumberIsInteger,
  ObjectDefineProperty,
  ReflectApply,
  StringPrototypeTrim,
  TypeError,
  TypedArrayPrototypeGetByteLength,
  Uint8Array,
} = primordials;
const { ReadableStream, WritableStream } = core.loadExtScript("ext:deno_web/06_streams.js");
const { unload } = core.loadExtScript("ext:isopod_process/command.js");

// `args`: the arguments after the script's name. `env`: the environment variables permitted on the command line. Both
// are empty in a served worker.
const { args, env } = internals.isopodProcess;

// ---- standard input

let input;
/** The pending read, and whether it keeps the script alive. */
let reading;
let isHeld = true;

function setHold(holds) {
  isHeld = holds;
  if (reading === undefined) return;
  if (holds) core.refOpPromise(reading);
  else core.unrefOpPromise(reading);
}

function hidden(object, name, value) {
  ObjectDefineProperty(object, name, { __proto__: null, value, configurable: true, enumerable: false, writable: true });
}

/** Standard input, as a stream of bytes. */
function stdin() {
  if (input !== undefined) return input;
  op_isopod_process_open_input(setHold);
  input = new ReadableStream({
    __proto__: null,
    type: "bytes",
    async pull(controller) {
      reading = op_isopod_process_read();
      if (!isHeld) core.unrefOpPromise(reading);
      let chunk;
      try {
        chunk = await reading;
      } finally {
        reading = undefined;
      }
      if (TypedArrayPrototypeGetByteLength(chunk) > 0) {
        controller.enqueue(chunk);
        return;
      }
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel() {
      op_isopod_process_close_input();
    },
  }, { __proto__: null, highWaterMark: 0 });
  const { getReader } = input;
  // The result of `read` shows whether the script is waiting for it: see `hold` in input.rs.
  hidden(input, "getReader", {
    getReader() {
      const reader = ReflectApply(getReader, this, arguments);
      const { read } = reader;
      hidden(reader, "read", {
        read() {
          const promise = ReflectApply(read, this, arguments);
          op_isopod_process_reads(promise);
          return promise;
        },
      }.read);
      return reader;
    },
  }.getReader);
  return input;
}

// ---- standard output, standard error

function bytesOf(chunk) {
  if (typeof chunk === "string") return core.encode(chunk);
  if (ArrayBufferIsView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (core.isAnyArrayBuffer(chunk)) return new Uint8Array(chunk);
  throw new TypeError("data must be a string, an ArrayBuffer or a view of one");
}

function output(isError) {
  return new WritableStream({
    __proto__: null,
    write(chunk) {
      op_isopod_process_write(isError, bytesOf(chunk));
    },
  });
}

/** Standard output and standard error, as writable streams of bytes and text. */
const stdout = output(false);
const stderr = output(true);

// ---- the end

/** An integer, or one as a string: Node's rule for `process.exit`. The system keeps the low eight bits. */
function checkedCode(code) {
  const number = typeof code === "string" && StringPrototypeTrim(code) !== "" ? Number(code) : code;
  if (typeof number !== "number" || !NumberIsInteger(number)) {
    throw new TypeError("an exit code must be a whole number");
  }
  return number & 0xff;
}

/** The exit code for when nothing is pending. */
function setExitCode(code) {
  op_isopod_process_exit_code(checkedCode(code));
}

/** Ends the script with this exit code, or the one set before. Dispatches `unload` first. */
function exit(code) {
  if (code !== undefined && code !== null) setExitCode(code);
  unload();
  op_isopod_process_exit(op_isopod_process_exit_code_now());
  // The isolate is terminated at its next safe point: no code of the script runs after this line.
  for (;;);
}

return { args, env, exit, setExitCode, stderr, stdin, stdout };
})();
