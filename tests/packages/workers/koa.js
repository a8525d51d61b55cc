// `koa` by `httpServerHandler` of `cloudflare:node`; in Node.js, by a listener on a port.

import Koa from "koa";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { served } from "../serving.js";

const app = new Koa({ keys: ["a key"] });
app.silent = true;
const text = async (stream) => {
  let all = "";
  for await (const chunk of stream.setEncoding("utf8")) all += chunk;
  return all;
};
app.use(async (ctx, next) => {
  ctx.set("x-seen", `${ctx.method} ${ctx.path}`);
  await next();
});
const routes = {
  "/": (ctx) => ctx.body = "hello",
  "/json": async (ctx) => ctx.body = { query: ctx.query, host: ctx.hostname, got: await text(ctx.req) },
  "/stream": (ctx) => ctx.body = Readable.from(["one ", "two ", "three"]),
  "/echo": (ctx) => ctx.body = ctx.req,
  "/cookies": (ctx) => {
    ctx.cookies.set("a", "1", { signed: true });
    ctx.status = 204;
  },
  "/web": (ctx) => ctx.body = new Blob(["a blob"]),
  "/error": (ctx) => ctx.throw(403, "not you"),
  "/redirect": (ctx) => ctx.redirect("/"),
};
app.use((ctx) => routes[ctx.path]?.(ctx));

export default await served(createServer(app.callback()), async (ask) => {
  return [
    await ask("/"),
    await ask("/json?a=1", { method: "POST", body: "body ü" }),
    await ask("/stream"),
    await ask("/echo", { method: "POST", body: "x".repeat(200_000) }),
    await ask("/cookies"),
    await ask("/web"),
    await ask("/error"),
    await ask("/redirect", { redirect: "manual" }),
    await ask("/missing"),
    await ask("/", { method: "HEAD" }),
  ];
});
