// Converts the data of `console.table` to plain data of limited size, because deno's console pads every cell of a
// column to the longest.

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_kind_of } = core.ops;
const { MAP, PROXY, SET } = core.loadExtScript("ext:isopod_web/kinds.js");
const {
  ArrayIsArray,
  ArrayPrototypePush,
  MapPrototypeGetSize,
  MapPrototypeSet,
  MathMin,
  ObjectDefineProperty,
  ObjectKeys,
  SafeArrayIterator,
  SafeMap,
  SafeMapIterator,
  SafeSet,
  SafeSetIterator,
  SetPrototypeAdd,
  SetPrototypeGetSize,
  String,
  StringPrototypeSlice,
  SymbolFor,
  SymbolIterator,
} = primordials;

/** Maximum numbers of rows, and of cells in all; a larger table is logged as a value. */
const ROWS_MAX = 1_000;
const CELLS_MAX = 10_000;

/** Maximum length of a cell in characters. */
const CELL_LENGTH_MAX = 1_000;

const customInspect = SymbolFor("Deno.customInspect");

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");

function short(text) {
  return text.length > CELL_LENGTH_MAX ? `${StringPrototypeSlice(text, 0, CELL_LENGTH_MAX)}\u2026` : text;
}

function setOwn(object, key, value) {
  const property = { __proto__: null, value, configurable: true, enumerable: true, writable: true };
  ObjectDefineProperty(object, key, property);
}

class Rows {
  #columns = new SafeSet();
  #names;
  #count;
  #inspect;

  constructor(count, names, inspect) {
    this.#count = count;
    this.#names = names;
    this.#inspect = inspect;
  }

  get areTooMany() {
    return this.#count > ROWS_MAX || this.#count * this.#columns.size > CELLS_MAX;
  }

  /** Formats a value within the limit of a cell. */
  cell(value) {
    if (typeof value === "string") return short(value);
    if (!isObject(value) && typeof value !== "symbol" && typeof value !== "bigint") return value;
    const text = short(this.#inspect(value));
    return { __proto__: null, [customInspect]: () => text };
  }

  /** The row of an object, made of its properties. */
  row(value) {
    if (!isObject(value)) return this.cell(value);
    const row = {};
    for (const key of new SafeArrayIterator(this.#names ?? ObjectKeys(value))) {
      SetPrototypeAdd(this.#columns, key);
      if (key.length > CELL_LENGTH_MAX || this.areTooMany) break;
      if (this.#names === undefined || key in value) setOwn(row, key, this.cell(value[key]));
    }
    return row;
  }
}

/** The items of an iterable, up to the limit. */
function itemsOf(iterable) {
  const items = [];
  // deno-lint-ignore prefer-primordials
  for (const item of iterable) {
    if (ArrayPrototypePush(items, item) > ROWS_MAX) break;
  }
  return items;
}

/**
 * The arguments for a console's table: `[data, properties]`. `undefined` if the value is not a table or too large. `inspect`
 * formats the value of a cell.
 */
function tabular(data, properties, inspect) {
  // Rejected by the console.
  if (properties !== undefined && !ArrayIsArray(properties)) return [{}, properties];
  if (!isObject(data) || typeof data === "function") return undefined;
  let names;
  if (properties !== undefined) {
    names = [];
    for (let i = 0; i < MathMin(properties.length, ROWS_MAX); i++) ArrayPrototypePush(names, short(String(properties[i])));
  }
  const kind = op_isopod_kind_of(data);
  if (kind === PROXY) return undefined;
  if (kind === MAP) {
    const rows = new Rows(MapPrototypeGetSize(data), names, inspect);
    if (rows.areTooMany) return undefined;
    const copy = new SafeMap();
    for (const entry of new SafeMapIterator(data)) MapPrototypeSet(copy, rows.cell(entry[0]), rows.cell(entry[1]));
    return [copy, names];
  }
  if (kind === SET || (!ArrayIsArray(data) && typeof data[SymbolIterator] === "function")) {
    if (kind === SET && SetPrototypeGetSize(data) > ROWS_MAX) return undefined;
    const items = itemsOf(kind === SET ? new SafeSetIterator(data) : data);
    const rows = new Rows(items.length, names, inspect);
    for (let i = 0; i < items.length; i++) items[i] = rows.row(items[i]);
    if (rows.areTooMany) return undefined;
    return [{ __proto__: null, [SymbolIterator]: () => new SafeArrayIterator(items) }, names];
  }
  const keys = ObjectKeys(data);
  const rows = new Rows(keys.length, names, inspect);
  const copy = {};
  for (let i = 0; i < keys.length; i++) {
    if (rows.areTooMany || keys[i].length > CELL_LENGTH_MAX) return undefined;
    setOwn(copy, keys[i], rows.row(data[keys[i]]));
  }
  return rows.areTooMany ? undefined : [copy, names];
}

return { tabular };
})();
