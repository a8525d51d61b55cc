// node idle-node.mjs WORKERS: prints a line when all have answered, then waits.
import { Worker } from "node:worker_threads";

await Promise.all(Array.from({ length: Number(process.argv[2]) }, () => {
  const worker = new Worker(new URL("./ping-node.mjs", import.meta.url));
  return new Promise((done) => worker.once("message", done));
}));
console.log("ready");
for await (const _ of process.stdin);
process.exit();
