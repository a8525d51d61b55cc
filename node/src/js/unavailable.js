// Modules that are not available in workers. They can be imported; the error of a call names an alternative.

(function () {
const { primordials } = __bootstrap;
const { Error, ObjectDefineProperty, SafeArrayIterator, StringPrototypeSplit } = primordials;

function refusal(module, member, remedy) {
  const error = new Error(`${member}() of node:${module} is not available in workers; ${remedy}`);
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  return error;
}

/** The exports of a module: functions and classes that throw, by their names, and values. */
function unavailable(module, remedy, { functions = "", classes = "", values = {} }) {
  const exported = {};
  const names = (text) => new SafeArrayIterator(text === "" ? [] : StringPrototypeSplit(text, " "));
  for (const name of names(functions)) {
    exported[name] = { [name]() {
      throw refusal(module, name, remedy);
    } }[name];
  }
  for (const name of names(classes)) {
    const type = class {
      constructor() {
        throw refusal(module, name, remedy);
      }
    };
    ObjectDefineProperty(type, "name", { __proto__: null, value: name, configurable: true });
    exported[name] = type;
  }
  for (const name in values) exported[name] = values[name];
  return { ...exported, default: exported };
}

return { unavailable };
})();
