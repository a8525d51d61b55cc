// The JavaScript side of an Analytics Engine dataset, in the shape of Workers'.

(function () {
const { core, primordials } = __bootstrap;
const { op_encoding_decode_utf8, op_isopod_write_data_point } = core.ops;
const { currentEvent } = core.loadExtScript("ext:isopod_context/context.js");
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { ArrayIsArray, ArrayPrototypeMap, Number, TypedArrayPrototypeGetByteLength, TypeError } = primordials;

/** Maximum size of all blobs of a data point. */
const BLOBS_BYTES = 16 << 10;

const prefix = "writeDataPoint(): ";

function list(value, name) {
  if (value === undefined || value === null) return [];
  if (!ArrayIsArray(value)) throw new TypeError(`${prefix}'${name}' is not an array`);
  if (value.length > 20) throw new TypeError(`${prefix}it has ${value.length} ${name}, above the limit of ${name === "indexes" ? 1 : 20}`);
  return value;
}

/** Converts text, or bytes as UTF-8. `null` is an empty text. Too long values are refused before they are copied. */
function text(value) {
  if (value === null || value === undefined) return "";
  const bytes = typeof value === "string" ? null : bytesOf(value);
  const length = bytes === null ? value.length : TypedArrayPrototypeGetByteLength(bytes);
  if (length > BLOBS_BYTES) throw new TypeError(`${prefix}it has a text of ${length} bytes, above the limit of ${BLOBS_BYTES}`);
  return bytes === null ? value : op_encoding_decode_utf8(bytes, false);
}

class AnalyticsEngineDataset {
  #name;
  constructor(name) {
    this.#name = name;
  }
  /** Writes a data point, without waiting for it. */
  writeDataPoint(point) {
    const indexes = ArrayPrototypeMap(list(point?.indexes, "indexes"), text);
    const blobs = ArrayPrototypeMap(list(point?.blobs, "blobs"), text);
    const doubles = ArrayPrototypeMap(list(point?.doubles, "doubles"), (value) => Number(value));
    op_isopod_write_data_point(this.#name, indexes, blobs, doubles, currentEvent());
  }
}

return { make: (name) => new AnalyticsEngineDataset(name) };
})();
