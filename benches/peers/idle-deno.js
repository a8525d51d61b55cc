// deno run --allow-read idle-deno.js WORKERS: prints a line when all have answered, then waits.
await Promise.all(Array.from({ length: Number(Deno.args[0]) }, () => {
  const worker = new Worker(new URL("./ping-deno.js", import.meta.url), { type: "module" });
  return new Promise((done) => worker.onmessage = done);
}));
console.log("ready");
for await (const _ of Deno.stdin.readable);
Deno.exit();
