// `ctx.storage.sql`: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#sql-api

(function () {
const { core, primordials } = __bootstrap;
const { op_isopod_object_close_cursor, op_isopod_object_rows, op_isopod_object_size, op_isopod_object_sql } = core.ops;
const {
  ArrayBufferIsView,
  ArrayPrototypePush,
  Error,
  ObjectDefineProperty,
  SafeArrayIterator,
  SafeFinalizationRegistry,
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

/** Closes the statements of cursors that are garbage. */
const abandoned = new SafeFinalizationRegistry(({ rid, id }) => op_isopod_object_close_cursor(rid, id));

/**
 * The result of a statement, which can be read once. Rows are read from SQLite as the cursor advances, a page at a time.
 * Named as on workerd.
 */
class Cursor {
  #of;
  #columns;
  #page;
  #at = 0;
  #taken = 0;
  /** The number of the statement, while it has more rows than those of the page. */
  #id = undefined;
  #deletions;
  constructor(key, of, set) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#of = of;
    this.#columns = set.columns;
    this.#page = set;
    this.#deletions = of.deletions;
    if (set.cursor !== undefined) {
      this.#id = set.cursor;
      abandoned.register(this, { __proto__: null, rid: of.rid, id: set.cursor }, this);
    }
  }
  #hasMore() {
    return this.#at < this.#page.rows.length || this.#id !== undefined;
  }
  /** Forgets the statement, which has ended. */
  #end() {
    this.#id = undefined;
    abandoned.unregister(this);
  }
  #read(takesAll) {
    const of = this.#of;
    let page;
    try {
      page = op_isopod_object_rows(of.rid, this.#id, takesAll, of.held.key);
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#page = { __proto__: null, rows: page.rows, changes: this.#page.changes };
    this.#at = 0;
    if (page.cursor === undefined) this.#end();
  }
  /** The next row. `takesAll`: the caller does nothing else before the last. */
  #next(takesAll = false) {
    if (!this.#hasMore()) return undefined;
    if (this.#deletions !== this.#of.deletions) {
      throw new Error("SQLite query was canceled because the database was deleted.");
    }
    if (this.#at === this.#page.rows.length) this.#read(takesAll);
    this.#taken++;
    return this.#page.rows[this.#at++];
  }
  next() {
    const row = this.#next();
    return row === undefined ? { done: true, value: undefined } : { done: false, value: rowObject(this.#columns, row) };
  }
  toArray() {
    const all = [];
    for (let row = this.#next(true); row !== undefined; row = this.#next(true)) {
      ArrayPrototypePush(all, rowObject(this.#columns, row));
    }
    return all;
  }
  one() {
    const row = this.#next();
    if (row === undefined) throw new Error("Expected exactly one result from SQL query, but got no results.");
    if (this.#hasMore()) {
      if (this.#id !== undefined) op_isopod_object_close_cursor(this.#of.rid, this.#id);
      this.#end();
      this.#page.rows.length = this.#at;
      this.#taken++;
      throw new Error("Expected exactly one result from SQL query, but got multiple results.");
    }
    return rowObject(this.#columns, row);
  }
  /** An iterator over rows as arrays. */
  raw() {
    return new RawIterator(constructKey, (takesAll) => this.#next(takesAll));
  }
  get columnNames() {
    return [...new SafeArrayIterator(this.#columns)];
  }
  /** The rows that were taken, and the one at which the statement stands. */
  get rowsRead() {
    return this.#taken + (this.#hasMore() ? 1 : 0);
  }
  get rowsWritten() {
    return this.#page.changes;
  }
  [SymbolIterator]() {
    return this;
  }
  get [SymbolToStringTag]() {
    return "Cursor";
  }
}

class RawIterator {
  #next;
  constructor(key, next) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#next = next;
  }
  next() {
    const row = this.#next(false);
    return row === undefined ? { done: true, value: undefined } : { done: false, value: rowArray(row) };
  }
  toArray() {
    const all = [];
    for (let row = this.#next(true); row !== undefined; row = this.#next(true)) ArrayPrototypePush(all, rowArray(row));
    return all;
  }
  [SymbolIterator]() {
    return this;
  }
  get [SymbolToStringTag]() {
    return "RawIterator";
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
    const set = op_isopod_object_sql(this.#of.rid, text, params, this.#of.held.key);
    return new Cursor(constructKey, this.#of, set);
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
