// The JavaScript side of a SQL binding, with the interface of Workers' D1.

(function () {
const { core, primordials } = __bootstrap;
const { op_sql_dump, op_sql_exec, op_sql_read, op_sql_run } = core.ops;
const { currentEvent, saysEnded, unlessEnded } = core.loadExtScript("ext:isopod_context/context.js");
const { bytesOfView } = core.loadExtScript("ext:isopod_web/bytes.js");
const {
  ArrayBufferIsView,
  ArrayFrom,
  ArrayIsArray,
  ArrayPrototypeEvery,
  ArrayPrototypeMap,
  ArrayPrototypePush,
  DateNow,
  Error,
  NumberIsInteger,
  NumberIsNaN,
  NumberPrototypeToString,
  ObjectDefineProperty,
  ObjectHasOwn,
  SafeArrayIterator,
  String,
  StringPrototypePadStart,
  StringPrototypeTrim,
  Symbol,
  TypeError,
  TypedArrayPrototypeGetBuffer,
  Uint8Array,
} = primordials;
const { isAnyArrayBuffer } = core;

const construct = Symbol("construct");

const run = (...args) => unlessEnded(op_sql_run, undefined, [...new SafeArrayIterator(args), currentEvent()]);
const exec = (...args) => unlessEnded(op_sql_exec, undefined, [...new SafeArrayIterator(args), currentEvent()]);

function failure(code, cause) {
  if (saysEnded(cause)) return cause;
  const message = cause?.message ?? String(cause);
  return new Error(`${code}: ${message}`, { cause: cause instanceof Error ? cause : new Error(message) });
}

const isByte = (value) => NumberIsInteger(value) && value >= 0 && value <= 255;

// A bound value for the op: null, number, string or Uint8Array.
function parameter(value) {
  switch (typeof value) {
    case "number":
      return NumberIsNaN(value) ? null : value;
    case "string":
      return value;
    case "boolean":
      return value ? 1 : 0;
    case "object":
      if (value === null) return null;
      if (ArrayBufferIsView(value)) return bytesOfView(value);
      if (isAnyArrayBuffer(value)) return new Uint8Array(value);
      if (ArrayIsArray(value) && ArrayPrototypeEvery(value, isByte)) return new Uint8Array(value);
  }
  let shown;
  try {
    shown = String(value);
  } catch {
    shown = "[object]";
  }
  throw failure("D1_TYPE_ERROR", `Type '${typeof value}' not supported for value '${shown}'`);
}

// D1 returns blobs as arrays of numbers.
const shown = (value) => typeof value === "object" && value !== null ? ArrayFrom(value) : value;

function rowObject(columns, row) {
  const object = {};
  for (let i = 0; i < columns.length; i++) {
    const value = shown(row[i]);
    if (columns[i] === "__proto__") {
      // A column, not the object's prototype.
      ObjectDefineProperty(object, "__proto__", {
        __proto__: null,
        configurable: true,
        enumerable: true,
        value,
        writable: true,
      });
    } else {
      object[columns[i]] = value;
    }
  }
  return object;
}

function result(set) {
  return {
    success: true,
    meta: {
      served_by: "isopod",
      duration: set.duration,
      changes: set.changes,
      last_row_id: set.lastRowId,
      changed_db: set.changedDb,
      size_after: set.sizeAfter ?? 0,
      rows_read: set.rows.length,
      rows_written: set.changes,
    },
    results: ArrayPrototypeMap(set.rows, (row) => rowObject(set.columns, row)),
  };
}

class D1PreparedStatement {
  #database;
  #query;
  #session;

  constructor(key, database, sql, parameters, session = undefined) {
    if (key !== construct) throw new TypeError("Illegal constructor");
    this.#database = database;
    this.#session = session;
    this.#query = [sql, parameters];
  }

  static query(statement) {
    return statement.#query;
  }

  bind(...values) {
    const parameters = ArrayPrototypeMap(values, parameter);
    return new D1PreparedStatement(construct, this.#database, this.#query[0], parameters, this.#session);
  }

  /** The result of a short read, which is there at once; otherwise a promise of the result. */
  #run(isSized) {
    const read = op_sql_read(this.#database, this.#query[0], this.#query[1], isSized, currentEvent());
    if (read === null) return this.#runElsewhere();
    const { 0: columns, 1: rows, 2: duration, 3: sizeAfter } = read;
    this.#session?.queried();
    return { __proto__: null, columns, rows, duration, sizeAfter, changes: 0, lastRowId: 0, changedDb: false };
  }

  async #runElsewhere() {
    try {
      const sets = await run(this.#database, [this.#query], false);
      this.#session?.queried();
      return sets[0];
    } catch (error) {
      throw failure("D1_ERROR", error);
    }
  }

  async all() {
    return result(await this.#run(true));
  }

  async run() {
    return result(await this.#run(true));
  }

  async first(column) {
    const { columns, rows } = await this.#run(false);
    if (rows.length === 0) return null;
    const row = rowObject(columns, rows[0]);
    if (column === undefined) return row;
    if (!ObjectHasOwn(row, column)) {
      throw new Error(`D1_COLUMN_NOTFOUND: Column not found (${column})`, { cause: new Error("Column not found") });
    }
    return row[column];
  }

  async raw(options = undefined) {
    const { columns, rows } = await this.#run(false);
    const values = ArrayPrototypeMap(rows, (row) => ArrayPrototypeMap(row, shown));
    if (!options?.columnNames) return values;
    const all = [columns];
    for (let i = 0; i < values.length; i++) ArrayPrototypePush(all, values[i]);
    return all;
  }
}

/** Runs the statements in one transaction: all or none. */
async function batch(database, statements) {
  const queries = ArrayPrototypeMap(statements, D1PreparedStatement.query);
  try {
    return ArrayPrototypeMap(await run(database, queries, true), result);
  } catch (error) {
    throw failure("D1_ERROR", error);
  }
}

// ---- sessions: https://developers.cloudflare.com/d1/worker-api/d1-database/#withsession

// Bookmarks of this worker, in the order of its queries. There is one database, and every query sees everything
// committed before, so a session is never behind any bookmark.
let bookmarks = 0;
const bookmark = () => {
  const digits = (number) => StringPrototypePadStart(NumberPrototypeToString(number, 16), 8, "0");
  return `${digits(DateNow() / 1000 >>> 0)}-${digits(++bookmarks)}-00000000-00000000000000000000000000000000`;
};

class Session {
  bookmark;
  constructor(bookmark) {
    this.bookmark = bookmark;
  }
  queried() {
    this.bookmark = bookmark();
  }
}

class D1DatabaseSession {
  #name;
  #session;

  constructor(key, name, constraintOrBookmark) {
    if (key !== construct) throw new TypeError("Illegal constructor");
    const isConstraint = constraintOrBookmark === "first-primary" || constraintOrBookmark === "first-unconstrained";
    this.#name = name;
    this.#session = new Session(isConstraint ? null : constraintOrBookmark);
  }

  prepare(sql) {
    return new D1PreparedStatement(construct, this.#name, String(sql), [], this.#session);
  }

  async batch(statements) {
    const results = await batch(this.#name, statements);
    this.#session.queried();
    return results;
  }

  /** The bookmark of the last query; before the first, the one that the session began with, or null. */
  getBookmark() {
    return this.#session.bookmark;
  }
}

class D1Database {
  #name;

  constructor(name) {
    this.#name = name;
  }

  prepare(sql) {
    return new D1PreparedStatement(construct, this.#name, String(sql), []);
  }

  batch(statements) {
    return batch(this.#name, statements);
  }

  withSession(constraintOrBookmark = undefined) {
    const given = StringPrototypeTrim(String(constraintOrBookmark ?? ""));
    return new D1DatabaseSession(construct, this.#name, given === "" ? "first-unconstrained" : given);
  }

  /** Returns the database file as an ArrayBuffer. */
  async dump() {
    try {
      const sets = await unlessEnded(op_sql_dump, undefined, [this.#name, currentEvent()]);
      return TypedArrayPrototypeGetBuffer(sets[0].rows[0][0]);
    } catch (error) {
      throw failure("D1_DUMP_ERROR", error);
    }
  }

  async exec(sql) {
    let sets;
    try {
      sets = await exec(this.#name, String(sql));
    } catch (error) {
      throw failure("D1_EXEC_ERROR", error);
    }
    let duration = 0;
    for (let i = 0; i < sets.length; i++) duration += sets[i].duration;
    return { count: sets.length, duration };
  }
}

return { D1Database, make: (name) => new D1Database(name) };
})();
