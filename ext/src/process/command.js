// Additions for scripts run from the command line: events at their end, and reports of uncaught errors in the format of
// `console`.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_process_on_end, op_set_format_exception_callback } = core.ops;
const { StringPrototypeSlice } = primordials;
const { defineEventHandler, Event } = core.loadExtScript("ext:deno_web/02_event.js");
const { inspect } = core.loadExtScript("ext:deno_web/01_console.js");

let globalObject;
let unloading = false;

/** Dispatches `unload`, once. */
function unload() {
  if (unloading || globalObject === undefined) return;
  unloading = true;
  globalObject.dispatchEvent(new Event("unload"));
}

/**
 * Called when nothing is pending. Returns true if the script continues, which a listener for `beforeunload` requests with
 * `preventDefault()`, as in Deno.
 */
function end() {
  if (!unloading) {
    const event = new Event("beforeunload", { cancelable: true });
    globalObject.dispatchEvent(event);
    if (event.defaultPrevented) return true;
    unload();
  }
  return false;
}

/** The report of an uncaught error. `null`: V8's own message. */
function uncaught(error) {
  try {
    // Text is reported without quotes.
    if (typeof error === "string") return null;
    const text = inspect(error);
    // Errors that no code has thrown, such as a parser's, are in brackets.
    const inBrackets = core.isNativeError(error) && text[0] === "[" && text[text.length - 1] === "]";
    return `Uncaught ${inBrackets ? StringPrototypeSlice(text, 1, -1) : text}`;
  } catch {
    // Custom inspection may throw, and so may a revoked proxy.
    return core.isNativeError(error) ? null : "Uncaught (the thrown value cannot be displayed)";
  }
}

function start(global) {
  globalObject = global;
  defineEventHandler(global, "beforeunload");
  defineEventHandler(global, "unload");
  op_set_format_exception_callback(uncaught);
  op_isopod_process_on_end(end);
}

return { start, unload };
})();
