// `fastify` by `httpServerHandler` of `cloudflare:node`; in Node.js, by a listener on a port.

import Fastify from "fastify";
import { Readable } from "node:stream";
import { served } from "../serving.js";

const app = Fastify();
app.addHook("onRequest", async (request, reply) => {
  reply.header("x-seen", `${request.method} ${request.url}`);
});
app.get("/", async () => "hello");
app.get("/users/:id", { schema: { params: { type: "object", properties: { id: { type: "integer" } } } } }, async (request) => ({ params: request.params, query: request.query, host: request.hostname, protocol: request.protocol }));
app.post("/json", { schema: { body: { type: "object", required: ["a"] }, response: { 201: { type: "object", properties: { a: { type: "array" } } } } } }, async (request, reply) => reply.code(201).send(request.body));
app.addContentTypeParser("application/octet-stream", (request, payload, done) => done(null, payload));
app.post("/echo", async (request, reply) => reply.type("application/octet-stream").send(request.body));
app.get("/stream", async (request, reply) => reply.type("text/plain").send(Readable.from(["one ", "two ", "three"])));
app.get("/bytes", async (request, reply) => reply.send(Buffer.from([1, 2, 3])));
app.get("/error", async () => {
  throw new Error("mine");
});
app.get("/raw", (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(202, "Fine", { "x-raw": "1" });
  reply.raw.write("raw ");
  reply.raw.end("answer");
});
const injected = await app.inject({ method: "POST", url: "/json", payload: { a: [1] } });
await app.ready();
export default await served(app.server, async (ask) => {
  const json = { "content-type": "application/json" };
  return [
    [injected.statusCode, injected.json()],
    await ask("/"),
    await ask("/users/7?a=1&b=2"),
    await ask("/users/x"),
    await ask("/json", { method: "POST", body: JSON.stringify({ a: [1, "ü"], b: 2 }), headers: json }),
    await ask("/json", { method: "POST", body: "{}", headers: json }),
    await ask("/echo", { method: "POST", body: "x".repeat(200_000), headers: { "content-type": "application/octet-stream" } }),
    await ask("/stream"),
    await ask("/bytes"),
    await ask("/error"),
    await ask("/raw"),
    await ask("/missing"),
    await ask("/", { method: "HEAD" }),
  ];
});
