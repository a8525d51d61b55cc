// Estimates how much text a console would print for values, without running any code of a script.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_kind_of } = core.ops;
const { BUFFER, ERROR, MAP, PROXY, REG_EXP, SET, STRING, VIEW } = core.loadExtScript("ext:isopod_web/kinds.js");
const {
  ArrayIsArray,
  MathMin,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetOwnPropertySymbols,
  ObjectGetPrototypeOf,
  ObjectKeys,
  ObjectPrototype,
  RegExpPrototypeGetSource,
  SafeArrayIterator,
  SafeMapIterator,
  SafeSetIterator,
  StringPrototypeValueOf,
  SymbolPrototypeGetDescription,
  SymbolToStringTag,
} = primordials;

/** The console's default depth. */
const DEPTH = 4;

/** The number of items that it prints of an array, a map or a set. */
const ITEMS_MAX = 100;

/** A value with more parts than this counts as too long. */
const VALUES_MAX = 100_000;

/** Number of prototypes whose names are considered. */
const PROTOTYPES_MAX = 10;

class Look {
  #left = VALUES_MAX;
  #items;
  /** Characters that may still be printed. */
  room;

  constructor(room, items = ITEMS_MAX) {
    this.room = room;
    this.#items = items;
  }

  #takes(length) {
    this.room -= length;
    return this.room < 0;
  }

  /** Returns true if the value's text does not fit. */
  finds(value, depth = DEPTH) {
    switch (typeof value) {
      case "string":
        return this.#takes(value.length);
      case "symbol":
        return this.#takes(SymbolPrototypeGetDescription(value)?.length ?? 0);
      case "function":
        if (op_isopod_kind_of(value) === PROXY) return false;
        return this.#findsAt(value, "name", 1) || this.#findsName(value) || this.#findsProperties(value, depth);
      case "object":
        return value !== null && this.#findsIn(value, depth);
      default:
        return false;
    }
  }

  #findsIn(object, depth) {
    if (depth < 0) return false;
    if (this.#left-- <= 0) return true;
    switch (op_isopod_kind_of(object)) {
      case PROXY:
      case VIEW:
      case BUFFER:
        return false;
      case STRING:
        // It has a key for each character.
        return this.#takes(StringPrototypeValueOf(object).length);
      case MAP:
        if (this.#findsEntries(object, depth)) return true;
        break;
      case SET:
        if (this.#findsItems(new SafeSetIterator(object), depth)) return true;
        break;
      case REG_EXP:
        if (this.#takes(RegExpPrototypeGetSource(object).length)) return true;
        break;
      case ERROR:
        // Not enumerable, but printed.
        for (const key of new SafeArrayIterator(["name", "message", "stack", "cause", "errors"])) {
          if (this.#findsAt(object, key, depth)) return true;
        }
    }
    if (ArrayIsArray(object)) {
      for (let i = 0; i < MathMin(object.length, this.#items); i++) {
        if (this.#findsAt(object, i, depth)) return true;
      }
      return false;
    }
    return this.#findsName(object) || this.#findsProperties(object, depth);
  }

  #findsItems(items, depth) {
    let count = 0;
    for (const item of items) {
      if (count++ >= this.#items) break;
      if (this.finds(item, depth - 1)) return true;
    }
    return false;
  }

  #findsEntries(map, depth) {
    let count = 0;
    for (const entry of new SafeMapIterator(map)) {
      if (count++ >= this.#items) break;
      if (this.finds(entry[0], depth - 1) || this.finds(entry[1], depth - 1)) return true;
    }
    return false;
  }

  #findsProperties(object, depth) {
    for (const key of new SafeArrayIterator(ObjectKeys(object))) {
      if (this.#takes(key.length) || this.#findsAt(object, key, depth)) return true;
    }
    for (const key of new SafeArrayIterator(ObjectGetOwnPropertySymbols(object))) {
      if (this.finds(key) || this.#findsAt(object, key, depth)) return true;
    }
    return false;
  }

  /** The names of classes and tags along the prototype chain. */
  #findsName(object) {
    let at = object;
    for (let i = 0; i < PROTOTYPES_MAX && at !== null && at !== ObjectPrototype; i++) {
      if (op_isopod_kind_of(at) === PROXY) return false;
      if (this.#findsAt(at, SymbolToStringTag, 1)) return true;
      const made = ObjectGetOwnPropertyDescriptor(at, "constructor")?.value;
      if (typeof made === "function" && op_isopod_kind_of(made) !== PROXY && this.#findsAt(made, "name", 1)) return true;
      at = ObjectGetPrototypeOf(at);
    }
    return false;
  }

  #findsAt(object, key, depth) {
    const value = ObjectGetOwnPropertyDescriptor(object, key)?.value;
    return value !== undefined && this.finds(value, depth - 1);
  }
}

return { DEPTH, ITEMS_MAX, Look };
})();
