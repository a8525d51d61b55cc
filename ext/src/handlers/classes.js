// Classes among a script's exports.

(function () {
const { primordials } = __bootstrap;
const { FunctionPrototypeToString, SafeWeakMap, StringPrototypeStartsWith, WeakMapPrototypeGet, WeakMapPrototypeSet } = primordials;

const isFunction = (function isFunction(value) {
  return typeof value === "function";
});

const classes = new SafeWeakMap();

// The source of a class begins with "class"; that of functions and arrow functions does not.
const isClass = (function isClass(value) {
  if (!isFunction(value)) return false;
  let known = WeakMapPrototypeGet(classes, value);
  if (known === undefined) {
    known = StringPrototypeStartsWith(FunctionPrototypeToString(value), "class");
    WeakMapPrototypeSet(classes, value, known);
  }
  return known;
});

/** The base class for entry points that are classes: `this.env` and `this.ctx` are there. */
class WorkerEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

return { isClass, isFunction, WorkerEntrypoint };
})();
