// Parses `multipart/form-data` (RFC 7578) as written by browsers, curl and FormData.

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  FunctionPrototypeCall,
  MapPrototypeGet,
  MapPrototypeHas,
  MapPrototypeSet,
  SafeMap,
  SafeRegExp,
  StringPrototypeIncludes,
  StringPrototypeIndexOf,
  StringPrototypeReplace,
  StringPrototypeSlice,
  StringPrototypeSplit,
  StringPrototypeToLowerCase,
  StringPrototypeTrim,
  TypedArrayPrototypeGetByteLength,
  TypedArrayPrototypeIndexOf,
  TypedArrayPrototypeSubarray,
  TypeError,
} = primordials;

const { Blob } = core.loadExtScript("ext:deno_web/09_file.js");
const { FormData } = core.loadExtScript("ext:deno_fetch/21_formdata.js");
const { append } = FormData.prototype;

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DASH = 45;

const PART_HEADER_BYTES_MAX = 16 * 1024;
const PART_HEADERS_MAX = 128;

function malformed(what) {
  return new TypeError(`the body is not valid multipart/form-data: ${what}`);
}

/** The position in a body. */
class Reader {
  #body;
  #length;
  #delimiter;
  #position = 0;
  constructor(body, boundary) {
    this.#body = body;
    this.#length = TypedArrayPrototypeGetByteLength(body);
    this.#delimiter = core.encode(`--${boundary}`);
  }

  /** Moves behind the delimiter at `start`. Returns `"part"` or `"end"`, by what follows, or `null` without a delimiter. */
  #passDelimiter(start) {
    const delimiter = this.#delimiter;
    const length = TypedArrayPrototypeGetByteLength(delimiter);
    for (let i = 0; i < length; i++) {
      if (this.#body[start + i] !== delimiter[i]) return null;
    }
    let at = start + length;
    const isEnd = this.#body[at] === DASH && this.#body[at + 1] === DASH;
    if (isEnd) at += 2;
    // RFC 2046, section 5.1.1: transports may append white space to the line.
    while (this.#body[at] === SPACE || this.#body[at] === TAB) at++;
    if (isEnd) return at >= this.#length || this.#body[at] === CR || this.#body[at] === LF ? "end" : null;
    if (this.#body[at] !== CR || this.#body[at + 1] !== LF) return null;
    this.#position = at + 2;
    return "part";
  }

  /** The position of the next CR LF. */
  #lineEnd(from) {
    while (true) {
      const at = TypedArrayPrototypeIndexOf(this.#body, CR, from);
      if (at === -1 || this.#body[at + 1] === LF) return at;
      from = at + 1;
    }
  }

  /** Skips the preamble, which is for programs without multipart support (RFC 2046, section 5.1.1). */
  begin() {
    let start = 0;
    while (true) {
      const next = this.#passDelimiter(start);
      if (next !== null) return next;
      const line = this.#lineEnd(start);
      if (line === -1) throw malformed("it contains no boundary");
      start = line + 2;
    }
  }

  /** The header lines of a part, as UTF-8 text. */
  headers() {
    const lines = [];
    const first = this.#position;
    while (true) {
      const start = this.#position;
      const end = this.#lineEnd(start);
      if (end === -1) throw malformed("it ends inside the headers of a part");
      if (end - first > PART_HEADER_BYTES_MAX) throw malformed("the headers of a part are too large");
      this.#position = end + 2;
      if (end === start) return lines;
      const line = core.decode(TypedArrayPrototypeSubarray(this.#body, start, end));
      const isFolded = this.#body[start] === SPACE || this.#body[start] === TAB;
      if (isFolded && lines.length > 0) {
        lines[lines.length - 1] += ` ${StringPrototypeTrim(line)}`;
      } else {
        if (lines.length === PART_HEADERS_MAX) throw malformed("a part has too many headers");
        ArrayPrototypePush(lines, line);
      }
    }
  }

  /** The content of a part, and `"part"` or `"end"`. */
  content() {
    const start = this.#position;
    // The line break before a delimiter belongs to the delimiter; for an empty part, it is the one after its headers.
    let end = start - 2;
    while (true) {
      const next = this.#passDelimiter(end + 2);
      if (next !== null) {
        return { bytes: TypedArrayPrototypeSubarray(this.#body, start, end < start ? start : end), next };
      }
      end = this.#lineEnd(end + 2);
      if (end === -1) throw malformed("it ends before its last boundary");
    }
  }
}

/** `form-data; name="a"; filename="b"` without the part before the first semicolon, or `null` for another form. */
function parameters(text, hasEscapes) {
  const found = new SafeMap();
  let at = 0;
  while (at < text.length) {
    if (text[at] !== ";") return null;
    const equals = StringPrototypeIndexOf(text, "=", at);
    if (equals === -1) return StringPrototypeTrim(StringPrototypeSlice(text, at + 1)) === "" ? found : null;
    const name = StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(text, at + 1, equals)));
    // Not a name if it is part of a quoted value.
    if (StringPrototypeIncludes(name, '"')) return null;
    at = skipSpace(text, equals + 1);
    let value;
    if (text[at] === '"') {
      const end = closingQuote(text, at + 1, hasEscapes);
      if (end === -1) return null;
      value = StringPrototypeSlice(text, at + 1, end);
      at = skipSpace(text, end + 1);
    } else {
      let end = StringPrototypeIndexOf(text, ";", at);
      if (end === -1) end = text.length;
      value = StringPrototypeTrim(StringPrototypeSlice(text, at, end));
      at = end;
    }
    if (!MapPrototypeHas(found, name)) MapPrototypeSet(found, name, unescaped(value, hasEscapes));
  }
  return found;
}

function skipSpace(text, at) {
  while (text[at] === " " || text[at] === "\t") at++;
  return at;
}

function closingQuote(text, at, hasEscapes) {
  for (; at < text.length; at++) {
    if (text[at] === '"') return at;
    if (hasEscapes && text[at] === "\\" && (text[at + 1] === '"' || text[at + 1] === "\\")) at++;
  }
  return -1;
}

const BACKSLASHED = new SafeRegExp(/\\(["\\])/g);
const PERCENT_QUOTE = new SafeRegExp(/%22/g);
const PERCENT_CR = new SafeRegExp(/%0D/gi);
const PERCENT_LF = new SafeRegExp(/%0A/gi);

/**
 * The HTML Standard ("multipart/form-data encoding algorithm") writes quotes and line breaks as `%22`, `%0D` and `%0A`, and
 * leaves percent signs and backslashes unchanged. Senders that escape quotes with backslashes also escape backslashes.
 */
function unescaped(value, hasEscapes) {
  if (hasEscapes) value = StringPrototypeReplace(value, BACKSLASHED, "$1");
  value = StringPrototypeReplace(value, PERCENT_QUOTE, '"');
  value = StringPrototypeReplace(value, PERCENT_CR, "\r");
  return StringPrototypeReplace(value, PERCENT_LF, "\n");
}

/**
 * Browsers end `name="a\"` at the last quote, while in curl's `--form-escape` the `\"` is part of the name. A header that is
 * valid with escapes is parsed with them.
 */
function parseDisposition(value) {
  const start = StringPrototypeIndexOf(value, ";");
  const type = start === -1 ? value : StringPrototypeSlice(value, 0, start);
  if (StringPrototypeToLowerCase(StringPrototypeTrim(type)) !== "form-data") return null;
  const rest = start === -1 ? "" : StringPrototypeSlice(value, start);
  const escaped = StringPrototypeIncludes(rest, '\\"') ? parameters(rest, true) : null;
  return escaped ?? parameters(rest, false);
}

function parseHeaders(lines) {
  let disposition = null;
  let type = null;
  for (let i = 0; i < lines.length; i++) {
    const colon = StringPrototypeIndexOf(lines[i], ":");
    if (colon === -1) continue;
    const name = StringPrototypeToLowerCase(StringPrototypeTrim(StringPrototypeSlice(lines[i], 0, colon)));
    const value = StringPrototypeTrim(StringPrototypeSlice(lines[i], colon + 1));
    if (name === "content-disposition") disposition ??= value;
    else if (name === "content-type") type ??= value;
  }
  const found = disposition === null ? null : parseDisposition(disposition);
  if (found === null) throw malformed("a part has no form-data Content-Disposition");
  const field = MapPrototypeGet(found, "name");
  if (field === undefined) throw malformed("a part has no name");
  return { name: field, filename: MapPrototypeGet(found, "filename"), type };
}

/** UTF-8 decode without BOM: a leading BOM is part of the text. */
function decodeText(bytes) {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return (hasMark ? "\uFEFF" : "") + core.decode(bytes);
}

/** https://fetch.spec.whatwg.org/#body-mixin, for `multipart/form-data` */
function parseFormData(body, boundary) {
  if (!boundary) throw new TypeError("the Content-Type of multipart/form-data has no boundary");
  const reader = new Reader(body, boundary);
  const form = new FormData();
  let next = reader.begin();
  while (next === "part") {
    const { name, filename, type } = parseHeaders(reader.headers());
    const part = reader.content();
    if (filename === undefined) {
      FunctionPrototypeCall(append, form, name, decodeText(part.bytes));
    } else {
      const file = new Blob([part.bytes], { type: type ?? "text/plain" });
      FunctionPrototypeCall(append, form, name, file, filename);
    }
    next = part.next;
  }
  return form;
}

return { parseFormData };
})();
