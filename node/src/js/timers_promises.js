// The module `node:timers/promises`: https://nodejs.org/api/timers.html#timers-promises-api

(function () {
const { core, primordials } = __bootstrap;
const { Promise } = primordials;
const timers = core.loadExtScript("ext:isopod_node/timers.js");
const { AbortError } = core.loadExtScript("ext:deno_node/internal/errors.ts");
const { validateAbortSignal, validateBoolean, validateNumber, validateObject } = core.loadExtScript(
  "ext:deno_node/internal/validators.mjs",
);

const canceled = (signal) => new AbortError(undefined, { cause: signal.reason });

function check(options) {
  validateObject(options, "options");
  const { signal, ref } = options;
  if (signal !== undefined) validateAbortSignal(signal, "options.signal");
  if (ref !== undefined) validateBoolean(ref, "options.ref");
  return signal;
}

/** A promise for a timer, which a signal cancels. */
function wait(start, value, options) {
  return new Promise((resolve, reject) => {
    const signal = check(options);
    if (signal?.aborted) throw canceled(signal);
    const abort = () => {
      timers.clearTimeout(timer);
      reject(canceled(signal));
    };
    const timer = start(() => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    });
    signal?.addEventListener("abort", abort, { __proto__: null, once: true });
  });
}

function setTimeout(delay = undefined, value = undefined, options = {}) {
  return wait((done) => {
    if (delay !== undefined) validateNumber(delay, "delay");
    return timers.setTimeout(done, delay);
  }, value, options);
}

function setImmediate(value = undefined, options = {}) {
  return wait((done) => timers.setImmediate(done), value, options);
}

async function* setInterval(delay = undefined, value = undefined, options = {}) {
  const signal = check(options);
  if (signal?.aborted) throw canceled(signal);
  let due = 0;
  let wake;
  const notify = () => wake?.();
  const interval = timers.setInterval(() => {
    due++;
    notify();
  }, delay);
  signal?.addEventListener("abort", notify, { __proto__: null, once: true });
  try {
    while (true) {
      while (due === 0) {
        if (signal?.aborted) throw canceled(signal);
        await new Promise((resolve) => wake = resolve);
      }
      for (; due > 0; due--) yield value;
    }
  } finally {
    timers.clearInterval(interval);
    signal?.removeEventListener("abort", notify);
  }
}

const scheduler = {
  wait: (delay, options = {}) => setTimeout(delay, undefined, options),
  yield: () => setImmediate(),
};

const exported = { scheduler, setImmediate, setInterval, setTimeout };
return { ...exported, default: exported };
})();
