// Runs the test of the current folder in Node.js or Deno, and prints its results.

import { readFileSync } from "node:fs";
import process from "node:process";
import { run } from "./run.mjs";

// Browsers have it, unlike these runtimes.
globalThis.self ??= globalThis;
// An unhandled rejection is part of the results, and must not end the process.
process.on("unhandledRejection", () => {});
process.on("uncaughtException", () => {});

const { location, isLong, timeouts } = JSON.parse(readFileSync("options.json", "utf8"));
const read = (file) => readFileSync(file, "utf8");
const running = run(location, isLong, read("harness.txt"), read("test.txt"), { timeouts });
// Nothing can happen any more: the subtests that wait have failed.
process.on("beforeExit", () => globalThis.timeout());
running.then((result) => process.stdout.write(`\nRESULT ${JSON.stringify(result)}\n`, () => process.exit(0)));
