// Checks of the servers of `node:http` and of `cloudflare:node`, which answer requests of these checks.
// https://nodejs.org/api/http.html, https://developers.cloudflare.com/workers/runtime-apis/nodejs/http/

import http, { createServer, IncomingMessage, Server, ServerResponse } from "node:http";
import https from "node:https";
import { handleAsNodeRequest, httpServerHandler } from "cloudflare:node";
import { once } from "node:events";
import { inherits } from "node:util";

/** Answers a request by a server with this listener. */
const ask = async (listener, path = "/", init = undefined) => {
  const server = createServer(listener);
  const { fetch } = httpServerHandler(server);
  try {
    return await fetch(new Request(`http://a.example${path}`, init));
  } finally {
    server.close();
  }
};
const failure = (promise) => promise.then(() => "no error", (error) => error);

export const servers = () =>
  checks({
    "a request": async () => {
      let seen;
      const init = { method: "PUT", headers: [["X-A", "1"], ["cookie", "a=1"], ["x-a", "2"]], body: "a body" };
      await ask(async (request, response) => {
        let body = "";
        for await (const chunk of request.setEncoding("utf8")) body += chunk;
        seen = [request.method, request.url, request.headers.host, request.headers["x-a"], request.headers.cookie, request.headersDistinct["x-a"], request.rawHeaders.includes("1"), request.httpVersion, request.complete, body];
        response.end();
      }, "/path?query=1", init);
      return JSON.stringify(seen.map((value) => Array.isArray(value) ? value.join() : value)) === '["PUT","/path?query=1","a.example","1, 2","a=1","1,2",true,"1.1",true,"a body"]' || JSON.stringify(seen);
    },
    "a response": async () => {
      const response = await ask((request, response) => {
        response.statusCode = 201;
        response.setHeader("X-Number", 1).setHeader("Set-Cookie", ["a=1", "b=2"]).appendHeader("x-list", "a");
        response.appendHeader("X-List", "b");
        response.setHeader("x-gone", "1");
        response.removeHeader("X-Gone");
        response.write("one ");
        response.write(Buffer.from("two "));
        response.end("three");
      });
      const { status, headers } = response;
      return status === 201 && headers.get("x-number") === "1" && headers.getSetCookie().join() === "a=1,b=2" && headers.get("x-list") === "a, b" && !headers.has("x-gone") && await response.text() === "one two three";
    },
    "writeHead": async () => {
      const one = await ask((request, response) => response.setHeader("a", "0").writeHead(202, "Fine", { A: "1", b: ["2", "3"] }).end("x"));
      const other = await ask((request, response) => response.writeHead(200, ["a", "1", "a", "2"]).end());
      return one.status === 202 && one.statusText === "Fine" && one.headers.get("a") === "1" && one.headers.get("b") === "2, 3" && other.headers.get("a") === "1, 2";
    },
    "states": async () => {
      const seen = [];
      const response = await ask((request, response) => {
        response.on("finish", () => seen.push("finish", response.writableFinished)).on("close", () => seen.push("close", response.destroyed));
        request.on("close", () => seen.push("request closed", request.aborted));
        seen.push(response.headersSent, response.finished, response.writableEnded);
        response.writeHead(200);
        seen.push(response.headersSent, response.req === request, response.socket === request.socket, request.connection.encrypted, request.socket.writable);
        response.end("x", () => seen.push("ended"));
        seen.push(response.finished, response.writableEnded);
      });
      await response.text();
      await soon();
      return JSON.stringify(seen) === '[false,false,false,true,true,true,false,true,true,true,"ended","finish",true,"close",true,"request closed",false]' || JSON.stringify(seen);
    },
    "errors of a response": async () => {
      const codes = [];
      const code = (act) => codes.push(thrown(act)?.code);
      await ask((request, response) => {
        code(() => response.setHeader("a b", "1"));
        code(() => response.setHeader("a", "\u0100"));
        code(() => response.setHeader("a"));
        code(() => response.writeHead(99));
        response.end("x");
        code(() => response.setHeader("a", "1"));
        code(() => response.writeHead(200));
        response.on("error", (error) => codes.push(error.code));
        response.write("more");
      });
      await soon();
      return codes.join() === "ERR_INVALID_HTTP_TOKEN,ERR_INVALID_CHAR,ERR_HTTP_INVALID_HEADER_VALUE,ERR_HTTP_INVALID_STATUS_CODE,ERR_HTTP_HEADERS_SENT,ERR_HTTP_HEADERS_SENT,ERR_STREAM_WRITE_AFTER_END" || codes.join();
    },
    "no body where there is none": async () => {
      const head = await ask((request, response) => response.end("x"), "/", { method: "HEAD" });
      const none = await ask((request, response) => response.writeHead(204).end("x"));
      return head.body === null && none.body === null && none.status === 204;
    },
    "a response waits for its reader": async () => {
      let written = 0;
      const response = await ask(async (request, response) => {
        for (let i = 0; i < 100; i++) {
          if (!response.write(Buffer.alloc(10_000))) await once(response, "drain");
          written += 10_000;
        }
        response.end();
      });
      await soon();
      const before = written;
      return before < 200_000 && (await response.arrayBuffer()).byteLength === 1_000_000 || before;
    },
    "a reader that leaves": async () => {
      let closed;
      const response = await ask((request, response) => {
        closed = once(response, "close");
        response.write("a part");
      });
      const reader = response.body.getReader();
      await reader.read();
      await reader.cancel();
      await closed;
      return true;
    },
    "flushHeaders": async () => {
      let end;
      const response = await ask((request, response) => {
        response.setHeader("a", "1");
        response.flushHeaders();
        end = () => response.end("late");
      });
      const is = response.headers.get("a");
      end();
      return is === "1" && await response.text() === "late";
    },
    "what a listener throws": async () => (await failure(ask(() => { throw new Error("mine"); }))).message === "mine",
    "a destroyed response": async () =>
      (await failure(ask((request, response) => response.destroy()))).message.includes("destroyed before its head") &&
      (await failure(ask((request, response) => response.on("error", () => {}).destroy(new Error("mine"))))).message === "mine",
    "a body cut off": async () => {
      const response = await ask((request, response) => {
        response.on("error", () => {});
        response.write("a part");
        response.destroy(new Error("mine"));
      });
      return (await failure(response.text())).message === "mine";
    },
    "its own classes": async () => {
      class MyRequest extends IncomingMessage {}
      class MyResponse extends ServerResponse {}
      let seen;
      const server = createServer({ IncomingMessage: MyRequest, ServerResponse: MyResponse }, (request, response) => {
        seen = request instanceof MyRequest && response instanceof MyResponse;
        response.end();
      });
      await httpServerHandler(server).fetch(new Request("http://a.example/"));
      function Old(request) {
        ServerResponse.call(this, request);
      }
      inherits(Old, ServerResponse);
      return seen && new Old({ method: "GET" }) instanceof http.OutgoingMessage && ServerResponse({ method: "GET" }) instanceof ServerResponse;
    },
    "listening": async () => {
      const server = new Server((request, response) => response.end("8080"));
      const before = [server.listening, server.address()];
      const called = new Promise((resolve) => server.listen(8080, "0.0.0.0", resolve));
      const { port } = server.address();
      await called;
      const second = createServer().listen({ port: 8080, host: "0.0.0.0" });
      const [error] = await once(second, "error");
      const text = await (await handleAsNodeRequest(8080, new Request("http://a.example/"))).text();
      const other = httpServerHandler({ port: 8080 });
      const again = await (await other.fetch(new Request("http://a.example/"))).text();
      const twice = thrown(() => server.listen(1)).code;
      await new Promise((resolve) => server.close(resolve));
      const closed = await failure(handleAsNodeRequest({ port: 8080 }, new Request("http://a.example/")));
      return before.join() === "false," && port === 8080 && error.code === "EADDRINUSE" && text === "8080" && again === "8080" && twice === "ERR_SERVER_ALREADY_LISTEN" &&
        closed.message.includes("no server of node:http listens to port 8080") && !server.listening;
    },
    "any port": () => {
      const [one, other] = [createServer().listen(), createServer().listen(0)];
      const ports = [one.address().port, other.address().port];
      one.close();
      other.close();
      return ports[0] > 1024 && ports[1] > 1024 && ports[0] !== ports[1] && thrown(() => httpServerHandler({})).message.includes("give a server");
    },
    "https is the same": async () => (await httpServerHandler(https.createServer({ key: "", cert: "" }, (request, response) => response.end("x"))).fetch(new Request("https://a.example/"))).status === 200,
    "no listener": async () => (await failure(ask(undefined))).message.includes('no listener for "request"'),
  });
