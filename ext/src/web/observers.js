// The performance timeline: https://w3c.github.io/performance-timeline/, in the place of deno_web's observers.
//
// deno_web keeps marks and measures, in the order in which they were made, and replaces what an observer observes at each
// `observe()`.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypeFilter,
  ArrayPrototypeIncludes,
  ArrayPrototypeIndexOf,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  ArrayPrototypeSort,
  ArrayPrototypeSplice,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptor,
  queueMicrotask,
  ReflectApply,
  SafeArrayIterator,
  Symbol,
  TypeError,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { DOMException } = core.loadExtScript("ext:deno_web/01_dom_exception.js");
const timeline = core.loadExtScript("ext:deno_web/15_performance.js");
const { Performance, performance, PerformanceEntry, PerformanceMark, PerformanceMeasure } = timeline;

const getterOf = (Interface, name) => {
  const { get } = ObjectGetOwnPropertyDescriptor(Interface.prototype, name);
  return (entry) => ReflectApply(get, entry, []);
};
const nameOf = getterOf(PerformanceEntry, "name");
const startOf = getterOf(PerformanceEntry, "startTime");
const typeOf = getterOf(PerformanceEntry, "entryType");

/** Kinds of entries, in alphabetical order. */
const TYPES = ObjectFreeze(["mark", "measure"]);

/** Entries in the order of their start. */
const sorted = (entries) => ArrayPrototypeSort(entries, (one, other) => startOf(one) - startOf(other));

const illegalConstructorKey = Symbol("illegal constructor");

class PerformanceObserverEntryList {
  #entries;

  constructor(key = undefined, entries = undefined) {
    if (key !== illegalConstructorKey) webidl.illegalConstructor();
    this.#entries = entries;
  }

  getEntries() {
    return ArrayPrototypeSlice(this.#entries);
  }

  getEntriesByType(type) {
    const entries = this.#entries;
    const prefix = "Failed to execute 'getEntriesByType' on 'PerformanceObserverEntryList'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    type = webidl.converters.DOMString(type, prefix, "Argument 1");
    return ArrayPrototypeFilter(entries, (entry) => typeOf(entry) === type);
  }

  getEntriesByName(name, type = undefined) {
    const entries = this.#entries;
    const prefix = "Failed to execute 'getEntriesByName' on 'PerformanceObserverEntryList'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    name = webidl.converters.DOMString(name, prefix, "Argument 1");
    if (type !== undefined) type = webidl.converters.DOMString(type, prefix, "Argument 2");
    return ArrayPrototypeFilter(
      entries,
      (entry) => nameOf(entry) === name && (type === undefined || typeOf(entry) === type),
    );
  }
}
webidl.configureInterface(PerformanceObserverEntryList);

const initOf = webidl.createDictionaryConverter("PerformanceObserverInit", [
  { key: "buffered", converter: webidl.converters.boolean },
  { key: "entryTypes", converter: webidl.converters["sequence<DOMString>"] },
  { key: "type", converter: webidl.converters.DOMString },
]);

/** The observers that observe something. */
const observers = [];

/** The kind of options of an observer: the two kinds cannot be mixed. */
const ONE = 1;
const SEVERAL = 2;

class PerformanceObserver {
  #callback;
  #kind = 0;
  /** The types of entries. */
  #types = [];
  #buffer = [];
  #isScheduled = false;
  #wasCalled = false;

  static get supportedEntryTypes() {
    return TYPES;
  }

  constructor(callback) {
    const prefix = "Failed to construct 'PerformanceObserver'";
    webidl.requiredArguments(arguments.length, 1, prefix);
    if (typeof callback !== "function") throw new TypeError(`${prefix}: Argument 1 is not a function`);
    this.#callback = callback;
  }

  observe(options = { __proto__: null }) {
    const kind = this.#kind;
    const prefix = "Failed to execute 'observe' on 'PerformanceObserver'";
    const { buffered, entryTypes, type } = initOf(options, prefix, "Argument 1");
    if (entryTypes === undefined && type === undefined) throw new TypeError(`${prefix}: either 'entryTypes' or 'type' is needed`);
    if (entryTypes !== undefined && (type !== undefined || buffered !== undefined)) {
      throw new TypeError(`${prefix}: 'entryTypes' excludes 'type' and 'buffered'`);
    }
    const wanted = type === undefined ? SEVERAL : ONE;
    if (kind !== 0 && kind !== wanted) {
      throw new DOMException(`${prefix}: it observes ${kind === ONE ? "a 'type'" : "'entryTypes'"} already`, "InvalidModificationError");
    }
    this.#kind = wanted;
    if (wanted === SEVERAL) {
      const types = ArrayPrototypeFilter(TYPES, (known) => ArrayPrototypeIncludes(entryTypes, known));
      if (types.length === 0) return;
      this.#types = types;
    } else {
      if (!ArrayPrototypeIncludes(TYPES, type)) return;
      if (!ArrayPrototypeIncludes(this.#types, type)) ArrayPrototypePush(this.#types, type);
    }
    if (!ArrayPrototypeIncludes(observers, this)) ArrayPrototypePush(observers, this);
    if (buffered) {
      for (const entry of new SafeArrayIterator(ReflectApply(getEntriesByType, performance, [type]))) {
        ArrayPrototypePush(this.#buffer, entry);
      }
      this.#schedule();
    }
  }

  disconnect() {
    this.#types = [];
    this.#buffer = [];
    this.#kind = 0;
    const at = ArrayPrototypeIndexOf(observers, this);
    if (at !== -1) ArrayPrototypeSplice(observers, at, 1);
  }

  takeRecords() {
    const entries = this.#buffer;
    this.#buffer = [];
    return sorted(entries);
  }

  /** Calls the callback after the code that runs, as part of its event. */
  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      const entries = this.#buffer;
      if (entries.length === 0) return;
      this.#buffer = [];
      const list = new PerformanceObserverEntryList(illegalConstructorKey, sorted(entries));
      // No entries are dropped: those that a script does not clear stay.
      const options = this.#wasCalled ? {} : { droppedEntriesCount: 0 };
      this.#wasCalled = true;
      ReflectApply(this.#callback, this, [list, this, options]);
    });
  }

  static offer(observer, entry) {
    if (!ArrayPrototypeIncludes(observer.#types, typeOf(entry))) return;
    ArrayPrototypePush(observer.#buffer, entry);
    observer.#schedule();
  }
}
webidl.configureInterface(PerformanceObserver);
const { offer } = PerformanceObserver;
delete PerformanceObserver.offer;

function offered(entry) {
  for (let i = 0; i < observers.length; i++) offer(observers[i], entry);
  return entry;
}

// ---- the timeline

function replace(name, act) {
  const property = ObjectGetOwnPropertyDescriptor(Performance.prototype, name);
  const original = property.value;
  const value = {
    [name](...args) {
      return act((...given) => ReflectApply(original, this, given), args);
    },
  }[name];
  ObjectDefineProperty(value, "length", { __proto__: null, value: original.length, configurable: true });
  ObjectDefineProperty(Performance.prototype, name, { __proto__: null, ...property, value });
}

replace("mark", (original, args) => offered(original(...new SafeArrayIterator(args))));
replace("measure", (original, args) => {
  // `null` is a dictionary without members.
  if (args.length > 1 && args[1] === null) args[1] = undefined;
  return offered(original(...new SafeArrayIterator(args)));
});
for (const name of new SafeArrayIterator(["getEntries", "getEntriesByName", "getEntriesByType"])) {
  replace(name, (original, args) => sorted(original(...new SafeArrayIterator(args))));
}

const { getEntriesByType } = Performance.prototype;

return { Performance, performance, PerformanceEntry, PerformanceMark, PerformanceMeasure, PerformanceObserver, PerformanceObserverEntryList };
})();
