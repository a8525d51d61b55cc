// The options of a bucket's methods, converted for the ops. A value of the wrong type is an error with workerd's message.

(function () {
const { core, primordials } = __bootstrap;
const { isAnyArrayBuffer, isDate } = core;
const { askForText, COPY } = core.loadExtScript("ext:isopod_quotas/texts.js");
const { Headers } = core.loadExtScript("ext:deno_fetch/20_headers.js");
const { bytesOf } = core.loadExtScript("ext:isopod_web/bytes.js");
const { TEXTS } = core.loadExtScript("ext:isopod_r2/object.js");
const {
  ArrayBufferIsView,
  ArrayIsArray,
  ArrayPrototypePush,
  Date,
  DatePrototypeGetTime,
  Error,
  MathTrunc,
  NumberIsNaN,
  ObjectKeys,
  ObjectPrototypeIsPrototypeOf,
  RangeError,
  ReflectApply,
  RegExpPrototypeTest,
  SafeArrayIterator,
  SafeRegExp,
  StringPrototypeEndsWith,
  StringPrototypeStartsWith,
  StringPrototypeToLowerCase,
  TypedArrayPrototypeGetByteLength,
  TypeError,
  Uint8Array,
} = primordials;
const { get: getHeader } = Headers.prototype;

/** Maximum length of custom metadata; more is refused without being read to the end. */
const METADATA_LENGTH_MAX = 2048;

/** A text for an op. */
function text(value) {
  const text = `${value}`;
  askForText(text, COPY);
  return text;
}

const isGiven = (value) => value !== undefined && value !== null;
const isObject = (value) => typeof value === "object" && value !== null || typeof value === "function";
const isHeaders = (value) => ObjectPrototypeIsPrototypeOf(Headers.prototype, value);
const header = (headers, name) => ReflectApply(getHeader, headers, [name]);

const wrong = (field, struct, type) =>
  new TypeError(`Incorrect type for the '${field}' field on '${struct}': the provided value is not of type '${type}'.`);

/** Checks the parameter with a method's options. */
function optionsOf(options, method, parameter, struct) {
  if (!isGiven(options)) return {};
  if (!isObject(options)) {
    throw new TypeError(`Failed to execute '${method}' on 'R2Bucket': parameter ${parameter} is not of type '${struct}'.`);
  }
  return options;
}

/** A string; other types are not converted. */
function textField(object, field, struct) {
  const value = object[field];
  if (!isGiven(value)) return null;
  if (typeof value !== "string") throw wrong(field, struct, "string");
  return text(value);
}

/** The milliseconds of a date. */
function dateField(object, field, struct) {
  const value = object[field];
  if (!isGiven(value)) return null;
  if (!isDate(value)) throw wrong(field, struct, "date");
  const time = DatePrototypeGetTime(value);
  if (NumberIsNaN(time)) throw wrong(field, struct, "date");
  return time;
}

/** The milliseconds of a date in a header. An invalid date is ignored: RFC 9110, 13.1.3. */
function dateHeader(headers, name) {
  const value = header(headers, name);
  const time = value === null ? NaN : DatePrototypeGetTime(new Date(value));
  return NumberIsNaN(time) ? null : time;
}

// ---- conditions and ranges

function etagField(object, field) {
  const etag = textField(object, field, "Conditional");
  if (etag !== null && StringPrototypeStartsWith(etag, '"') && StringPrototypeEndsWith(etag, '"')) {
    throw new TypeError(`Conditional ETag should not be wrapped in quotes (${etag}).`);
  }
  return etag;
}

function onlyIfOf(onlyIf, struct) {
  if (!isGiven(onlyIf)) return null;
  if (!isObject(onlyIf)) throw wrong("onlyIf", struct, "Conditional or Headers");
  if (isHeaders(onlyIf)) {
    return {
      __proto__: null,
      areHeaders: true,
      etagMatches: header(onlyIf, "if-match"),
      etagDoesNotMatch: header(onlyIf, "if-none-match"),
      uploadedBefore: dateHeader(onlyIf, "if-unmodified-since"),
      uploadedAfter: dateHeader(onlyIf, "if-modified-since"),
      secondsGranularity: true,
    };
  }
  return {
    __proto__: null,
    areHeaders: false,
    etagMatches: etagField(onlyIf, "etagMatches"),
    etagDoesNotMatch: etagField(onlyIf, "etagDoesNotMatch"),
    uploadedBefore: dateField(onlyIf, "uploadedBefore", "Conditional"),
    uploadedAfter: dateField(onlyIf, "uploadedAfter", "Conditional"),
    secondsGranularity: onlyIf.secondsGranularity ? true : false,
  };
}

function wholeField(range, field, name, kind = "range") {
  const value = range[field];
  if (value === undefined) return null;
  const number = +value;
  if (!(number >= 0)) throw new RangeError(`Invalid ${kind}. ${name} (${number}) must be greater than or equal to 0.`);
  if (MathTrunc(number) !== number) {
    throw new RangeError(`Invalid range. ${name} (${number}) must be an integer, not floating point.`);
  }
  return number;
}

function rangeOf(range) {
  if (!isGiven(range)) return null;
  if (!isObject(range)) throw wrong("range", "GetOptions", "Range or Headers");
  if (isHeaders(range)) {
    const value = header(range, "range");
    return value === null ? null : { __proto__: null, offset: null, length: null, suffix: null, header: value };
  }
  const offset = wholeField(range, "offset", "Starting offset");
  const length = wholeField(range, "length", "Length");
  if (isGiven(range.suffix)) {
    if (offset !== null) throw new TypeError("Suffix is incompatible with offset.");
    if (length !== null) throw new TypeError("Suffix is incompatible with length.");
  }
  const suffix = wholeField(range, "suffix", "Suffix", "suffix");
  // All of an object, which may be empty.
  if (offset === null && length === null && suffix === null) return null;
  return { __proto__: null, offset, length, suffix, header: null };
}

function getOptions(given) {
  const options = optionsOf(given, "get", 2, "GetOptions");
  refuseKeys(options);
  return { __proto__: null, onlyIf: onlyIfOf(options.onlyIf, "GetOptions"), range: rangeOf(options.range) };
}

/** Rejects encryption with a customer's key, which is not supported: data would be stored unencrypted. */
function refuseKeys(options) {
  if (isGiven(options.ssecKey)) throw new Error("ssecKey is not supported: objects are not encrypted here");
}

// ---- metadata

function httpMetadataOf(metadata, struct) {
  const read = { __proto__: null };
  if (!isGiven(metadata)) return read;
  if (!isObject(metadata)) throw wrong("httpMetadata", struct, "HttpMetadata or Headers");
  const areHeaders = isHeaders(metadata);
  for (const { 0: name, 1: of } of new SafeArrayIterator(TEXTS)) {
    const value = areHeaders ? header(metadata, of) : metadata[name];
    if (isGiven(value)) read[name] = text(value);
  }
  read.cacheExpiry = areHeaders ? dateHeader(metadata, "expires") : dateField(metadata, "cacheExpiry", "HttpMetadata");
  return read;
}

function customMetadataOf(metadata, struct) {
  const entries = [];
  if (!isGiven(metadata)) return entries;
  if (!isObject(metadata)) throw wrong("customMetadata", struct, "object");
  let length = 0;
  for (const key of new SafeArrayIterator(ObjectKeys(metadata))) {
    const value = text(metadata[key]);
    ArrayPrototypePush(entries, [text(key), value]);
    length += key.length + value.length;
    // The op refuses it.
    if (length > METADATA_LENGTH_MAX) break;
  }
  return entries;
}

const aboutOf = (options, struct) => ({
  __proto__: null,
  httpMetadata: httpMetadataOf(options.httpMetadata, struct),
  customMetadata: customMetadataOf(options.customMetadata, struct),
  storageClass: isGiven(options.storageClass) ? text(options.storageClass) : "",
});

function uploadOptions(given) {
  const options = optionsOf(given, "createMultipartUpload", 2, "MultipartOptions");
  refuseKeys(options);
  return aboutOf(options, "MultipartOptions");
}

// ---- checksums

const ALGORITHMS = [
  ["md5", "MD5", 16],
  ["sha1", "SHA-1", 20],
  ["sha256", "SHA-256", 32],
  ["sha384", "SHA-384", 48],
  ["sha512", "SHA-512", 64],
];

const HEX = new SafeRegExp(/^[0-9a-f]*$/i);
const DIGITS = "0123456789abcdef";

/** A checksum in hexadecimal. */
function digestOf(value, field, name, length) {
  if (typeof value === "string") {
    if (value.length !== 2 * length) {
      throw new TypeError(`${name} is ${2 * length} hex characters, not ${value.length}`);
    }
    if (!RegExpPrototypeTest(HEX, value)) throw new TypeError(`Provided ${name} wasn't a valid hex string`);
    return StringPrototypeToLowerCase(value);
  }
  if (!ArrayBufferIsView(value) && !isAnyArrayBuffer(value)) throw wrong(field, "PutOptions", "JsBufferSource or string");
  const bytes = ArrayBufferIsView(value) ? bytesOf(value) : new Uint8Array(value);
  const count = TypedArrayPrototypeGetByteLength(bytes);
  if (count !== length) throw new TypeError(`${name} is ${length} bytes, not ${count}`);
  let hex = "";
  for (let i = 0; i < length; i++) hex += DIGITS[bytes[i] >> 4] + DIGITS[bytes[i] & 15];
  return hex;
}

function checksumOf(options) {
  let checksum = null;
  for (const { 0: algorithm, 1: name, 2: length } of new SafeArrayIterator(ALGORITHMS)) {
    const value = options[algorithm];
    if (!isGiven(value)) continue;
    if (checksum !== null) throw new TypeError("You cannot specify multiple hashing algorithms.");
    checksum = { __proto__: null, algorithm, digest: digestOf(value, algorithm, name, length) };
  }
  return checksum;
}

function putOptions(given) {
  const options = optionsOf(given, "put", 3, "PutOptions");
  refuseKeys(options);
  return {
    __proto__: null,
    onlyIf: onlyIfOf(options.onlyIf, "PutOptions"),
    about: aboutOf(options, "PutOptions"),
    checksum: checksumOf(options),
  };
}

// ---- lists

/** The metadata that a list includes, and the options for the op. */
function listOptions(given) {
  const options = optionsOf(given, "list", 1, "ListOptions");
  const { limit, include } = options;
  const shows = { __proto__: null, httpMetadata: false, customMetadata: false };
  if (isGiven(include)) {
    if (!ArrayIsArray(include)) throw wrong("include", "ListOptions", "Array");
    for (let i = 0; i < include.length; i++) {
      const name = include[i];
      if (name !== "httpMetadata" && name !== "customMetadata") {
        throw new RangeError(`Unsupported include value ${name}`);
      }
      shows[name] = true;
    }
  }
  // -1 is no limit in workerd.
  const count = isGiven(limit) ? limit | 0 : -1;
  const read = {
    __proto__: null,
    prefix: textField(options, "prefix", "ListOptions") ?? "",
    delimiter: textField(options, "delimiter", "ListOptions"),
    startAfter: textField(options, "startAfter", "ListOptions"),
    cursor: textField(options, "cursor", "ListOptions"),
    limit: count === -1 ? null : count,
  };
  return { shows, read };
}

return { getOptions, listOptions, putOptions, text, uploadOptions };
})();
