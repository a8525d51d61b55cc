// A server that clients among the packages ask: `node origin.js`. Prints its address.

import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

const SEEN = ["authorization", "content-length", "content-type", "host", "transfer-encoding", "x-mine"];

const paths = {
  "/echo": (request, response, body) => {
    const headers = Object.fromEntries(SEEN.filter((name) => name in request.headers && name !== "host").map((name) => [name, request.headers[name]]));
    const hasHost = request.headers.host === `127.0.0.1:${server.address().port}`;
    response.setHeader("content-type", "application/json");
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("x-list", ["1", "2"]);
    response.end(JSON.stringify({ method: request.method, url: request.url, headers, hasHost, body: body.length > 1000 ? body.length : body }));
  },
  "/gzip": (request, response) => response.writeHead(200, { "content-encoding": "gzip", "content-type": "text/plain" }).end(gzipSync("packed")),
  "/redirect": (request, response) => response.writeHead(302, { location: "/echo?redirected" }).end("over there"),
  "/stream": async (request, response) => {
    for (const part of ["one ", "two ", "three"]) {
      response.write(part);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    response.end();
  },
  "/large": (request, response) => response.end("x".repeat(2_000_000)),
  "/missing": (request, response) => response.writeHead(404).end("missing"),
  "/cut": (request, response) => {
    response.writeHead(200, { "content-length": 100 });
    response.write("a part");
    setTimeout(() => response.destroy(), 20);
  },
  // Answers nothing.
  "/silent": () => {},
};

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const answer = paths[pathname] ?? paths["/missing"];
  await answer(request, response, body);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
