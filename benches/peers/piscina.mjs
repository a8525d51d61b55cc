// node piscina.mjs latency|throughput nothing|total|work CALLS: prints microseconds per call, or calls per second.
import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";

const [mode, name, calls] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const filename = fileURLToPath(new URL("./piscina-task.mjs", import.meta.url));
const pool = new Piscina({ filename, minThreads: 2, maxThreads: 2 });
const callers = mode === "latency" ? 1 : 64;
const samples = [];

async function ask() {
  if (name === "nothing") return await pool.run();
  if (name === "work") return await pool.run(undefined, { name });
  const order = { id: 7, item: "tea", count: 3, price: 2.5, open: false };
  const invoice = await pool.run(order, { name: "total" });
  if (invoice.sum !== 7.5) throw new Error("a wrong sum");
}

async function caller(calls) {
  for (let call = 0; call < calls; call++) {
    const begun = process.hrtime.bigint();
    await ask();
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
