// Starts Node.js compatibility in a worker: defines the globals before the script runs.

(function () {
const { core, internals, primordials } = __bootstrap;
const { ArrayPrototypePush, ObjectDefineProperty, SafeArrayIterator } = primordials;

/** Defines a global that is loaded on first use and can be replaced. */
function later(global, name, load) {
  const define = (value) =>
    ObjectDefineProperty(global, name, {
      __proto__: null,
      value,
      configurable: true,
      enumerable: false,
      writable: true,
    });
  ObjectDefineProperty(global, name, {
    __proto__: null,
    get() {
      const value = load();
      define(value);
      return value;
    },
    set: define,
    configurable: true,
    enumerable: false,
  });
}

function now(global, name, value) {
  ObjectDefineProperty(global, name, {
    __proto__: null,
    value,
    configurable: true,
    enumerable: name !== "global",
    writable: true,
  });
}

/** The text bindings. */
function textsOf(bindings) {
  const texts = [];
  for (const { 0: name, 1: { text, isJson, script } } of new SafeArrayIterator(bindings)) {
    if (!isJson && script === null) ArrayPrototypePush(texts, [name, text]);
  }
  return texts;
}

/** `options`: `globals`, `modules` (names), `processEnv` (whether bindings are copied there), `nodeEnv`. */
function start(global, options, bindings) {
  const { setTimeout, setInterval, clearTimeout } = global;
  internals.isopodNode = {
    env: [["NODE_ENV", options.nodeEnv], ...new SafeArrayIterator(options.processEnv ? textsOf(bindings) : [])],
    modules: options.modules,
    namespace: (url) => core.loadExtScript("ext:isopod_node/builtins.js").namespace(url),
    // The web's timers, with their quotas.
    timers: { setTimeout, setInterval, clearTimeout },
  };
  internals.isopodBeginProcess();
  if (!options.globals) return;
  now(global, "global", global);
  later(global, "Buffer", () => core.loadExtScript("ext:deno_node/internal/buffer.mjs").Buffer);
  later(global, "process", () => core.loadExtScript("ext:isopod_node/process.js").process);
  const timers = core.loadExtScript("ext:isopod_node/timers.js");
  for (
    const name of new SafeArrayIterator([
      "clearImmediate",
      "clearInterval",
      "clearTimeout",
      "setImmediate",
      "setInterval",
      "setTimeout",
    ])
  ) {
    now(global, name, timers[name]);
  }
}

return { start };
})();
