// Patterns of URLs: https://urlpattern.spec.whatwg.org/#urlpattern-class
//
// In place of deno_web's script, whose ops parse patterns and URLs: its class compiles regular expressions without `v`, and names the group
// of `:name(.*)` `0`.

(function () {
const { core, primordials } = __bootstrap;
const { op_urlpattern_parse, op_urlpattern_process_match_input } = core.ops;
const {
  ArrayPrototypePush,
  ObjectAssign,
  ObjectDefineProperty,
  ObjectPrototypeIsPrototypeOf,
  RegExpPrototypeExec,
  RegExpPrototypeTest,
  SafeRegExp,
  StringPrototypeReplaceAll,
  StringPrototypeSlice,
  SymbolFor,
  TypeError,
  Uint32Array,
} = primordials;
const webidl = core.loadExtScript("ext:deno_webidl/00_webidl.js");
const { createFilteredInspectProxy } = core.loadExtScript("ext:deno_web/01_console.js");

const COMPONENTS = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];
const INSPECTED = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash", "hasRegExpGroups"];

/** Regular expressions that need no matching. The last one has one group, which is the whole. */
const EMPTY = "^$";
const ANYTHING = "^(.*)$";

const members = [];
for (let i = 0; i < 8; i++) ArrayPrototypePush(members, { key: COMPONENTS[i], converter: webidl.converters.USVString });
ArrayPrototypePush(members, { key: "baseURL", converter: webidl.converters.USVString });
webidl.converters.URLPatternInit = webidl.createDictionaryConverter("URLPatternInit", members);
webidl.converters.URLPatternInput = (value, prefix, context, options) =>
  isDictionary(value)
    ? webidl.converters.URLPatternInit(value, prefix, context, options)
    : webidl.converters.USVString(value, prefix, context, options);
webidl.converters.URLPatternOptions = webidl.createDictionaryConverter("URLPatternOptions", [
  { key: "ignoreCase", converter: webidl.converters.boolean, defaultValue: false },
]);

/** Returns whether a value is converted to a dictionary where a string is possible too. */
const isDictionary = (value) =>
  value === undefined || value === null || typeof value === "object" || typeof value === "function";

/** The starts of the components in the text that the op returns, and its end. */
const starts = new Uint32Array(9);

let lastUrl;
let lastParts;

/** The components of a URL, or `null` if it is not valid. Routers compare one URL with many patterns. */
function partsOf(input, base) {
  const isPlain = typeof input === "string" && base === undefined;
  if (isPlain && input === lastUrl) return lastParts;
  const text = op_urlpattern_process_match_input(input, base ?? null, starts);
  let parts = null;
  if (text !== null) {
    parts = [];
    for (let i = 0; i < 8; i++) ArrayPrototypePush(parts, StringPrototypeSlice(text, starts[i], starts[i + 1]));
  }
  if (isPlain) {
    lastUrl = input;
    lastParts = parts;
  }
  return parts;
}

/**
 * The regular expression of a component, with the flag `v` as the standard says. What only `u` accepts, such as `([^/]+)`, has that flag,
 * as in deno_web.
 */
function expressionOf(text, ignoreCase) {
  try {
    // Made by the op for `:name`; `v` wants the `/` escaped.
    return new SafeRegExp(StringPrototypeReplaceAll(text, "[^/]+?", "[^\\/]+?"), ignoreCase ? "vi" : "v");
  } catch {
    return new SafeRegExp(text, ignoreCase ? "ui" : "u");
  }
}

function compiled(component, name, ignoreCase, prefix) {
  try {
    component.regexp = expressionOf(component.regexpString, ignoreCase);
  } catch (error) {
    throw new TypeError(`${prefix}: ${name} is invalid; ${error.message}`);
  }
  return component;
}

/** The values of a component's groups, or `null` if it does not match. */
function groupsOf({ regexp, regexpString, groupNameList }, part) {
  if (regexpString === EMPTY) return part === "" ? {} : null;
  const match = regexpString === ANYTHING ? ["", part] : RegExpPrototypeExec(regexp, part);
  if (match === null) return null;
  const groups = {};
  for (let i = 0; i < groupNameList.length; i++) {
    const value = match[i + 1];
    ObjectDefineProperty(groups, groupNameList[i], {
      __proto__: null,
      configurable: true,
      enumerable: true,
      value,
      writable: true,
    });
  }
  return groups;
}

function matches({ regexp, regexpString }, part) {
  if (regexpString === EMPTY) return part === "";
  return regexpString === ANYTHING || RegExpPrototypeTest(regexp, part);
}

/** Converts the arguments of `exec` and `test`. */
function converted(input, base, prefix) {
  input = webidl.converters.URLPatternInput(input, prefix, "Argument 1");
  if (base !== undefined) base = webidl.converters.USVString(base, prefix, "Argument 2");
  return [input, base];
}

let patternOf;

class URLPattern {
  #components = [];
  #hasRegExpGroups;

  constructor(input = undefined, baseOrOptions = undefined, options = undefined) {
    const prefix = "Failed to construct 'URLPattern'";
    this[webidl.brand] = webidl.brand;
    let base;
    if (arguments.length > 2 || !isDictionary(baseOrOptions)) {
      base = webidl.converters.USVString(baseOrOptions, prefix, "Argument 2");
    } else {
      options = baseOrOptions;
    }
    input = webidl.converters.URLPatternInput(input, prefix, "Argument 1");
    const { ignoreCase } = webidl.converters.URLPatternOptions(options, prefix, "Options");
    const parsed = op_urlpattern_parse(input, base, { ignoreCase });
    this.#hasRegExpGroups = parsed.hasRegexpGroups;
    for (let i = 0; i < 8; i++) {
      const name = COMPONENTS[i];
      ArrayPrototypePush(this.#components, compiled(parsed[name], name, ignoreCase, prefix));
    }
  }

  get hasRegExpGroups() {
    webidl.assertBranded(this, URLPatternPrototype);
    return this.#hasRegExpGroups;
  }

  test(input = undefined, base = undefined) {
    webidl.assertBranded(this, URLPatternPrototype);
    ({ 0: input, 1: base } = converted(input, base, "Failed to execute 'test' on 'URLPattern'"));
    const parts = partsOf(input, base);
    if (parts === null) return false;
    for (let i = 0; i < 8; i++) {
      if (!matches(this.#components[i], parts[i])) return false;
    }
    return true;
  }

  exec(input = undefined, base = undefined) {
    webidl.assertBranded(this, URLPatternPrototype);
    ({ 0: input, 1: base } = converted(input, base, "Failed to execute 'exec' on 'URLPattern'"));
    const parts = partsOf(input, base);
    if (parts === null) return null;
    const result = { inputs: [typeof input === "string" ? input : ObjectAssign({}, input)] };
    if (base !== undefined) ArrayPrototypePush(result.inputs, base);
    for (let i = 0; i < 8; i++) {
      const groups = groupsOf(this.#components[i], parts[i]);
      if (groups === null) return null;
      result[COMPONENTS[i]] = { input: parts[i], groups };
    }
    return result;
  }

  get protocol() {
    return patternOf(this, 0);
  }

  get username() {
    return patternOf(this, 1);
  }

  get password() {
    return patternOf(this, 2);
  }

  get hostname() {
    return patternOf(this, 3);
  }

  get port() {
    return patternOf(this, 4);
  }

  get pathname() {
    return patternOf(this, 5);
  }

  get search() {
    return patternOf(this, 6);
  }

  get hash() {
    return patternOf(this, 7);
  }

  [SymbolFor("Deno.privateCustomInspect")](inspect, options) {
    const evaluate = ObjectPrototypeIsPrototypeOf(URLPatternPrototype, this);
    return inspect(createFilteredInspectProxy({ object: this, evaluate, keys: INSPECTED }), options);
  }

  static {
    patternOf = (pattern, at) => {
      webidl.assertBranded(pattern, URLPatternPrototype);
      return pattern.#components[at].patternString;
    };
  }
}

webidl.configureInterface(URLPattern);
const URLPatternPrototype = URLPattern.prototype;

return { URLPattern };
})();
