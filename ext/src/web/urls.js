// Parses URLs by the ops of this extension, and by those of deno_web what they leave to them. Loaded before deno_web's `URL`, which
// captures its ops when it is loaded.

(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const { ObjectDefineProperty, ObjectGetOwnPropertyDescriptor, ReflectApply, StringPrototypeStartsWith } = primordials;
const {
  op_isopod_url_parse,
  op_isopod_url_parse_with_base,
  op_isopod_url_serialization,
  op_isopod_url_set,
  op_url_get_serialization,
  op_url_parse,
  op_url_parse_with_base,
  op_url_reparse,
} = ops;
const { askForText, URL_TEXT } = core.loadExtScript("ext:isopod_quotas/texts.js");

/** The status of a text for deno_web, as in `url/mod.rs`. */
const ELSEWHERE = 3;

/** The serialization that deno_web asks for next is that of an op of this extension. */
let isHere = false;

/** Most URLs, which are parsed without a look at the text. */
function isHttp(href) {
  return StringPrototypeStartsWith(href, "https:") || StringPrototypeStartsWith(href, "http:");
}

ops.op_url_get_serialization = () => isHere ? op_isopod_url_serialization() : op_url_get_serialization();
ops.op_url_parse = (href, parts) => {
  if (!isHttp(href)) {
    askForText(href, URL_TEXT);
    const status = op_isopod_url_parse(href, parts);
    isHere = status !== ELSEWHERE;
    if (isHere) return status;
  }
  isHere = false;
  return op_url_parse(href, parts);
};
ops.op_url_parse_with_base = (href, base, parts) => {
  askForText(href, URL_TEXT);
  askForText(base, URL_TEXT);
  const status = op_isopod_url_parse_with_base(href, base, parts);
  isHere = status !== ELSEWHERE;
  return isHere ? status : op_url_parse_with_base(href, base, parts);
};
ops.op_url_reparse = (href, part, value, parts) => {
  if (!isHttp(href)) {
    askForText(href, URL_TEXT);
    askForText(value, URL_TEXT, 2);
    const status = op_isopod_url_set(href, part, value, parts);
    isHere = status !== ELSEWHERE;
    if (isHere) return status;
  }
  isHere = false;
  return op_url_reparse(href, part, value, parts);
};

const { URL, URLPrototype } = core.loadExtScript("ext:deno_web/00_url.js");

function getterOf(object, name) {
  return ObjectGetOwnPropertyDescriptor(object, name).get;
}
const getOrigin = getterOf(URLPrototype, "origin");
const getPathname = getterOf(URLPrototype, "pathname");
const getProtocol = getterOf(URLPrototype, "protocol");

// The origin of a blob: URL is that of the URL in its path only for two schemes.
// https://url.spec.whatwg.org/#concept-url-origin
const { get } = ObjectGetOwnPropertyDescriptor({
  get origin() {
    if (ReflectApply(getProtocol, this, []) !== "blob:") return ReflectApply(getOrigin, this, []);
    try {
      const inner = new URL(ReflectApply(getPathname, this, []));
      const isOrigin = isHttp(ReflectApply(getProtocol, inner, []));
      return isOrigin ? ReflectApply(getOrigin, inner, []) : "null";
    } catch {
      return "null";
    }
  },
}, "origin");
ObjectDefineProperty(URLPrototype, "origin", { __proto__: null, get, enumerable: true, configurable: true });

return { URL };
})();
