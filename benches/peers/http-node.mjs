// node http-node.mjs PORT [ORIGIN]: "/" answers hello, "/some/path" what it reads of the request, "/echo" parses and writes
// JSON, "/through" streams through what the origin answers.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

createServer((request, response) => {
  if (request.url.startsWith("/some/path")) {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    const { host, "user-agent": agent, accept } = request.headers;
    response.setHeader("content-type", "text/plain;charset=UTF-8");
    response.end(`${pathname} ${searchParams.get("query")} ${[host, agent, accept]}`);
    return;
  }
  if (request.url === "/through") {
    fetch(process.argv[3]).then((from) => {
      response.setHeader("content-type", from.headers.get("content-type"));
      return pipeline(Readable.fromWeb(from.body), response);
    }).catch((error) => response.destroy(error));
    return;
  }
  if (request.url !== "/echo") {
    response.setHeader("content-type", "text/plain;charset=UTF-8");
    response.end("hello world");
    return;
  }
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (chunk) => text += chunk);
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(JSON.parse(text)));
  });
}).listen(Number(process.argv[2]), "127.0.0.1");
