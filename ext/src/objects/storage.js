// `ctx.storage`: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/
//
// Every operation is complete when it returns, so the promises of this interface are already settled: no other code of the
// object runs between a call and the code that awaits it.

(function () {
const { core, primordials } = __bootstrap;
const {
  op_isopod_object_alarm,
  op_isopod_object_begin,
  op_isopod_object_clear,
  op_isopod_object_delete,
  op_isopod_object_delete_all,
  op_isopod_object_durable,
  op_isopod_object_finish,
  op_isopod_object_get,
  op_isopod_object_get_all,
  op_isopod_object_list,
  op_isopod_object_put,
  op_isopod_object_put_all,
  op_isopod_object_set_alarm,
} = core.ops;
const {
  ArrayIsArray,
  ArrayPrototypePush,
  ArrayPrototypeSlice,
  DateNow,
  DatePrototypeGetTime,
  Error,
  MapPrototypeSet,
  NumberIsNaN,
  Map,
  ObjectKeys,
  RangeError,
  ReflectApply,
  SafeArrayIterator,
  Symbol,
  SymbolToStringTag,
  TypedArrayPrototypeGetByteLength,
  TypeError,
} = primordials;
const { deserializeApart, serializeApart } = core.loadExtScript("ext:isopod_web/clone.js");
const { sqlOf } = core.loadExtScript("ext:isopod_objects/sql.js");

const constructKey = Symbol("construct");

/** https://developers.cloudflare.com/durable-objects/platform/limits/ */
const KEY_BYTES_MAX = 2048;
const KEYS_MAX = 128;
/** Maximum size of a key and its value together: that of a row (database.rs), less its header. */
const ENTRY_BYTES_MAX = 2_199_936;

/** The bytes of values with which no more are passed to the storage in one call. */
const VALUES_BYTES = 4 << 20;

const NO_RECOVERY = "This Durable Object's storage back-end does not implement point-in-time recovery.";

function checkedKey(key) {
  const text = `${key}`;
  // The cheap check suffices for most keys.
  if (text.length > KEY_BYTES_MAX / 3 && (text.length > KEY_BYTES_MAX || core.encode(text).length > KEY_BYTES_MAX)) {
    throw new RangeError(`Keys cannot be larger than ${KEY_BYTES_MAX} bytes.`);
  }
  return text;
}

function serialized(key, value) {
  const bytes = serializeApart(value, []);
  const length = TypedArrayPrototypeGetByteLength(bytes);
  // A character of a key has three bytes at the most.
  if (length + key.length * 3 > ENTRY_BYTES_MAX) {
    const both = length + core.encode(key).length;
    if (both > ENTRY_BYTES_MAX) {
      throw new RangeError(`A key and its value cannot be larger than ${ENTRY_BYTES_MAX} bytes together. They have ${both}.`);
    }
  }
  return bytes;
}

function checkedKeys(keys) {
  if (keys.length > KEYS_MAX) throw new RangeError(`Maximum number of keys is ${KEYS_MAX}.`);
  const checked = [];
  for (let i = 0; i < keys.length; i++) ArrayPrototypePush(checked, checkedKey(keys[i]));
  return checked;
}

// ---- entries

function getOne(rid, key) {
  const bytes = op_isopod_object_get(rid, key);
  return bytes === null || bytes === undefined ? undefined : deserializeApart(bytes);
}

function putOne(rid, key, value) {
  if (value === undefined) throw new TypeError("put() called with undefined value.");
  op_isopod_object_put(rid, key, serialized(key, value));
}

function entries(rid, options) {
  const text = (name) => {
    const value = options?.[name];
    return value === undefined || value === null ? undefined : `${value}`;
  };
  const start = text("start");
  const after = text("startAfter");
  if (start !== undefined && after !== undefined) {
    throw new TypeError("list() cannot be called with both start and startAfter values.");
  }
  const limit = options?.limit;
  if (limit !== undefined && !(limit > 0)) throw new TypeError("List limit must be positive.");
  return op_isopod_object_list(rid, start, after, text("end"), text("prefix"), !!options?.reverse, limit ?? Infinity);
}

/** An iterator over entries, whose values are created on demand. */
function* each(found) {
  for (const { key, value } of new SafeArrayIterator(found)) yield [key, deserializeApart(value)];
}

function get(rid, keys) {
  if (!ArrayIsArray(keys)) return getOne(rid, checkedKey(keys));
  const found = new Map();
  for (let left = checkedKeys(keys); left.length > 0; ) {
    // Of some of them, if they are large.
    const values = op_isopod_object_get_all(rid, left);
    for (let i = 0; i < values.length; i++) {
      const bytes = values[i];
      if (bytes !== null && bytes !== undefined) MapPrototypeSet(found, left[i], deserializeApart(bytes));
    }
    left = ArrayPrototypeSlice(left, values.length);
  }
  return found;
}

function put(rid, key, value) {
  if (key === null || typeof key !== "object") {
    putOne(rid, checkedKey(key), value);
    return;
  }
  const keys = [];
  const values = [];
  // All are checked before the first is stored.
  for (const name of new SafeArrayIterator(checkedKeys(ObjectKeys(key)))) {
    const item = key[name];
    // Left out, as on the platform.
    if (item === undefined) continue;
    ArrayPrototypePush(keys, name);
    ArrayPrototypePush(values, serialized(name, item));
  }
  for (let from = 0; from < keys.length; ) {
    let to = from;
    for (let bytes = 0; to < keys.length && bytes < VALUES_BYTES; to++) {
      bytes += TypedArrayPrototypeGetByteLength(values[to]);
    }
    op_isopod_object_put_all(rid, ArrayPrototypeSlice(keys, from, to), ArrayPrototypeSlice(values, from, to));
    from = to;
  }
}

function remove(rid, keys) {
  if (!ArrayIsArray(keys)) return op_isopod_object_delete(rid, checkedKey(keys));
  const checked = checkedKeys(keys);
  return checked.length === 0 ? 0 : op_isopod_object_delete_all(rid, checked);
}

function list(rid, options) {
  const map = new Map();
  for (const { key, value } of new SafeArrayIterator(entries(rid, options))) MapPrototypeSet(map, key, deserializeApart(value));
  return map;
}

function alarmTime(time) {
  const at = typeof time === "number" ? time : DatePrototypeGetTime(time);
  if (NumberIsNaN(at)) throw new TypeError("The value cannot be converted because it is not a valid Date.");
  if (at <= 0) throw new TypeError("setAlarm() cannot be called with an alarm time <= 0");
  return at > DateNow() ? at : DateNow();
}

// ---- interfaces

/** The operations on entries, for storage and transactions. */
class Operations {
  #of;
  constructor(key, of) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#of = of;
  }
  async get(keys, _options = undefined) {
    return get(this.#of.rid, keys);
  }
  async put(key, value, _options = undefined) {
    put(this.#of.rid, key, value);
  }
  async delete(keys, _options = undefined) {
    return remove(this.#of.rid, keys);
  }
  async list(options = undefined) {
    return list(this.#of.rid, options);
  }
  async getAlarm(_options = undefined) {
    if (this.#of.isInAlarm) return null;
    const at = op_isopod_object_alarm(this.#of.rid);
    return NumberIsNaN(at) ? null : at;
  }
  async setAlarm(time, _options = undefined) {
    const at = alarmTime(time);
    if (typeof this.#of.instance?.alarm !== "function" && this.#of.instance !== null) {
      throw new TypeError("Your Durable Object class must have an alarm() handler in order to call setAlarm()");
    }
    op_isopod_object_set_alarm(this.#of.rid, at);
    this.#of.isInAlarm = false;
  }
  async deleteAlarm(_options = undefined) {
    if (this.#of.isInAlarm) return;
    op_isopod_object_set_alarm(this.#of.rid, NaN);
  }
}

class DurableObjectTransaction extends Operations {
  #state;
  constructor(key, of, state) {
    super(key, of);
    this.#state = state;
  }
  rollback() {
    this.#state.isRolledBack = true;
  }
  get [SymbolToStringTag]() {
    return "DurableObjectTransaction";
  }
}

/** Synchronous: https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#synchronous-kv-api */
class SyncKvStorage {
  #of;
  constructor(key, of) {
    if (key !== constructKey) throw new TypeError("Illegal constructor");
    this.#of = of;
  }
  get(key) {
    return getOne(this.#of.rid, checkedKey(key));
  }
  put(key, value) {
    putOne(this.#of.rid, checkedKey(key), value);
  }
  delete(key) {
    return op_isopod_object_delete(this.#of.rid, checkedKey(key));
  }
  list(options = undefined) {
    return each(entries(this.#of.rid, options));
  }
  get [SymbolToStringTag]() {
    return "SyncKvStorage";
  }
}

class DurableObjectStorage extends Operations {
  #of;
  sql;
  kv;
  constructor(key, of) {
    super(key, of);
    this.#of = of;
    this.sql = sqlOf(of);
    this.kv = new SyncKvStorage(constructKey, of);
  }
  async deleteAll(_options = undefined) {
    op_isopod_object_clear(this.#of.rid);
    this.#of.deletions++;
  }
  async sync() {
    await op_isopod_object_durable(this.#of.rid);
  }
  transactionSync(callback) {
    const { rid } = this.#of;
    op_isopod_object_begin(rid);
    let result;
    try {
      result = ReflectApply(callback, undefined, []);
    } catch (error) {
      op_isopod_object_finish(rid, false);
      throw error;
    }
    op_isopod_object_finish(rid, true);
    return result;
  }
  /** No other event of the object begins meanwhile. */
  transaction(callback) {
    const of = this.#of;
    return of.exclusively(async () => {
      const { rid } = of;
      const state = { isRolledBack: false };
      op_isopod_object_begin(rid);
      of.transactions++;
      let keeps = false;
      try {
        const result = await ReflectApply(callback, undefined, [new DurableObjectTransaction(constructKey, of, state)]);
        keeps = !state.isRolledBack;
        return result;
      } finally {
        of.transactions--;
        op_isopod_object_finish(rid, keeps);
      }
    });
  }
  // Point-in-time recovery: the error is that of workerd's own storage, by which libraries tell that there is none.
  async getCurrentBookmark() {
    throw new Error(NO_RECOVERY);
  }
  async getBookmarkForTime(_time) {
    throw new Error(NO_RECOVERY);
  }
  async onNextSessionRestoreBookmark(_bookmark) {
    throw new Error(NO_RECOVERY);
  }
  get [SymbolToStringTag]() {
    return "DurableObjectStorage";
  }
}

return { storageOf: (of) => new DurableObjectStorage(constructKey, of) };
})();
