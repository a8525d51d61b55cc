// The module `isopod:process`: what a script run from the command line may know of the process it is in.

(function () {
const { core, internals } = __bootstrap;
const { op_isopod_process_exit, op_isopod_process_stdin } = core.ops;
const { readableStreamForRid } = core.loadExtScript("ext:deno_web/06_streams.js");

// `args`: the arguments after the script's name. `env`: the environment variables that the command line let through.
// Both are empty in a worker that serves.
const { args, env } = internals.isopodProcess;

let stream;
/** Standard input, as a stream of bytes. */
function stdin() {
  return stream ??= readableStreamForRid(op_isopod_process_stdin());
}

/** Ends the script with an exit code, at once. */
function exit(code = 0) {
  op_isopod_process_exit(Number(code) | 0);
  // The isolate is ended at its next safe point: nothing of the script runs after this line.
  for (;;);
}

return { args, env, exit, stdin };
})();
