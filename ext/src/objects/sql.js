// `ctx.storage.sql`: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#sql-api

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_object_size, op_isopod_object_sql } = core.ops;
const {
  ArrayBufferIsView,
  ArrayPrototypePush,
  Error,
  ObjectDefineProperty,
  SafeArrayIterator,
  String,
  Symbol,
  SymbolIterator,
  SymbolToStringTag,
  TypedArrayPrototypeGetBuffer,
  TypeError,
  Uint8Array,
} = primordials;
const { bytesOfView } = core.loadExtScript("ext:isopod_web/bytes.js");
const { askForText, COPY } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { isAnyArrayBuffer } = core;

const constructKey = Symbol("construct");

/** A bound value for the op. */
function parameter(value) {
  switch (typeof value) {
    case "number":
      return value;
    case "string":
      return value;
    case "boolean":
      return value ? "true" : "false";
    case "undefined":
      return null;
    case "object":
      if (value === null) return null;
      if (isAnyArrayBuffer(value)) return new Uint8Array(value);
      if (ArrayBufferIsView(value)) return bytesOfView(value);
  }
  throw new TypeError(`a value of type '${typeof value}' cannot be bound: use a string, a number, null or an ArrayBuffer`);
}

const shown = (value) => typeof value === "object" && value !== null ? TypedArrayPrototypeGetBuffer(value) : value;

function rowObject(columns, row) {
  const object = {};
  for (let i = 0; i < columns.length; i++) {
    ObjectDefineProperty(object, columns[i], {
      __proto__: null,
      value: shown(row[i]),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return object;
}

function rowArray(row) {
  const values = [];
  for (let i = 0; i < row.length; i++) ArrayPrototypePush(values, shown(row[i]));
  return values;
}

/** The result of a statement, which can be read once. */
class SqlStorageCursor {
  #set;
  #at = 0;
  constructor(key, set) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#set = set;
  }
  #next() {
    const { rows } = this.#set;
    return this.#at < rows.length ? rows[this.#at++] : undefined;
  }
  next() {
    const row = this.#next();
    return row === undefined ? { done: true, value: undefined } : { done: false, value: rowObject(this.#set.columns, row) };
  }
  toArray() {
    const all = [];
    for (let row = this.#next(); row !== undefined; row = this.#next()) {
      ArrayPrototypePush(all, rowObject(this.#set.columns, row));
    }
    return all;
  }
  one() {
    const row = this.#next();
    if (row === undefined) throw new Error("Expected exactly one result from SQL query, but got no results.");
    if (this.#next() !== undefined) throw new Error("Expected exactly one result from SQL query, but got multiple results.");
    return rowObject(this.#set.columns, row);
  }
  /** An iterator over rows as arrays. */
  raw() {
    return new RawIterator(constructKey, () => this.#next());
  }
  get columnNames() {
    return [...new SafeArrayIterator(this.#set.columns)];
  }
  get rowsRead() {
    return this.#set.rows.length;
  }
  get rowsWritten() {
    return this.#set.changes;
  }
  [SymbolIterator]() {
    return this;
  }
  get [SymbolToStringTag]() {
    return "SqlStorageCursor";
  }
}

class RawIterator {
  #next;
  constructor(key, next) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#next = next;
  }
  next() {
    const row = this.#next();
    return row === undefined ? { done: true, value: undefined } : { done: false, value: rowArray(row) };
  }
  toArray() {
    const all = [];
    for (let row = this.#next(); row !== undefined; row = this.#next()) ArrayPrototypePush(all, rowArray(row));
    return all;
  }
  [SymbolIterator]() {
    return this;
  }
}

class SqlStorage {
  #of;
  constructor(key, of) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#of = of;
  }
  exec(query, ...bindings) {
    const text = String(query);
    askForText(text, COPY);
    const params = [];
    for (let i = 0; i < bindings.length; i++) ArrayPrototypePush(params, parameter(bindings[i]));
    return new SqlStorageCursor(constructKey, op_isopod_object_sql(this.#of.rid, text, params, this.#of.held.key));
  }
  get databaseSize() {
    return op_isopod_object_size(this.#of.rid);
  }
  get [SymbolToStringTag]() {
    return "SqlStorage";
  }
}

return { sqlOf: (of) => new SqlStorage(constructKey, of) };
})();
