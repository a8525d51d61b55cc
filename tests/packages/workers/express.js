// `express` by `httpServerHandler` of `cloudflare:node`; in Node.js, by a listener on a port.

import express from "express";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { served } from "../serving.js";

const app = express();
app.use((request, response, next) => {
  response.setHeader("x-seen", `${request.method} ${request.path}`);
  next();
});
app.use(express.json());
app.use(express.urlencoded({ extended: true }));
app.use("/text", express.text());
app.get("/", (request, response) => response.send("hello"));
app.get("/users/:id", (request, response) => response.json({ params: request.params, query: request.query, accepts: request.accepts(["html", "json"]), host: request.hostname, protocol: request.protocol }));
app.post("/json", (request, response) => response.status(201).json(request.body));
app.post("/form", (request, response) => response.json(request.body));
app.post("/text", (request, response) => response.type("txt").send(request.body.toUpperCase()));
app.post("/echo", (request, response) => request.pipe(response.type("bin")));
app.get("/stream", (request, response) => Readable.from(["one ", "two ", "three"]).pipe(response));
app.get("/cookies", (request, response) => response.cookie("a", "1", { httpOnly: true }).cookie("b", "2").redirect("/"));
app.get("/nothing", (request, response) => response.sendStatus(204));
app.get("/error", () => {
  throw new Error("mine");
});
app.get("/later", async (request, response) => {
  await new Promise((resolve) => setTimeout(resolve, 5));
  response.append("x-list", "a").append("x-list", "b").end("late");
});
app.use((error, request, response, next) => response.status(error.status ?? 500).json({ message: error.type ?? error.message, sent: response.headersSent }));

export default await served(createServer(app), async (ask) => {
  return [
    await ask("/"),
    await ask("/users/7?a=1&b[]=2"),
    await ask("/json", { method: "POST", body: JSON.stringify({ a: [1, "ü"] }), headers: { "content-type": "application/json" } }),
    await ask("/json", { method: "POST", body: "{", headers: { "content-type": "application/json" } }),
    await ask("/form", { method: "POST", body: new URLSearchParams({ "a[b]": "1", c: "2" }) }),
    await ask("/text", { method: "POST", body: "text" }),
    await ask("/echo", { method: "POST", body: "x".repeat(200_000) }),
    await ask("/stream"),
    await ask("/cookies", { redirect: "manual" }),
    await ask("/nothing"),
    await ask("/error"),
    await ask("/later"),
    await ask("/missing"),
    await ask("/", { method: "HEAD" }),
  ];
});
