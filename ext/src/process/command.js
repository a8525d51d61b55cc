// What a script has more when it is run from the command line: its end is told by events, and errors that it did not catch
// are shown as `console` shows them.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_process_on_end, op_set_format_exception_callback } = core.ops;
const { StringPrototypeSlice } = primordials;
const { defineEventHandler, Event } = core.loadExtScript("ext:deno_web/02_event.js");
const { inspect } = core.loadExtScript("ext:deno_web/01_console.js");

let globalObject;
let unloading = false;

/** Tells the script that it ends; once. */
function unload() {
  if (unloading || globalObject === undefined) return;
  unloading = true;
  globalObject.dispatchEvent(new Event("unload"));
}

/**
 * Nothing is left to wait for. Gives whether the script goes on, which a listener for `beforeunload` asks for by
 * `preventDefault()`: as in Deno.
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

/** What is told of an error that the script did not catch. `null`: what V8 says of it. */
function uncaught(error) {
  try {
    // Text is told as it is, without quotes.
    if (typeof error === "string") return null;
    const text = inspect(error);
    // Brackets are around an error that no code has thrown, such as that of a parser.
    const inBrackets = core.isNativeError(error) && text[0] === "[" && text[text.length - 1] === "]";
    return `Uncaught ${inBrackets ? StringPrototypeSlice(text, 1, -1) : text}`;
  } catch {
    // A way of inspecting it that is the script's own may throw, and so does a proxy that was revoked.
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
