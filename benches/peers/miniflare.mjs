// storage.js on miniflare: the port, and a folder for what it keeps.
import { Miniflare } from "miniflare";

const [port, folder] = process.argv.slice(2);
const server = new Miniflare({
  modules: true,
  scriptPath: new URL("storage.js", import.meta.url).pathname,
  compatibilityDate: "2026-01-01",
  host: "127.0.0.1",
  port: Number(port),
  kvNamespaces: ["KV"],
  kvPersist: `${folder}/kv`,
  d1Databases: ["DB"],
  d1Persist: `${folder}/d1`,
});
await server.ready;
process.stdin.resume().on("end", () => server.dispose().then(() => process.exit()));
