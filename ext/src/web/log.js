// What is too long for the log is not written out: a text of a gigabyte may be a few pieces that repeat, and becomes one as soon
// as anything reads it.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_memory_limit, op_isopod_room_for_memory } = core.ops;
const {
  ArrayBufferIsView,
  ArrayIsArray,
  ArrayPrototypeMap,
  MathMin,
  ObjectGetOwnPropertyDescriptor,
  ObjectKeys,
  ReflectApply,
  SafeArrayIterator,
  StringPrototypeSlice,
} = primordials;

/** The part of a worker's memory that one text in the log may have. */
const MEMORY_SHARE = 64;

/** How deep, and at how many values, texts are looked for. */
const DEPTH_MAX = 4;
const VALUES_MAX = 1000;

/** What is inspected of an array. */
const ITEMS_MAX = 100;

class Look {
  left = VALUES_MAX;
  constructor(max) {
    this.max = max;
  }

  /** Whether a value is, or shows, a text that is too long. No code of a script's runs. */
  finds(value, depth = DEPTH_MAX) {
    if (typeof value === "string") return value.length > this.max;
    if (value === null || typeof value !== "object" || depth === 0 || this.left-- <= 0) return false;
    if (core.isProxy(value) || ArrayBufferIsView(value)) return false;
    if (ArrayIsArray(value)) {
      for (let i = 0; i < MathMin(value.length, ITEMS_MAX); i++) {
        if (this.findsAt(value, i, depth)) return true;
      }
      return false;
    }
    // Not enumerable, and shown.
    if (core.isNativeError(value) && (this.findsAt(value, "message", depth) || this.findsAt(value, "cause", depth))) {
      return true;
    }
    for (const key of new SafeArrayIterator(ObjectKeys(value))) {
      if (key.length > this.max || this.findsAt(value, key, depth)) return true;
    }
    return false;
  }

  findsAt(object, key, depth) {
    return this.finds(ObjectGetOwnPropertyDescriptor(object, key)?.value, depth - 1);
  }
}

function tooLong(value) {
  return typeof value === "string"
    ? `[a text of ${value.length} characters: too long for the log]`
    : "[a value with a text that is too long for the log]";
}

/** What is logged of a value. */
function shortened(value) {
  if (typeof value !== "string" && (value === null || typeof value !== "object")) return value;
  const look = new Look(op_isopod_memory_limit() / MEMORY_SHARE);
  if (!look.finds(value)) return value;
  if (typeof value !== "string") return tooLong(value);
  try {
    // To cut it, it is read.
    op_isopod_room_for_memory(2 * value.length, false);
  } catch {
    return tooLong(value);
  }
  return `${StringPrototypeSlice(value, 0, look.max)}\u2026 ${tooLong(value)}`;
}

/** Has the methods of a console take what is not too long. */
function limitConsole(console) {
  for (
    const name of new SafeArrayIterator([
      "assert",
      "count",
      "countReset",
      "debug",
      "dir",
      "dirxml",
      "error",
      "group",
      "groupCollapsed",
      "info",
      "log",
      "table",
      "time",
      "timeEnd",
      "timeLog",
      "timeStamp",
      "trace",
      "warn",
    ])
  ) {
    const original = console[name];
    if (original === undefined) continue;
    const limited = {
      [name]: (...args) => ReflectApply(original, console, ArrayPrototypeMap(args, shortened)),
    };
    console[name] = limited[name];
  }
  return console;
}

return { limitConsole };
})();
