// The module `node:process`: https://nodejs.org/api/process.html
// A worker is not a process: members that would show or change the process are constant or throw. A command has one: its arguments,
// variables, standard streams and exit code are those of `isopod:process`. In the snapshot; `beginProcess` adds what differs between workers.

(function () {
const { core, internals, primordials } = __bootstrap;
const {
  BigInt,
  Error,
  MathFloor,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectGetOwnPropertyDescriptors,
  ObjectKeys,
  Proxy,
  ReflectApply,
  ReflectDefineProperty,
  ReflectSet,
  SafeArrayIterator,
  String,
} = primordials;
const { performance } = core.loadExtScript("ext:deno_web/15_performance.js");
const lazyErrors = () => core.loadExtScript("ext:deno_node/internal/errors.ts");

/** The version of Node.js whose modules the borrowed scripts follow. */
const VERSION = "26.5.1";

// ---- environment

const variables = {};

/** The worker's own variables, or those of a command. As in Node.js, every value is text. */
const env = new Proxy(variables, {
  __proto__: null,
  set: (target, name, value, receiver) => ReflectSet(target, name, typeof name === "symbol" ? value : String(value), receiver),
  defineProperty: (target, name, property) =>
    ReflectDefineProperty(target, name, "value" in property ? { ...property, value: String(property.value) } : property),
});

function copyEnv() {
  const set = (name, value) =>
    ObjectDefineProperty(variables, name, { __proto__: null, value, configurable: true, enumerable: true, writable: true });
  for (const { 0: name, 1: value } of new SafeArrayIterator(internals.isopodNode.env)) set(name, value);
  // The permitted variables of a command. A worker has none.
  const { env } = internals.isopodProcess;
  for (const name of new SafeArrayIterator(ObjectKeys(env))) set(name, env[name]);
}

// ---- what a worker cannot do

function unavailable(name, remedy) {
  const error = new Error(`process.${name}() is not available in workers${remedy ? `; ${remedy}` : ""}`);
  error.code = "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM";
  return error;
}

const refused = {
  abort: "throw an error",
  binding: "",
  chdir: "",
  dlopen: "",
  exit: "return a response, or throw an error",
  kill: "",
  loadEnvFile: "set variables in the configuration",
  reallyExit: "return a response, or throw an error",
  setegid: "",
  seteuid: "",
  setgid: "",
  setuid: "",
};

// ---- time

/** In nanoseconds, coarse like `performance.now()`. */
const nanoseconds = () => MathFloor(performance.now() * 1e6);

function hrtime(previous = undefined) {
  const now = nanoseconds();
  let seconds = MathFloor(now / 1e9);
  let rest = now % 1e9;
  if (previous !== undefined) {
    if (typeof previous !== "object" || previous === null || previous.length !== 2) {
      throw new (lazyErrors().codes.ERR_INVALID_ARG_TYPE)("time", "Array", previous);
    }
    seconds -= previous[0];
    rest -= previous[1];
    if (rest < 0) {
      seconds--;
      rest += 1e9;
    }
  }
  return [seconds, rest];
}
hrtime.bigint = () => BigInt(nanoseconds());

function memoryUsage() {
  return { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
}
memoryUsage.rss = () => 0;

// ---- warnings

function emitWarning(warning, options = undefined, code = undefined) {
  let type = typeof options === "string" ? options : options?.type;
  code ??= options?.code;
  if (typeof warning === "string") {
    const error = new Error(warning);
    error.name = type ?? "Warning";
    if (code !== undefined) error.code = code;
    warning = error;
  }
  type = warning?.name ?? "Warning";
  if (type === "DeprecationWarning" && process.noDeprecation) return;
  globalThis.console.warn(`(node) ${warning?.code ? `[${warning.code}] ` : ""}${type}: ${warning?.message}`);
  process.nextTick(() => process.emit("warning", warning));
}

// ---- output, which is the worker's log

function output(fd, options) {
  const { Writable } = core.createLazyLoader("node:stream")().default;
  const stream = new Writable(options);
  stream.fd = fd;
  stream.isTTY = false;
  return stream;
}

const outputTo = (fd, level) =>
  output(fd, {
    decodeStrings: false,
    write(chunk, _encoding, done) {
      const text = `${chunk}`;
      globalThis.console[level](text.endsWith("\n") ? text.slice(0, -1) : text);
      done();
    },
  });

const lazily = {
  report: () => undefined,
  stdin: () => core.createLazyLoader("node:stream")().default.Readable.from([]),
  stdout: () => outputTo(1, "log"),
  stderr: () => outputTo(2, "error"),
};

// ---- the object

const process = {
  title: "isopod",
  version: `v${VERSION}`,
  versions: ObjectFreeze({ node: VERSION }),
  arch: "x64",
  platform: "linux",
  release: ObjectFreeze({ name: "node" }),
  argv: ["isopod"],
  argv0: "isopod",
  execArgv: [],
  execPath: "",
  exitCode: undefined,
  pid: 1,
  ppid: 0,
  config: ObjectFreeze({ target_defaults: ObjectFreeze({}), variables: ObjectFreeze({}) }),
  features: ObjectFreeze({ inspector: false, debug: false, uv: false, ipv6: true, tls: true, typescript: false }),
  env,
  allowedNodeEnvironmentFlags: undefined,
  noDeprecation: false,
  cwd: () => "/bundle",
  emitWarning,
  getBuiltinModule: (id) => core.loadExtScript("ext:isopod_node/builtins.js").load(id),
  getegid: () => 0,
  geteuid: () => 0,
  getgid: () => 0,
  getgroups: () => [0],
  getuid: () => 0,
  hasUncaughtExceptionCaptureCallback: () => false,
  hrtime,
  memoryUsage,
  nextTick: (callback, ...args) =>
    core.loadExtScript("ext:deno_node/_next_tick.ts").nextTick(callback, ...new SafeArrayIterator(args)),
  constrainedMemory: () => 0,
  availableMemory: () => 0,
  cpuUsage: () => ({ user: 0, system: 0 }),
  resourceUsage: () => ({ userCPUTime: 0, systemCPUTime: 0, maxRSS: 0 }),
  umask: () => 0o22,
  uptime: () => performance.now() / 1000,
};

for (const name in refused) {
  process[name] = { [name]() {
    throw unavailable(name, refused[name]);
  } }[name];
}

for (const name in lazily) {
  ObjectDefineProperty(process, name, {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get() {
      const value = lazily[name]();
      ObjectDefineProperty(process, name, { __proto__: null, value, configurable: true, enumerable: true, writable: true });
      return value;
    },
  });
}

// The event emitter is loaded on first use.
let emitter;
function events() {
  emitter ??= new (core.loadExtScript("ext:deno_node/_events.mjs").EventEmitter)();
  return emitter;
}
for (
  const name of new SafeArrayIterator([
    "addListener",
    "emit",
    "eventNames",
    "getMaxListeners",
    "listenerCount",
    "listeners",
    "off",
    "on",
    "once",
    "prependListener",
    "prependOnceListener",
    "rawListeners",
    "removeAllListeners",
    "removeListener",
    "setMaxListeners",
  ])
) {
  ObjectDefineProperty(process, name, {
    __proto__: null,
    configurable: true,
    enumerable: false,
    writable: true,
    value: { [name](...args) {
      const result = ReflectApply(events()[name], events(), args);
      return result === emitter ? this : result;
    } }[name],
  });
}

// ---- a command, which has a process of its own

/** The module `isopod:process`. */
const own = () => core.loadExtScript("ext:isopod_process/process.js");

function standardOutput(fd) {
  const { op_isopod_process_write } = core.ops;
  return output(fd, {
    write(chunk, _encoding, done) {
      try {
        op_isopod_process_write(fd === 2, chunk);
        done();
      } catch (error) {
        done(error);
      }
    },
  });
}

function becomeCommand() {
  const { args, main } = internals.isopodProcess;
  process.argv = ["isopod", main, ...new SafeArrayIterator(args)];
  lazily.stdin = () => core.createLazyLoader("node:stream")().default.Readable.fromWeb(own().stdin());
  lazily.stdout = () => standardOutput(1);
  lazily.stderr = () => standardOutput(2);
  let exitCode;
  ObjectDefineProperty(process, "exitCode", {
    __proto__: null,
    configurable: true,
    enumerable: true,
    get: () => exitCode,
    set(code) {
      own().setExitCode(code ?? 0);
      exitCode = code;
    },
  });
  process.exit = process.reallyExit = function exit(code = undefined) {
    if (code !== undefined) process.exitCode = code;
    own().exit();
  };
  globalThis.addEventListener("unload", () => emitter?.emit("exit", exitCode ?? 0));
}

// ---- the module

const exported = { __proto__: null, default: process, process };

function exportMembers() {
  // Without lazily loaded members, which a copy would load.
  const { stderr: _1, stdin: _2, stdout: _3, ...names } = { ...ObjectGetOwnPropertyDescriptors(process) };
  for (const name of new SafeArrayIterator(ObjectKeys(names))) {
    if ("value" in names[name]) exported[name] = names[name].value;
  }
}

exportMembers();
/** Called once, when the worker starts. */
internals.isopodBeginProcess = function beginProcess() {
  copyEnv();
  if (!internals.isopodProcess.isCommand) return;
  becomeCommand();
  delete exported.exitCode;
  exportMembers();
};
return exported;
})();
