// node fresh-node.mjs CALLS: prints microseconds from each `new Worker` to its first message.
import { Worker } from "node:worker_threads";

const samples = [];
for (let call = 0; call < Number(process.argv[2]); call++) {
  const begun = performance.now();
  const worker = new Worker(new URL("./ping-node.mjs", import.meta.url));
  await new Promise((done) => worker.once("message", done));
  samples.push((performance.now() - begun) * 1e3);
  await worker.terminate();
  await new Promise((done) => setTimeout(done, 10));
}
console.log(JSON.stringify(samples));
