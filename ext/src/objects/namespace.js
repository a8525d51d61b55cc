// `env.ROOMS`: https://developers.cloudflare.com/durable-objects/api/namespace/

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_object_check, op_isopod_object_id } = core.ops;
const { Error, ObjectPrototypeIsPrototypeOf, Symbol, SymbolToStringTag, TypeError } = primordials;
const { fetcherOf } = core.loadExtScript("ext:isopod_fetcher/fetcher.js");

const constructKey = Symbol("construct");
let bindingOf;

/** https://developers.cloudflare.com/durable-objects/api/id/ */
class DurableObjectId {
  #hex;
  /** The binding that created it, `null` for the id of a running object. */
  #binding;
  name;
  constructor(key, binding, hex, name) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#binding = binding;
    this.#hex = hex;
    this.name = name;
  }
  toString() {
    return this.#hex;
  }
  equals(other) {
    if (!isId(other)) throw new TypeError("equals() needs a DurableObjectId");
    return other.#hex === this.#hex;
  }
  get [SymbolToStringTag]() {
    return "DurableObjectId";
  }
  static {
    bindingOf = (id) => id.#binding;
  }
}

const isId = (value) => ObjectPrototypeIsPrototypeOf(DurableObjectId.prototype, value);

/** The id of an object in this worker. */
const idOf = (hex, name) => new DurableObjectId(constructKey, null, hex, name);

class DurableObjectNamespace {
  #binding;
  constructor(key, binding) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#binding = binding;
  }
  idFromName(name) {
    if (arguments.length < 1) throw new TypeError("idFromName() needs a name");
    const text = `${name}`;
    return new DurableObjectId(constructKey, this.#binding, op_isopod_object_id(this.#binding, text), text);
  }
  newUniqueId(options = undefined) {
    checkJurisdiction(options?.jurisdiction);
    return new DurableObjectId(constructKey, this.#binding, op_isopod_object_id(this.#binding, undefined), undefined);
  }
  idFromString(hex) {
    const text = `${hex}`;
    op_isopod_object_check(this.#binding, text);
    return new DurableObjectId(constructKey, this.#binding, text, undefined);
  }
  /** Location hints have no effect. */
  get(id, _options = undefined) {
    if (!isId(id)) {
      throw new TypeError(
        "Failed to execute 'get' on 'DurableObjectNamespace': parameter 1 is not of type 'DurableObjectId'.",
      );
    }
    if (bindingOf(id) !== this.#binding) op_isopod_object_check(this.#binding, id.toString());
    const { name } = id;
    const stub = `\u0001${this.#binding}\u0001${id.toString()}${name === undefined ? "" : `\u0001${name}`}`;
    return fetcherOf(stub, null, undefined, { __proto__: null, id, name, [SymbolToStringTag]: "DurableObject" });
  }
  getByName(name, options = undefined) {
    return this.get(this.idFromName(name), options);
  }
  jurisdiction(jurisdiction) {
    checkJurisdiction(jurisdiction);
    return this;
  }
  get [SymbolToStringTag]() {
    return "DurableObjectNamespace";
  }
}

function checkJurisdiction(jurisdiction) {
  if (jurisdiction === undefined || jurisdiction === null) return;
  throw new Error("Jurisdiction restrictions are not available in Isopod: there is one place");
}

return { idOf, make: (name) => new DurableObjectNamespace(constructKey, name) };
})();
