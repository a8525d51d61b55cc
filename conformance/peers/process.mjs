// Runs the test of the current folder in Node.js or Deno, and prints its results.

import { readFileSync } from "node:fs";
import process from "node:process";
import { run } from "./run.mjs";

// As browsers have it, and neither of these.
globalThis.self ??= globalThis;
// What a test does not catch is part of its results, and no reason to end the process.
process.on("unhandledRejection", () => {});
process.on("uncaughtException", () => {});

const { location, isLong } = JSON.parse(readFileSync("options.json", "utf8"));
const result = await run(location, isLong, readFileSync("harness.txt", "utf8"), readFileSync("test.txt", "utf8"));
process.stdout.write(`\nRESULT ${JSON.stringify(result)}\n`, () => process.exit(0));
