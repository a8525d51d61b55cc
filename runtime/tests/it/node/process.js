// Checks of `process`, `node:os`, `node:module` and `node:perf_hooks`. https://nodejs.org/api/process.html

import diagnostics from "node:diagnostics_channel";
import module, { createRequire } from "node:module";
import os from "node:os";
import { performance as measured } from "node:perf_hooks";
import process2, { env, nextTick, version } from "node:process";
import bareUtil from "util";
import util from "node:util";

export const members = () =>
  checks({
    "the global is the module's": () => process2 === process && env === process.env && global === globalThis && version === process.version,
    "versions": () => /^v\d+\.\d+\.\d+$/.test(process.version) && process.versions.node === process.version.slice(1) && process.platform === "linux",
    "env is text": () => {
      process.env.ADDED = 5;
      const is = process.env.ADDED === "5" && "ADDED" in process.env && delete process.env.ADDED && process.env.ADDED === undefined;
      return is;
    },
    "exit is refused": () => thrown(() => process.exit()).message.startsWith("process.exit() is not available in workers"),
    "an emitter": () => {
      let seen;
      const same = process.once("mine", (value) => seen = value) === process;
      process.emit("mine", 1);
      return same && seen === 1 && process.listenerCount("mine") === 0;
    },
    "hrtime": () => {
      const [seconds, nanoseconds] = process.hrtime();
      return seconds >= 0 && nanoseconds < 1e9 && typeof process.hrtime.bigint() === "bigint" && process.hrtime([seconds, nanoseconds])[0] >= 0;
    },
    "output": () => process.stdout.write("written to the log\n") !== undefined && process.stderr.isTTY === false,
    "os": () => os.EOL === "\n" && os.platform() === "linux" && os.constants.signals.SIGTERM === 15 && os.cpus().length === 0,
    "perf_hooks": () => measured === performance,
    "diagnostics_channel": () => {
      const channel = diagnostics.channel("mine");
      let seen;
      diagnostics.subscribe("mine", (message, name) => seen = `${name}${message}`);
      channel.publish(1);
      return channel.hasSubscribers && seen === "mine1" && typeof nextTick === "function";
    },
  });

export const modules = () =>
  checks({
    "bare names": () => bareUtil === util && util.inspect(1) === "1",
    "require": () => {
      const require = createRequire(import.meta.url);
      return require("node:util") === util && require("util") === util && require("events").EventEmitter === require("events") &&
        thrown(() => require("./a.js")).code === "MODULE_NOT_FOUND";
    },
    "getBuiltinModule": () => process.getBuiltinModule("node:util") === util && process.getBuiltinModule("nothing") === undefined,
    "builtinModules": () => module.isBuiltin("node:path") && module.isBuiltin("path") && !module.isBuiltin("a") && module.builtinModules.includes("events"),
    "import()": async () => (await import("node:util")).default === util,
    "what is not there": async () => await import("node:nothing").catch((error) => /the modules there are: assert,/.test(error.message)),
  });
