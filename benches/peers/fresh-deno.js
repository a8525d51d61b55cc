// deno run --allow-read fresh-deno.js CALLS: prints microseconds from each `new Worker` to its first message.
const samples = [];
for (let call = 0; call < Number(Deno.args[0]); call++) {
  const begun = performance.now();
  const worker = new Worker(new URL("./ping-deno.js", import.meta.url), { type: "module" });
  await new Promise((done) => worker.onmessage = done);
  samples.push((performance.now() - begun) * 1e3);
  worker.terminate();
  await new Promise((done) => setTimeout(done, 10));
}
console.log(JSON.stringify(samples));
