// What nearly every worker with Node.js compatibility uses, evaluated when the snapshot is created: reading it from there takes a
// fraction of the time that evaluating it would. Functions that such a worker calls when it starts, or for nearly every use of `Buffer`,
// are called here, because the snapshot keeps the bytecode of called functions only.
//
// A worker that needs nothing else loads no script. The first one that is loaded has deno_core make V8's fast calls for all ops, which
// takes longer than the script.

import { core, internals, primordials } from "ext:core/mod.js";

const { ArrayBuffer, ObjectKeys, SafeArrayIterator, Uint8Array } = primordials;

core.loadExtScript("ext:isopod_node/timers.js");
const { Buffer } = core.loadExtScript("ext:deno_node/internal/buffer.mjs");
// The module `node:buffer`.
core.loadExtScript("ext:deno_node/buffer.ts");
const { process } = core.loadExtScript("ext:isopod_node/process.js");
core.loadExtScript("ext:deno_node/_next_tick.ts");
const { start } = core.loadExtScript("ext:isopod_node/start.js");

function startOnce() {
  const global = { setTimeout() {}, setInterval() {}, clearTimeout() {} };
  const options = { globals: true, modules: [], processEnv: true, nodeEnv: "" };
  internals.isopodProcess = { env: {}, isCommand: false };
  start(global, options, [["name", { text: "", isJson: false, script: null }]]);
  global.Buffer;
  for (const name of new SafeArrayIterator(ObjectKeys(process.env))) delete process.env[name];
  internals.isopodProcess = undefined;
  internals.isopodNode = undefined;
}

function useBuffer() {
  for (const encoding of new SafeArrayIterator(["utf8", "base64", "base64url", "hex", "latin1"])) {
    Buffer.from(Buffer.from("text").toString(encoding), encoding);
  }
  const buffer = Buffer.from([1, 2]);
  Buffer.from(buffer);
  Buffer.from(new Uint8Array(1));
  Buffer.from(new ArrayBuffer(1));
  Buffer.alloc(1);
  Buffer.allocUnsafe(1);
  Buffer.concat([buffer, buffer]);
  Buffer.byteLength("text");
  Buffer.isBuffer(buffer);
  buffer.equals(buffer);
  buffer.subarray(1);
  buffer.slice(1);
  internals.isopodDropPool();
  internals.isopodDropPool = undefined;
}

startOnce();
useBuffer();
// Run at the end of every turn.
core.runNextTicks();
