// The clients of `node:http`, against a server.

import http, { Agent, get, request, STATUS_CODES } from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";

const origin = process.env.ORIGIN_URL;

const text = async (response) => {
  let all = "";
  for await (const chunk of response.setEncoding("utf8")) all += chunk;
  return all.length > 1000 ? all.length : all;
};
/** Sends a request, and tells its events. */
const sent = (path, options, write = (request) => request.end()) =>
  new Promise((resolve) => {
    const seen = [];
    const asked = request(`${origin}${path}`, options ?? {});
    for (const name of ["finish", "response", "timeout", "abort", "close"]) asked.on(name, () => seen.push(name));
    let answer = null;
    asked.on("response", async (response) => {
      try {
        answer = [response.statusCode, response.statusMessage, await text(response)];
      } catch (error) {
        answer = [error.code, response.complete];
      }
    });
    asked.on("error", (error) => seen.push([error.code, error.message]));
    // Whether the body is sent, or its answer comes, first is a matter of time.
    asked.on("close", () => setTimeout(() => resolve([answer, [...seen.slice(0, -1).sort(), seen.at(-1)]]), 5));
    write(asked);
  });
const failure = (act) => {
  try {
    act();
    return "no error";
  } catch (error) {
    return [error.name, error.code, error.message];
  }
};

const answers = async () => ({
  get: await sent("/echo?a=1", { headers: { "X-Mine": "ü" } }),
  listed: await sent("/echo", { headers: ["Host", new URL(origin).host, "X-Mine", "1", "x-mine", "2"] }),
  auth: await sent("/echo", { auth: "user:pass" }),
  post: await sent("/echo", { method: "post", headers: { "content-type": "text/plain" } }, (request) => request.end("whole body")),
  none: await sent("/echo", { method: "POST" }),
  parts: await sent("/echo", { method: "PUT" }, (request) => {
    request.write("one ");
    request.write(Buffer.from("two "));
    setTimeout(() => request.end("three"), 5);
  }),
  length: await sent("/echo", { method: "POST", headers: { "content-length": 8 } }, (request) => {
    request.write("one ");
    request.end("two ");
  }),
  piped: await sent("/echo", { method: "POST" }, (request) => pipeline(Readable.from(["x".repeat(100_000), "y".repeat(100_000)]), request)),
  redirect: await sent("/redirect"),
  gzip: (await sent("/gzip"))[0][2].length,
  stream: await sent("/stream"),
  large: await sent("/large"),
  missing: await sent("/missing"),
  head: await sent("/large", { method: "HEAD" }),
});

const ends = async () => ({
  cut: await sent("/cut"),
  timeout: await sent("/silent", { timeout: 20 }, (request) => request.on("timeout", () => request.destroy()).end()),
  destroyed: await sent("/silent", {}, (request) => {
    request.end();
    setTimeout(() => request.destroy(new Error("mine")), 5);
  }),
  aborted: await sent("/silent", { signal: AbortSignal.timeout(10) }),
  refused: (await new Promise((resolve) => get("http://127.0.0.1:3/").on("error", (error) => resolve(error)))).code,
});

const forms = async () => {
  const { hostname, port } = new URL(origin);
  const answered = (...args) => new Promise((resolve) => get(...args, resolve));
  const first = await answered({ hostname, port, path: "/echo" });
  const second = await answered(new URL(`${origin}/echo`), { headers: { "x-mine": 1 } });
  const cookies = [first.headers["set-cookie"], first.headers["x-list"], first.rawHeaders.filter((name, i) => /^set-cookie$/i.test(name)).length, first.httpVersion];
  const distinct = first.headersDistinct["set-cookie"];
  return { first: JSON.parse(await text(first)).hasHost, second: JSON.parse(await text(second)).headers, cookies, distinct };
};

const members = () => {
  const asked = request(`${origin}/echo`, { method: "POST" });
  asked.on("error", () => {});
  asked.setHeader("A", 1).setHeader("B", ["x", "y"]).appendHeader("A", "2").removeHeader("C");
  const is = [asked.method, asked.path, asked.protocol, asked.getHeader("a"), asked.getHeaderNames(), asked.hasHeader("b"), asked.headersSent, asked.writableEnded];
  asked.destroy();
  return [
    is,
    STATUS_CODES[418],
    http.METHODS.includes("PATCH"),
    new Agent({ keepAlive: true, maxSockets: 5 }).maxSockets,
    https.globalAgent.protocol,
    failure(() => request("https://localhost/")),
    failure(() => request({ path: "/a b" })),
    failure(() => request({ method: "G T" })),
    failure(() => http.validateHeaderName("a b")),
    failure(() => http.validateHeaderValue("a", "\u0100")),
    failure(() => asked.setHeader("", "x")),
    failure(() => asked.setHeader("x")),
    failure(() => get({ protocol: "ftp:" })),
  ];
};

export default {
  fetch: async () => Response.json({ answers: await answers(), ends: await ends(), forms: await forms(), members: members() }),
};
