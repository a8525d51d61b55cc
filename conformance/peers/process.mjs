// Runs the test of the current folder in Node.js or Deno, and prints its results.

import { readFileSync } from "node:fs";
import process from "node:process";
import { run } from "./run.mjs";

// Browsers have it, unlike these runtimes.
globalThis.self ??= globalThis;
// An unhandled rejection is part of the results, and must not end the process.
process.on("unhandledRejection", () => {});
process.on("uncaughtException", () => {});

const { location, isLong } = JSON.parse(readFileSync("options.json", "utf8"));
const result = await run(location, isLong, readFileSync("harness.txt", "utf8"), readFileSync("test.txt", "utf8"));
process.stdout.write(`\nRESULT ${JSON.stringify(result)}\n`, () => process.exit(0));
