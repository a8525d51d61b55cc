// Whether there is room for the copy of a value. A text that a value has in many places is there once, and is written out at each
// of them: a megabyte in a million places would be a terabyte. What V8 writes a copy into asks no allocator of the worker's.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_room_for_memory } = core.ops;
const {
  ArrayIsArray,
  ArrayBufferIsView,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  SafeArrayIterator,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeHas,
} = primordials;

/** Less than this is not asked for. */
const SMALL_BYTES = 1 << 20;

/** How deep it is looked for texts; V8 goes as deep as the stack does. */
const DEPTH_MAX = 200;

/** With more holes than this an array is looked at by its keys. */
const HOLES_MAX = 1_000;

/** What is in front of a text, or is there instead of one. */
const VALUE_BYTES = 2;

class Weight {
  bytes = 0;
  #seen = new SafeSet();

  /** Adds a value. No code of a script's runs: what a getter gives is not looked at. */
  add(value, depth) {
    this.bytes += VALUE_BYTES;
    if (typeof value === "string") {
      this.bytes += value.length;
      return;
    }
    if (value === null || typeof value !== "object" || depth === 0) return;
    if (core.isProxy(value) || ArrayBufferIsView(value) || SetPrototypeHas(this.#seen, value)) return;
    SetPrototypeAdd(this.#seen, value);
    if (ArrayIsArray(value)) {
      this.#addItems(value, depth);
    } else {
      for (const key of new SafeArrayIterator(ObjectKeys(value))) {
        this.bytes += key.length;
        this.#addOf(value, key, depth);
      }
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

/** Throws where the worker's memory has no room for a copy of this value. */
return function askForCopy(value) {
  if (typeof value !== "object" || value === null) return;
  const weight = new Weight();
  weight.add(value, DEPTH_MAX);
  if (weight.bytes > SMALL_BYTES) op_isopod_room_for_memory(weight.bytes, false);
};
})();
