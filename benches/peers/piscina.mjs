// node piscina.mjs latency|throughput CALLS: prints microseconds of each call, or calls a second.
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";

const [mode, calls] = [process.argv[2], Number(process.argv[3])];
const filename = fileURLToPath(new URL("./piscina-task.mjs", import.meta.url));
const pool = new Piscina({ filename, minThreads: 2, maxThreads: 2 });
const callers = mode === "latency" ? 1 : 64;
const samples = [];

async function caller(calls) {
  for (let call = 0; call < calls; call++) {
    const begun = process.hrtime.bigint();
    await pool.run();
    if (mode === "latency") samples.push(Number(process.hrtime.bigint() - begun) / 1e3);
  }
}

async function round(calls) {
  await Promise.all(Array.from({ length: callers }, () => caller(calls)));
}

const each = Math.floor(calls / callers);
await round(Math.floor(each / 5));
samples.length = 0;
const begun = performance.now();
await round(each);
const seconds = (performance.now() - begun) / 1e3;
console.log(JSON.stringify(mode === "latency" ? samples : (each * callers) / seconds));
await pool.destroy();
