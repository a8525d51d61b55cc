// Checks for memory before deno's ops allocate a multiple of a text or buffer outside of the heap. Loaded before deno's
// scripts, which capture their ops when they are loaded.

(function () {
const { core, primordials } = __bootstrap;
const { ops, isArrayBuffer } = core;
const { op_isopod_room_for_memory, op_isopod_room_for_text } = ops;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const {
  ArrayBufferIsView,
  ArrayBufferPrototypeGetByteLength,
  ArrayPrototypePush,
  DataViewPrototypeGetByteLength,
  ObjectValues,
  RangeError,
  ReflectApply,
  SafeArrayIterator,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeGetSymbolToStringTag,
} = primordials;

/** Below this size no check is made: the memory is counted once it is allocated. */
const LARGE_BYTES = 64 * 1024;

/** Calls `check` with the arguments of an op before the op. */
function before(name, check) {
  const op = ops[name];
  ops[name] = (...args) => {
    ReflectApply(check, undefined, args);
    return ReflectApply(op, undefined, args);
  };
}

/** Not through the property, which a script may shadow. */
function byteLengthOf(value) {
  if (ArrayBufferIsView(value)) {
    return TypedArrayPrototypeGetSymbolToStringTag(value) === undefined
      ? DataViewPrototypeGetByteLength(value)
      : TypedArrayPrototypeGetByteLength(value);
  }
  return isArrayBuffer(value) ? ArrayBufferPrototypeGetByteLength(value) : 0;
}

// An op's use of a text, as in `text.rs`.
const READ = 0;
const COPY = 1;
const URL_TEXT = 2;
const PAIRS = 3;

/** Checks for the memory that an op allocates for a text, for each copy. A text may be a few repeated pieces until it is read. */
function askForText(text, use, times = 1) {
  if (text.length > LARGE_BYTES) op_isopod_room_for_text(text, use, times);
}

/** Checks for this many bytes per byte of a buffer or view. */
function askForBytes(value, factor) {
  const bytes = byteLengthOf(value);
  if (bytes > LARGE_BYTES) op_isopod_room_for_memory(factor * bytes, false);
}

/** The same for lists, whose lengths are added up before any text is read. */
function askForPairs(pairs, use) {
  let length = 0;
  for (let i = 0; i < pairs.length; i++) length += pairs[i][0].length + pairs[i][1].length;
  if (length > LARGE_BYTES) op_isopod_room_for_text(pairs, use, 1);
}

// Converts every text that a web platform interface takes.
const { converters } = webidl;
const { DOMString } = converters;
converters.DOMString = (value, prefix, context, options) => {
  const text = DOMString(value, prefix, context, options);
  if (text.length > LARGE_BYTES) op_isopod_room_for_text(text, READ, 1);
  return text;
};
converters["sequence<DOMString>"] = webidl.createSequenceConverter(converters.DOMString);

// Called often, therefore separate functions that V8 can inline.
const { encode, decode } = core;
core.encode = (text) => {
  askForText(text, COPY);
  return encode(text);
};
core.decode = (bytes) => {
  askForBytes(bytes, 2);
  return decode(bytes);
};
const { op_encoding_decode_utf8, op_encoding_encode_into, op_url_parse, op_url_parse_with_base } = ops;
ops.op_encoding_decode_utf8 = (bytes, ignoreBOM) => {
  askForBytes(bytes, 2);
  return op_encoding_decode_utf8(bytes, ignoreBOM);
};
ops.op_encoding_encode_into = (text, bytes, out) => {
  askForText(text, READ);
  return op_encoding_encode_into(text, bytes, out);
};
ops.op_url_parse = (href, parts) => {
  askForText(href, URL_TEXT);
  return op_url_parse(href, parts);
};
ops.op_url_parse_with_base = (href, base, parts) => {
  askForText(href, URL_TEXT);
  askForText(base, URL_TEXT);
  return op_url_parse_with_base(href, base, parts);
};

for (
  const [name, times] of new SafeArrayIterator([
    ["op_base64_atob", 2],
    ["op_base64_btoa", 3],
    ["op_base64_decode", 2],
    ["op_base64url_decode", 2],
    ["op_encode_binary_string", 2],
    ["op_encoding_normalize_label", 4],
    ["op_utf8_to_byte_string", 2],
  ])
) {
  before(name, (value) => typeof value === "string" ? askForText(value, COPY, times) : askForBytes(value, times));
}
for (
  const [name, times] of new SafeArrayIterator([
    ["op_base64_encode_from_buffer", 3],
    ["op_base64url_encode_from_buffer", 3],
    // Two bytes per byte, in Rust and on the heap.
    ["op_encoding_decode", 4],
    ["op_encoding_decode_single", 4],
    ["op_encoding_decode_utf8_ascii_only", 1],
  ])
) {
  before(name, (value) => askForBytes(value, times));
}
before("op_encoding_encode_into_fallback", (text) => askForText(text, READ));
before("op_url_reparse", (href, _setter, value) => {
  askForText(href, URL_TEXT);
  askForText(value, URL_TEXT, 2);
});
before("op_url_parse_search_params", (text, bytes) => {
  if (typeof text === "string") askForText(text, PAIRS);
  else if (byteLengthOf(bytes) > LARGE_BYTES) op_isopod_room_for_text(bytes, PAIRS, 1);
});
before("op_url_stringify_search_params", (pairs) => askForPairs(pairs, URL_TEXT));

/** Maximum length of a `URLPattern`: parsing takes time proportional to the square of its length. */
const PATTERN_LENGTH_MAX = 16 * 1024;

/** The texts of a `URLPattern` input: a URL, or its components. */
function textsOf(input, base) {
  const texts = typeof input === "string" ? [input] : ObjectValues(input);
  if (typeof base === "string") ArrayPrototypePush(texts, base);
  return texts;
}

function lengthOfTexts(texts) {
  let length = 0;
  for (let i = 0; i < texts.length; i++) length += typeof texts[i] === "string" ? texts[i].length : 0;
  return length;
}

before("op_urlpattern_parse", (input, base) => {
  if (lengthOfTexts(textsOf(input, base)) > PATTERN_LENGTH_MAX) {
    throw new RangeError(`a URLPattern has at most ${PATTERN_LENGTH_MAX} characters`);
  }
});
before("op_urlpattern_process_match_input", (input, base) => {
  const texts = textsOf(input, base);
  if (lengthOfTexts(texts) > LARGE_BYTES) op_isopod_room_for_text(texts, URL_TEXT, 2);
});

return { askForText, before, byteLengthOf, COPY, LARGE_BYTES, READ, URL_TEXT };
})();
