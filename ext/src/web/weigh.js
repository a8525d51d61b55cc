// Checks for memory for the copy of a value. A text that occurs in a value several times exists once, but is serialized
// each time: a megabyte in a million places would be a terabyte. V8's serialization buffer does not use the worker's
// allocator.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_kind_of, op_isopod_room_for_memory } = core.ops;
const { BUFFER, ERROR, MAP, PROXY, REG_EXP, SET, STRING, VIEW } = core.loadExtScript("ext:isopod_web/kinds.js");
const { byteLengthOf } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayIsArray,
  DataViewPrototypeGetBuffer,
  MapPrototypeForEach,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  RegExpPrototypeGetSource,
  SafeArrayIterator,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeForEach,
  SetPrototypeHas,
  StringPrototypeValueOf,
  TypedArrayPrototypeGetBuffer,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;

/** Smaller amounts are not checked. */
const SMALL_BYTES = 1 << 20;

/** Maximum depth of the search for texts; V8's own depth is limited by the stack. */
const DEPTH_MAX = 200;

/** An array with more holes than this is searched by its keys. */
const HOLES_MAX = 1_000;

/** The size of a text's header, or of another value. */
const VALUE_BYTES = 2;

function bufferOf(view) {
  return TypedArrayPrototypeGetSymbolToStringTag(view) === undefined
    ? DataViewPrototypeGetBuffer(view)
    : TypedArrayPrototypeGetBuffer(view);
}

class Weight {
  bytes = 0;
  /** True if there are functions, or proxies of functions. */
  hasFunctions = false;
  #seen;
  #isLeaf;

  constructor(seen, isLeaf) {
    this.#seen = seen;
    this.#isLeaf = isLeaf;
  }

  /** Adds a value. No code of a script runs: getters are skipped. */
  add(value, depth) {
    this.bytes += VALUE_BYTES;
    if (typeof value === "string") {
      this.bytes += value.length;
      return;
    }
    if (typeof value === "function") this.hasFunctions = true;
    if (value === null || typeof value !== "object" || depth === 0 || SetPrototypeHas(this.#seen, value)) return;
    SetPrototypeAdd(this.#seen, value);
    if (this.#isLeaf?.(value)) return;
    if (ArrayIsArray(value)) {
      if (op_isopod_kind_of(value) !== PROXY) this.#addItems(value, depth);
      return;
    }
    const kind = op_isopod_kind_of(value);
    switch (kind) {
      case PROXY:
        return;
      case VIEW:
        // Its whole buffer is copied, once.
        this.add(bufferOf(value), depth);
        return;
      case BUFFER:
        this.bytes += byteLengthOf(value);
        return;
      case STRING:
        // It has a key for each character.
        this.add(StringPrototypeValueOf(value), depth);
        return;
      case MAP:
        MapPrototypeForEach(value, (item, key) => {
          this.add(key, depth - 1);
          this.add(item, depth - 1);
        });
        return;
      case SET:
        SetPrototypeForEach(value, (item) => this.add(item, depth - 1));
        return;
      case ERROR:
        // Not enumerable, but copied; the stack contains the message.
        for (const key of new SafeArrayIterator(["message", "message", "stack", "cause"])) this.#addOf(value, key, depth);
        return;
      case REG_EXP:
        this.add(RegExpPrototypeGetSource(value), depth);
        return;
    }
    for (const key of new SafeArrayIterator(ObjectKeys(value))) {
      this.bytes += key.length;
      this.#addOf(value, key, depth);
    }
  }

  /** By index, without a list of keys; a sparse array may have 2 ** 32 - 1 of them without a value. */
  #addItems(array, depth) {
    for (let i = 0, holes = 0; i < array.length; i++) {
      if (this.#addOf(array, i, depth) || ++holes <= HOLES_MAX) continue;
      for (const key of new SafeArrayIterator(ObjectKeys(array))) {
        if (!(key <= i)) this.#addOf(array, key, depth);
      }
      return;
    }
  }

  #addOf(object, key, depth) {
    const property = ObjectGetOwnPropertyDescriptor(object, key);
    if (property === undefined) return false;
    this.add(property.value, depth - 1);
    return true;
  }
}

/**
 * Throws if the worker's memory has no room for a copy of this value. The objects in `handedOver` are not copied, and the
 * contents of leaves are not examined. Returns true if the value contains functions.
 */
return function askForCopy(value, handedOver = [], isLeaf = undefined) {
  if (typeof value !== "object" || value === null) return typeof value === "function";
  const weight = new Weight(new SafeSet(handedOver), isLeaf);
  weight.add(value, DEPTH_MAX);
  if (weight.bytes > SMALL_BYTES) op_isopod_room_for_memory(weight.bytes, false);
  return weight.hasFunctions;
};
})();
