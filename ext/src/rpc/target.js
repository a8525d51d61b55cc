// The methods that another worker may call.
// https://developers.cloudflare.com/workers/runtime-apis/rpc/visibility/

(function () {
const { primordials } = __bootstrap;
const {
  Error,
  ObjectGetPrototypeOf,
  ObjectHasOwn,
  ObjectPrototype,
  ObjectPrototypeIsPrototypeOf,
  ReflectApply,
  ReflectHas,
  SafeArrayIterator,
  SafeSet,
  SafeWeakMap,
  SetPrototypeHas,
  TypeError,
  WeakMapPrototypeHas,
} = primordials;

/** The base class of objects that are not copied: another worker that gets one calls its methods where it is. */
class RpcTarget {}
const RpcTargetPrototype = RpcTarget.prototype;

/** The nodes behind the proxies of rpc.js: stubs, promises and properties of other workers. */
const nodes = new SafeWeakMap();

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");
const isNode = (value) => isObject(value) && WeakMapPrototypeHas(nodes, value);

/** Names that cannot be called as methods of a service. `connect` is for a socket. */
const reservedOfEntryPoints = new SafeSet(["fetch", "connect", "dup", "constructor", "__proto__"]);
const reservedOfTargets = new SafeSet(["dup", "constructor", "__proto__"]);

const notThere = (name) => new TypeError(`The RPC receiver does not implement the method "${name}".`);

/** An entry point among the callee's targets: an instance of a class, or an exported object. */
class EntryPoint {
  constructor(self, isInstance, env, ctx) {
    this.self = self;
    this.isInstance = isInstance;
    this.env = env;
    this.ctx = ctx;
  }
}

/** The class's own methods and getters, without properties of the instance and those of all objects. */
function ofClass(object, name, reserved) {
  if (SetPrototypeHas(reserved, name)) {
    throw new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
  }
  if (ObjectHasOwn(object, name) || !ReflectHas(object, name)) throw notThere(name);
  const value = object[name];
  if (name in ObjectPrototype && value === ObjectPrototype[name]) throw notThere(name);
  return value;
}

function ofPlain(object, name) {
  if (!ObjectHasOwn(object, name)) throw notThere(name);
  return object[name];
}

function property(object, name) {
  if (object instanceof EntryPoint) {
    const { self, isInstance } = object;
    return isInstance ? ofClass(self, name, reservedOfEntryPoints) : ofExported(self, name);
  }
  if (!isObject(object)) throw notThere(name);
  if (isNode(object)) return object[name];
  if (typeof object === "object") {
    if (ObjectPrototypeIsPrototypeOf(RpcTargetPrototype, object)) return ofClass(object, name, reservedOfTargets);
    if (ObjectGetPrototypeOf(object) === ObjectPrototype) return ofPlain(object, name);
  }
  throw notThere(name);
}

function ofExported(object, name) {
  if (SetPrototypeHas(reservedOfEntryPoints, name)) {
    throw new TypeError(`'${name}' is a reserved method and cannot be called over RPC.`);
  }
  if (!isObject(object) || !ReflectHas(object, name)) throw notThere(name);
  const value = object[name];
  if (name in ObjectPrototype && value === ObjectPrototype[name]) throw notThere(name);
  return value;
}

/** Calls the method at the path, or reads the property. */
function run(target, isCall, path, args) {
  let self;
  let value = target;
  let name;
  for (name of new SafeArrayIterator(path)) {
    self = value;
    value = property(self, name);
  }
  if (!isCall) {
    if (value instanceof EntryPoint) throw new Error("an entry point cannot be passed as a value");
    return value;
  }
  if (typeof value !== "function") throw new TypeError(`"${name ?? "the target"}" is not a function.`);
  if (!(self instanceof EntryPoint)) return ReflectApply(value, self, args);
  if (self.isInstance) return ReflectApply(value, self.self, args);
  if (args.length !== 1) {
    throw new TypeError(
      `Attempted to call RPC function "${name}" with the wrong number of arguments. When calling a top-level handler ` +
        "function that is not declared as part of a class, you must always send exactly one argument. In order to support " +
        "variable numbers of arguments, the server must use class-based syntax (extending WorkerEntrypoint) instead.",
    );
  }
  return ReflectApply(value, self.self, [args[0], self.env, self.ctx]);
}

return { EntryPoint, isNode, isObject, nodes, RpcTarget, run };
})();
