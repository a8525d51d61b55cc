// `process.nextTick`: https://nodejs.org/api/process.html#processnexttickcallback-args
// The queue is deno_core's, which runs it before the microtasks of each turn.

(function () {
const { core } = __bootstrap;
const { getAsyncContext, queueNextTick, runNextTicks } = core;
const { validateFunction } = core.loadExtScript("ext:deno_node/internal/validators.mjs");

function nextTick(callback, ...args) {
  validateFunction(callback, "callback");
  queueNextTick({
    __proto__: null,
    asyncId: 0,
    triggerAsyncId: 0,
    snapshot: getAsyncContext(),
    callback,
    args: args.length === 0 ? undefined : args,
  });
}

return { nextTick, runNextTicks };
})();
