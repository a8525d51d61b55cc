// Servers of `node:http`, asked over HTTP in the same way in workers and in Node.js.

/** Headers that differ between platforms, or between two answers. */
const OTHERS = ["connection", "content-length", "date", "keep-alive", "transfer-encoding", "x-isopod-outcome", "x-isopod-worker", "x-request-id"];
const ASKED = "x-asked";

/** A function that asks for a path, and returns what is the same on every platform. */
const asking = (origin) => async (path, init) => {
  const headers = new Headers(init?.headers);
  headers.set(ASKED, "1");
  const response = await fetch(new URL(path, origin), { redirect: "manual", ...init, headers });
  const text = await response.text();
  const seen = [...response.headers].filter(([name]) => !OTHERS.includes(name));
  return [response.status, seen, text.length > 1000 ? text.length : text];
};

/** A worker that answers by a server, and whose answer to the first request is what `run` gives. */
export async function served(server, run) {
  if (globalThis.navigator?.userAgent.startsWith("Cloudflare-Workers")) {
    const { httpServerHandler } = await import("cloudflare:node");
    const handler = httpServerHandler(server);
    return {
      async fetch(request, env, ctx) {
        if (request.headers.has(ASKED)) return handler.fetch(request, env, ctx);
        return Response.json(await run(asking(request.url)));
      },
    };
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { fetch: async () => Response.json(await run(asking(`http://127.0.0.1:${server.address().port}`))) };
}
