// What is a class, among what a script exports.

(function () {
const { primordials } = __bootstrap;
const { FunctionPrototypeToString, SafeWeakMap, StringPrototypeStartsWith, WeakMapPrototypeGet, WeakMapPrototypeSet } = primordials;

const isFunction = (function isFunction(value) {
  return typeof value === "function";
});

const classes = new SafeWeakMap();

// A class says so in its source: `function` and arrow handlers have no "class" up front.
const isClass = (function isClass(value) {
  if (!isFunction(value)) return false;
  let known = WeakMapPrototypeGet(classes, value);
  if (known === undefined) {
    known = StringPrototypeStartsWith(FunctionPrototypeToString(value), "class");
    WeakMapPrototypeSet(classes, value, known);
  }
  return known;
});

return { isClass, isFunction };
})();
