// Runs workers in Node.js and prints their answers: `node record.js NAME…`. `cargo xtask packages --record` calls it.

const answers = {};
for (const name of process.argv.slice(2)) {
  const worker = await import(`./workers/${name}.js`);
  const response = await worker.default.fetch(new Request("http://localhost/"));
  answers[name] = await response.text();
}
console.log(JSON.stringify(answers, null, 2));
// Some packages leave timers behind.
process.exit(0);
