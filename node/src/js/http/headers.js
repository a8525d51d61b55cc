// Names and values of headers, checked and read as Node.js does: https://nodejs.org/api/http.html#messageheaders

(function () {
const { core, primordials } = __bootstrap;
const {
  ArrayPrototypePush,
  RegExpPrototypeExec,
  RegExpPrototypeTest,
  SafeRegExp,
  SafeSet,
  SetPrototypeHas,
  StringPrototypeToLowerCase,
} = primordials;
const errors = core.loadExtScript("ext:deno_node/internal/errors.ts");

/** RFC 9110, section 5.6.2. */
const TOKEN = new SafeRegExp(/^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/);
/** Matches control characters, and characters of more than a byte. */
// deno-lint-ignore no-control-regex
const NO_VALUE = new SafeRegExp(/[^\t\x20-\x7e\x80-\xff]/);

const isToken = (text) => typeof text === "string" && RegExpPrototypeTest(TOKEN, text);
const hasInvalidCharacter = (text) => RegExpPrototypeExec(NO_VALUE, `${text}`) !== null;

/** https://nodejs.org/api/http.html#httpvalidateheadernamename-label */
function validateHeaderName(name, label = undefined) {
  if (!isToken(name)) throw new errors.ERR_INVALID_HTTP_TOKEN(label || "Header name", name);
}

/** https://nodejs.org/api/http.html#httpvalidateheadervaluename-value */
function validateHeaderValue(name, value) {
  if (value === undefined) throw new errors.ERR_HTTP_INVALID_HEADER_VALUE(value, name);
  if (hasInvalidCharacter(value)) throw new errors.ERR_INVALID_CHAR("header content", name);
}

/** Headers of which the first value is kept. */
const SINGLE = new SafeSet([
  "age", "authorization", "content-length", "content-type", "etag", "expires", "from", "host", "if-modified-since",
  "if-unmodified-since", "last-modified", "location", "max-forwards", "proxy-authorization", "referer", "retry-after", "server",
  "user-agent",
]);

/** Adds a header to the object of a message's headers. */
function addHeader(headers, name, value) {
  const lower = StringPrototypeToLowerCase(name);
  const before = headers[lower];
  if (lower === "set-cookie") {
    if (before === undefined) headers[lower] = [value];
    else ArrayPrototypePush(before, value);
  } else if (before === undefined) {
    headers[lower] = value;
  } else if (!SetPrototypeHas(SINGLE, lower)) {
    headers[lower] = `${before}${lower === "cookie" ? "; " : ", "}${value}`;
  }
}

/** Adds a header to the object that has the values of each name in a list. */
function addDistinct(headers, name, value) {
  const lower = StringPrototypeToLowerCase(name);
  if (headers[lower] === undefined) headers[lower] = [value];
  else ArrayPrototypePush(headers[lower], value);
}

return { addDistinct, addHeader, hasInvalidCharacter, isToken, validateHeaderName, validateHeaderValue };
})();
