// The methods of `console`. Text that is too long for the log is not written out: a gigabyte may be a few repeated
// pieces, which are flattened when they are first read.
//
// deno's console aborts the process if its output exceeds V8's maximum string length. It is therefore passed a single
// text of limited length: values are inspected before, by an op that fails instead.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_memory_limit, op_isopod_room_for_memory } = core.ops;
const {
  ArrayPrototypePush,
  ArrayPrototypeUnshift,
  MathFloor,
  MathMax,
  MathMin,
  ObjectGetOwnPropertyDescriptor,
  ObjectPrototypeIsPrototypeOf,
  SafeArrayIterator,
  SafeSet,
  SetPrototypeAdd,
  SetPrototypeDelete,
  SetPrototypeHas,
  String,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  TypeErrorPrototype,
} = primordials;
const { getStderrNoColor, getStdoutNoColor, inspectArgs } = core.loadExtScript("ext:deno_web/01_console.js");
const { DEPTH, ITEMS_MAX, Look } = core.loadExtScript("ext:isopod_web/look.js");
const { tabular } = core.loadExtScript("ext:isopod_web/table.js");

/** A log entry may use one part in this many of the worker's memory. */
const MEMORY_SHARE = 64;

/** Maximum length of an entry in characters, regardless of memory. */
const LENGTH_MAX = 64 << 20;

/** Maximum depth of groups that are indented. */
const GROUPS_MAX = 100;

/** Maximum number of counters and timers, and maximum length of their names. */
const LABELS_MAX = 1000;
const LABEL_LENGTH_MAX = 1024;

const lengthMax = () => MathMin(LENGTH_MAX, op_isopod_memory_limit() / MEMORY_SHARE);

function tooLong(value) {
  return typeof value === "string"
    ? `[a text of ${value.length} characters: too long for the log]`
    : "[a value with a text that is too long for the log]";
}

/** The beginning of a text that is too long. */
function beginning(text, length) {
  if (length <= 0) return tooLong(text);
  try {
    // Cutting it flattens it.
    op_isopod_room_for_memory(2 * text.length, false);
  } catch {
    return tooLong(text);
  }
  return `${StringPrototypeSlice(text, 0, length)}\u2026 ${tooLong(text)}`;
}

/** Formats values that share the room of one entry. */
function shortened(args, look, depth) {
  const short = [];
  for (let i = 0; i < args.length; i++) {
    const { room } = look;
    const value = args[i];
    if (!look.finds(value, depth)) {
      ArrayPrototypePush(short, value);
      continue;
    }
    const text = typeof value === "string" ? beginning(value, room) : tooLong(value);
    look.room = MathMax(0, room - text.length);
    ArrayPrototypePush(short, text);
  }
  return short;
}

/** The message of an op whose result would exceed the maximum string length. */
function isTooLong(error) {
  if (!ObjectPrototypeIsPrototypeOf(TypeErrorPrototype, error)) return false;
  const message = ObjectGetOwnPropertyDescriptor(error, "message")?.value;
  return typeof message === "string" && StringPrototypeStartsWith(message, "failed to allocate string");
}

/** The options of `console.dir` that are not objects or functions. */
const dirOptions = [
  "breakLength", "colors", "compact", "customInspect", "depth", "escapeSequences", "getters", "iterableLimit", "maxArrayLength",
  "maxStringLength", "numericSeparator", "showHidden", "showProxy", "sorted", "strAbbreviateSize", "trailingComma",
];

function optionsOf(options) {
  const plain = { __proto__: null };
  if (options === null || typeof options !== "object") return plain;
  for (const name of new SafeArrayIterator(dirOptions)) {
    const value = options[name];
    if (typeof value === "number" || typeof value === "boolean" || value === null) plain[name] = value;
  }
  return plain;
}

/** Formats a value in a table cell. */
const cellOptions = { __proto__: null, breakLength: Infinity, compact: true, depth: 1 };

/** The name of a counter or timer. */
function labelOf(label) {
  const name = String(label);
  return name.length > LABEL_LENGTH_MAX ? tooLong(name) : name;
}

/** Limits the arguments of a console's methods. */
function limitConsole(console) {
  const original = { __proto__: null, ...console };
  const counters = new SafeSet();
  const timers = new SafeSet();
  let groups = 0;

  /** Formats values as one text. */
  function written(args, noColor, options = { __proto__: null }, look = new Look(lengthMax()), depth = DEPTH) {
    let text;
    try {
      text = inspectArgs(shortened(args, look, depth), { colors: !noColor(), ...options });
    } catch (error) {
      if (!isTooLong(error)) throw error;
      text = tooLong();
    }
    // In groups, each of its lines is indented.
    const max = groups === 0 ? LENGTH_MAX : MathFloor(lengthMax() / (1 + 2 * MathMin(groups, GROUPS_MAX)));
    return text.length > max ? beginning(text, max) : text;
  }

  function labelled(names, method) {
    return (label) => {
      const name = labelOf(label);
      if (!SetPrototypeHas(names, name)) {
        if (names.size >= LABELS_MAX) return;
        SetPrototypeAdd(names, name);
      }
      method(name);
    };
  }

  const count = labelled(counters, original.count);
  const time = labelled(timers, original.time);

  const methods = {
    debug: (...args) => original.debug(written(args, getStdoutNoColor)),
    info: (...args) => original.info(written(args, getStdoutNoColor)),
    log: (...args) => original.log(written(args, getStdoutNoColor)),
    dirxml: (...args) => original.log(written(args, getStdoutNoColor)),
    warn: (...args) => original.warn(written(args, getStderrNoColor)),
    error: (...args) => original.error(written(args, getStderrNoColor)),
    trace: (...args) => original.trace(written(args, getStderrNoColor)),
    dir: (value = undefined, options = undefined) => {
      const plain = optionsOf(options);
      const { depth = DEPTH } = plain;
      const isWide = plain.iterableLimit !== undefined || plain.maxArrayLength !== undefined;
      const look = new Look(lengthMax(), isWide ? Infinity : ITEMS_MAX);
      original.log(written([value], getStdoutNoColor, plain, look, depth === null ? Infinity : MathMax(DEPTH, depth)));
    },
    assert: (condition = false, ...args) => {
      if (condition) return;
      if (args.length === 0) original.assert(false);
      else original.assert(false, written(args, getStderrNoColor));
    },
    table: (data = undefined, properties = undefined) => {
      const table = tabular(data, properties, (value) => written([value], getStdoutNoColor, cellOptions));
      if (table === undefined) methods.log(data);
      else original.table(...new SafeArrayIterator(table));
    },
    count: (label = "default") => count(label),
    countReset: (label = "default") => original.countReset(labelOf(label)),
    time: (label = "default") => time(label),
    timeEnd: (label = "default") => {
      const name = labelOf(label);
      SetPrototypeDelete(timers, name);
      original.timeEnd(name);
    },
    timeLog: (label = "default", ...args) => {
      if (args.length === 0) return original.timeLog(labelOf(label));
      // After the label, none of them is a format.
      ArrayPrototypeUnshift(args, "");
      original.timeLog(labelOf(label), StringPrototypeSlice(written(args, getStdoutNoColor), 1));
    },
    group: (...label) => {
      if (label.length > 0) methods.log(...new SafeArrayIterator(label));
      if (groups++ < GROUPS_MAX) original.group();
    },
    groupEnd: () => {
      if (groups === 0) return;
      if (groups-- <= GROUPS_MAX) original.groupEnd();
    },
    clear: () => {
      groups = 0;
      original.clear();
    },
  };
  methods.groupCollapsed = methods.group;
  for (const name in methods) console[name] = methods[name];
  return console;
}

return { limitConsole };
})();
