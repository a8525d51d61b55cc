// `require`: the registry of CommonJS modules, and the functions that their facades import.

(function () {
const { core, internals, primordials } = __bootstrap;
const { URL } = core.loadExtScript("ext:deno_web/00_url.js");
const { op_isopod_require_find, op_isopod_require_json, op_isopod_require_compile } = core.ops;
const {
  ArrayPrototypeIncludes,
  ArrayPrototypePush,
  Error,
  JSONParse,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectKeys,
  ReflectApply,
  SafeMap,
  StringPrototypeLastIndexOf,
  StringPrototypeSlice,
  StringPrototypeStartsWith,
  TypeError,
} = primordials;

// The JavaScript form of `Required` of the Rust side.
const COMMONJS = 0;
const JSON = 1;
const MODULE = 2;
const VALUE = 3;

/** `require.cache`: modules by file name. Scripts may remove and replace entries. */
const cache = { __proto__: null };
/** Namespaces of the ES modules that CommonJS modules may require, by URL: facades import them. */
const namespaces = new SafeMap();
/** The values that `require` returns for ES modules with a default export, by URL. */
const marked = new SafeMap();
const extensions = ObjectFreeze({ __proto__: null });
let main;

class Module {
  constructor(filename, url, parent) {
    this.id = filename;
    this.path = folderOf(filename);
    this.exports = {};
    this.filename = filename;
    this.loaded = false;
    this.children = [];
    this.paths = modulePaths(this.path);
    ObjectDefineProperty(this, "parent", { value: parent, writable: true, configurable: true });
    const require = requireOf(this, url);
    ObjectDefineProperty(this, "require", { value: require, writable: true, configurable: true });
  }
}

function folderOf(filename) {
  const end = StringPrototypeLastIndexOf(filename, "/");
  return end > 0 ? StringPrototypeSlice(filename, 0, end) : "/";
}

/** The folders in which packages are looked for, for scripts that print them. */
function modulePaths(folder) {
  const paths = [];
  for (let at = folder; ; at = folderOf(at)) {
    const isModules = StringPrototypeSlice(at, StringPrototypeLastIndexOf(at, "/") + 1) === "node_modules";
    if (!isModules) ArrayPrototypePush(paths, at === "/" ? "/node_modules" : `${at}/node_modules`);
    if (at === "/") return paths;
  }
}

function withCode(error, code) {
  if (code !== undefined) error.code = code;
  return error;
}

/** The modules that lead to this one. */
function requireStack(module) {
  const stack = [];
  for (let at = module; at !== undefined && stack.length < 100; at = at.parent) ArrayPrototypePush(stack, at.filename);
  return stack;
}

/** The function `require` of a module. `module` is undefined for `createRequire`. */
function requireOf(module, url) {
  const found = new SafeMap();
  const find = (specifier) => {
    if (typeof specifier !== "string" || specifier === "") {
      const message = `The argument of require() must be a string that is not empty, and is ${
        typeof specifier === "string" ? '""' : typeof specifier
      }`;
      throw withCode(new TypeError(message), "ERR_INVALID_ARG_TYPE");
    }
    let target = found.get(specifier);
    if (target === undefined) {
      target = op_isopod_require_find(specifier, url);
      const { 0: kind, 1: text, 2: code } = target;
      if (kind > VALUE) {
        const error = withCode(new Error(text), code);
        if (code === "MODULE_NOT_FOUND") error.requireStack = requireStack(module);
        throw error;
      }
      found.set(specifier, target);
    }
    return target;
  };
  function require(specifier) {
    const { 0: kind, 1: target, 2: filename } = find(specifier);
    if (kind === COMMONJS) return run(filename, target, module).exports;
    if (kind === JSON) return json(filename, target, module);
    // A Node.js module by a computed name is not among the imports.
    const namespace = namespaces.get(target) ?? internals.isopodNode?.namespace(target);
    if (namespace === undefined) throw notLoaded(specifier, target, kind);
    if (kind === VALUE) return "default" in namespace ? namespace.default : namespace;
    return requiredModule(target, namespace);
  }
  require.resolve = function resolve(specifier) {
    const { 0: kind, 1: target, 2: filename } = find(specifier);
    if (kind === COMMONJS || kind === JSON) return filename;
    return StringPrototypeStartsWith(target, "file://") ? new URL(target).pathname : specifier;
  };
  require.resolve.paths = () => modulePaths(folderOf(module === undefined ? new URL(url).pathname : module.filename));
  require.cache = cache;
  require.extensions = extensions;
  require.main = main;
  return require;
}

function notLoaded(specifier, target, kind) {
  const what = kind === VALUE ? "a module without CommonJS code" : "an ES module";
  const message = `require("${specifier}") needs ${target}, ${what} that is not loaded: require it by a literal name in a ` +
    "module that is loaded at the start, or use await import()";
  return withCode(new Error(message), "ERR_REQUIRE_ESM");
}

/**
 * What `require` returns for an ES module, as in Node.js: the export "module.exports", or the namespace. Compiled code
 * recognizes that it is an ES module by `__esModule`.
 */
function requiredModule(url, namespace) {
  if ("module.exports" in namespace) return namespace["module.exports"];
  if (!("default" in namespace) || "__esModule" in namespace) return namespace;
  let exports = marked.get(url);
  if (exports === undefined) {
    exports = { __proto__: null };
    const names = ObjectKeys(namespace);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      ObjectDefineProperty(exports, name, { get: () => namespace[name], enumerable: true });
    }
    ObjectDefineProperty(exports, "__esModule", { value: true });
    marked.set(url, exports);
  }
  return exports;
}

function adopt(parent, module) {
  if (parent !== undefined && !ArrayPrototypeIncludes(parent.children, module)) {
    ArrayPrototypePush(parent.children, module);
  }
}

function json(filename, url, parent) {
  const known = cache[filename];
  if (known !== undefined) {
    adopt(parent, known);
    return known.exports;
  }
  const module = new Module(filename, url, parent);
  module.exports = JSONParse(op_isopod_require_json(url));
  module.loaded = true;
  cache[filename] = module;
  adopt(parent, module);
  return module.exports;
}

/** Runs a module's code, unless it has run or is running: in a cycle, `exports` has what it has so far. */
function run(filename, url, parent, isMain = false) {
  const known = cache[filename];
  if (known !== undefined) {
    adopt(parent, known);
    return known;
  }
  const code = op_isopod_require_compile(url);
  const module = new Module(filename, url, parent);
  if (isMain) {
    module.id = ".";
    main = module;
    module.require.main = module;
  }
  cache[filename] = module;
  adopt(parent, module);
  let completed = false;
  try {
    const { exports } = module;
    ReflectApply(code, exports, [exports, module.require, module, filename, module.path]);
    completed = true;
  } finally {
    // A later call runs it again, as in Node.js.
    if (!completed && cache[filename] === module) delete cache[filename];
  }
  module.loaded = true;
  return module;
}

/** Called by a facade. `imports` has URLs and namespaces of ES modules in turn. Returns `module.exports`. */
function load(filename, url, imports, isMain) {
  for (let i = 0; i < imports.length; i += 2) namespaces.set(imports[i], imports[i + 1]);
  return run(filename, url, undefined, isMain).exports;
}

/** The `require` function of an ES module that calls it. `imports` is as for `load`. */
function requireFor(url, imports) {
  for (let i = 0; i < imports.length; i += 2) namespaces.set(imports[i], imports[i + 1]);
  return requireOf(undefined, url);
}

/** Reads an export for a facade. A getter that throws, as some do for removed features, only affects its own name. */
function read(exports, name) {
  if (exports === null || typeof exports !== "object" && typeof exports !== "function") return undefined;
  try {
    return exports[name];
  } catch {
    return undefined;
  }
}

/** The default export for importers that follow `__esModule`: those that are not ES modules to Node.js. */
function defaultOf(exports) {
  return read(exports, "__esModule") ? read(exports, "default") : exports;
}

/** `createRequire` of `node:module`: a `require` function for the module at a file's URL or path. */
function createRequire(from) {
  const text = `${from}`;
  return requireOf(undefined, StringPrototypeStartsWith(text, "/") ? new URL(text, "file:///").href : text);
}

/** Makes a built-in module available to `require`, under the name that the resolver returns for it. */
function provide(name, namespace) {
  namespaces.set(name, namespace);
}

return { createRequire, defaultOf, load, provide, read, requireFor };
})();
