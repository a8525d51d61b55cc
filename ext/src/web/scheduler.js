// `scheduler.wait()` of Workers: https://developers.cloudflare.com/workers/runtime-apis/scheduler/

(function () {
const { core, primordials } = __bootstrap;
const { Promise, Symbol, SymbolToStringTag, TypeError } = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { setTimeout, clearTimeout } = core.loadExtScript("ext:deno_web/02_timers.js");
const { limitTimer } = core.loadExtScript("ext:isopod_quotas/guards.js");

const startTimer = limitTimer(setTimeout);
const illegalConstructorKey = Symbol("illegal constructor");

class Scheduler {
  constructor(key = undefined) {
    if (key !== illegalConstructorKey) throw new TypeError("Illegal constructor");
  }

  /** Returns a promise that is resolved after this many milliseconds, or rejected when `signal` aborts. */
  wait(delay, options = undefined) {
    return new Promise((resolve, reject) => {
      const prefix = "Failed to execute 'wait' on 'Scheduler'";
      webidl.requiredArguments(arguments.length, 1, prefix);
      delay = webidl.converters["unsigned long"](delay, prefix, "Argument 1");
      const given = options?.signal;
      const signal = given === undefined ? undefined : webidl.converters.AbortSignal(given, prefix, "signal");
      signal?.throwIfAborted();
      const timer = startTimer(() => {
        signal?.removeEventListener("abort", stop);
        resolve();
      }, delay);
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      signal?.addEventListener("abort", stop, { __proto__: null, once: true });
    });
  }

  get [SymbolToStringTag]() {
    return "Scheduler";
  }
}

return { Scheduler, scheduler: new Scheduler(illegalConstructorKey) };
})();
