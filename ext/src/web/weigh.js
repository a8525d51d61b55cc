// Whether there is room for the copy of a value. A text that a value has in many places is there once, and is written out at each
// of them: a megabyte in a million places would be a terabyte. What V8 writes a copy into asks no allocator of the worker's.

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

/** Less than this is not asked for. */
const SMALL_BYTES = 1 << 20;

/** How deep it is looked for texts; V8 goes as deep as the stack does. */
const DEPTH_MAX = 200;

/** With more holes than this an array is looked at by its keys. */
const HOLES_MAX = 1_000;

/** What is in front of a text, or is there instead of one. */
const VALUE_BYTES = 2;

function bufferOf(view) {
  return TypedArrayPrototypeGetSymbolToStringTag(view) === undefined
    ? DataViewPrototypeGetBuffer(view)
    : TypedArrayPrototypeGetBuffer(view);
}

class Weight {
  bytes = 0;
  #seen;

  constructor(seen) {
    this.#seen = seen;
  }

  /** Adds a value. No code of a script's runs: what a getter gives is not looked at. */
  add(value, depth) {
    this.bytes += VALUE_BYTES;
    if (typeof value === "string") {
      this.bytes += value.length;
      return;
    }
    if (value === null || typeof value !== "object" || depth === 0 || SetPrototypeHas(this.#seen, value)) return;
    SetPrototypeAdd(this.#seen, value);
    if (ArrayIsArray(value)) {
      if (op_isopod_kind_of(value) !== PROXY) this.#addItems(value, depth);
      return;
    }
    const kind = op_isopod_kind_of(value);
    switch (kind) {
      case PROXY:
        return;
      case VIEW:
        // All of its buffer is copied, once.
        this.add(bufferOf(value), depth);
        return;
      case BUFFER:
        this.bytes += byteLengthOf(value);
        return;
      case STRING:
        // It has a key for each of its characters.
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
        // Not enumerable, and copied; the stack has the message in it.
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

  /** By index, which makes no list of keys; a sparse array may have 2 ** 32 - 1 of them and hold nothing. */
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

/** Throws where the worker's memory has no room for a copy of this value. What is in `handedOver` is not copied. */
return function askForCopy(value, handedOver = []) {
  if (typeof value !== "object" || value === null) return;
  const weight = new Weight(new SafeSet(handedOver));
  weight.add(value, DEPTH_MAX);
  if (weight.bytes > SMALL_BYTES) op_isopod_room_for_memory(weight.bytes, false);
};
})();
