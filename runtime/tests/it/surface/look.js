// What a worker has: interfaces and objects on `globalThis` beside those of ECMAScript, their members, and modules.

const LANGUAGE = new Set(
  ("AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array Boolean DataView Date " +
    "DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity Int16Array " +
    "Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp " +
    "Set SharedArrayBuffer String SuppressedError Symbol SyntaxError Temporal TypeError URIError Uint16Array Uint32Array " +
    "Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval " +
    "globalThis isFinite isNaN parseFloat parseInt undefined unescape").split(" "),
);

const isInterface = (value) => typeof value === "function" && /^[A-Z]/.test(value.name) && "prototype" in value;

/** Own members: functions as `name()`. Without what is not a name, and what every function or interface has. */
function members(object, skipped) {
  const found = [];
  for (const key of Reflect.ownKeys(object)) {
    if (typeof key !== "string" || skipped.includes(key)) continue;
    const { value } = Object.getOwnPropertyDescriptor(object, key);
    if (isInterface(value)) continue;
    found.push(typeof value === "function" ? `${key}()` : key);
  }
  return found.sort();
}

function describe(name, value, into) {
  if (isInterface(value)) {
    const constants = new Set(Object.keys(value));
    const own = members(value.prototype, ["constructor"]).filter((member) => !constants.has(member));
    const statics = members(value, ["length", "name", "prototype"]).map((member) => `${name}.${member}`);
    into[name] = [...own, ...statics];
    return;
  }
  if (value !== null && typeof value === "object") {
    const own = members(value, []);
    const inner = Reflect.ownKeys(value).filter((key) => typeof key === "string" && isInterface(value[key]));
    into[name] = own;
    for (const key of inner) describe(`${name}.${key}`, value[key], into);
  }
}

export async function look(names) {
  const interfaces = {}, functions = [];
  for (const name of Object.getOwnPropertyNames(globalThis).sort()) {
    if (LANGUAGE.has(name)) continue;
    const value = globalThis[name];
    if (value === globalThis || ["Buffer", "process"].includes(name)) continue;
    if (typeof value === "function" && !isInterface(value)) functions.push(`${name}()`);
    else if (value === null || typeof value !== "object" && typeof value !== "function") functions.push(name);
    else describe(name, value, interfaces);
  }
  // Objects whose members are all those of their interface.
  for (const name of Object.keys(interfaces)) if (!isInterface(globalThis[name]) && !name.includes(".") && interfaces[name].length === 0) delete interfaces[name];
  const modules = {};
  for (const name of names) modules[name] = Object.keys(process.getBuiltinModule(name)).filter((key) => key !== "default" && !key.startsWith("_")).sort();
  return { functions, interfaces, modules };
}
