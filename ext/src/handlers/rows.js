// The arguments and properties of events, and the rows of their handlers.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_props } = core.ops;
const { JSONParse, JSONStringify, SafeArrayIterator, TypeError } = primordials;
const { readableStreamForRid } = core.loadExtScript("ext:deno_web/06_streams.js");

// Streams and functions among the arguments: `[position, isStream, number]` each.
function putInPlace(args, others) {
  const { nativeFunction } = core.loadExtScript("ext:isopod_native/native.js");
  for (const { 0: position, 1: isStream, 2: number } of new SafeArrayIterator(others)) {
    args[position] = isStream ? readableStreamForRid(number) : nativeFunction(number);
  }
}

const inputScripts = { __proto__: null };

/** The row of a handler: see inputs.js. Without a script, the handler is called with the first argument. */
const rowOf = (function rowOf(script, handler) {
  if (script === undefined) return (_held, input) => ({ input });
  const row = (inputScripts[script] ??= core.loadExtScript(script))[handler];
  if (row === undefined) throw new TypeError(`${script} has no function "${handler}" for the input of that handler`);
  return row;
});

/** The properties of the service binding that an event came by. */
function propsOf(key) {
  const { 0: isCloned, 1: value } = op_isopod_props(key);
  if (isCloned) return core.loadExtScript("ext:isopod_web/clone.js").deserializeApart(value);
  // Objects made by serde have no prototype.
  return value === null || value === undefined ? {} : JSONParse(JSONStringify(value));
}

return { propsOf, putInPlace, rowOf };
})();
