// The module `isopod:process`: what a script run from the command line may know of the process it is in.

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

// `args`: the arguments after the script's name. `env`: the environment variables that the command line let through.
// Both are empty in a worker that serves.
const { args, env } = internals.isopodProcess;

// ---- standard input

let input;
/** The read that is under way, and whether it keeps the script alive. */
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
  // What `read` gives tells whether the script waits for it: see `hold` in input.rs.
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

/** Standard output and standard error, as streams that take bytes and text. */
const stdout = output(false);
const stderr = output(true);

// ---- the end

/** A whole number, also as text: Node's rule for `process.exit`. Of what is greater the system keeps the last eight bits. */
function checkedCode(code) {
  const number = typeof code === "string" && StringPrototypeTrim(code) !== "" ? Number(code) : code;
  if (typeof number !== "number" || !NumberIsInteger(number)) {
    throw new TypeError("an exit code must be a whole number");
  }
  return number & 0xff;
}

/** The code that the script ends with once nothing is left to do. */
function setExitCode(code) {
  op_isopod_process_exit_code(checkedCode(code));
}

/** Ends the script at once, with this code or the one that was set. Listeners for `unload` are called before. */
function exit(code) {
  if (code !== undefined && code !== null) setExitCode(code);
  unload();
  op_isopod_process_exit(op_isopod_process_exit_code_now());
  // The isolate is ended at its next safe point: nothing of the script runs after this line.
  for (;;);
}

return { args, env, exit, setExitCode, stderr, stdin, stdout };
})();
