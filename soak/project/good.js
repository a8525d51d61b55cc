// A good worker; the path selects what it does. Each response is determined by its request, so that wrong ones are
// detected.

let served = 0;

const after = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));

/** `chunks` pieces of 1,000 bytes each, filled with the piece's number. */
function pieces(chunks) {
  let next = 0;
  return new ReadableStream({
    pull(controller) {
      if (next === chunks) return controller.close();
      controller.enqueue(new Uint8Array(1000).fill(next++ % 251));
    },
  });
}

async function store(db, key, value) {
  await db.prepare("CREATE TABLE IF NOT EXISTS soak (key TEXT PRIMARY KEY, value TEXT NOT NULL)").run();
  await db.prepare("INSERT OR REPLACE INTO soak (key, value) VALUES (?, ?)").bind(key, value).run();
  return db.prepare("SELECT value FROM soak WHERE key = ?").bind(key).first("value");
}

const deeds = {
  hello: () => new Response("hello"),
  echo: async (request) => {
    const { id, numbers } = await request.json();
    return Response.json({ id, sum: numbers.reduce((sum, number) => sum + number, 0) });
  },
  back: (request) => new Response(request.body),
  stream: (_request, chunks) => new Response(pieces(Number(chunks))),
  sql: async (request, key, { DB }) => new Response(await store(DB, key, await request.text())),
  hold: async (_request, ms, { DB }) => {
    await store(DB, "hold", ms);
    return new Response(await after(Number(ms), "held"));
  },
  timers: async (_request, count) => {
    const values = await Promise.all(Array.from({ length: Number(count) }, (_, i) => after(i % 20, i)));
    return new Response(String(values.length));
  },
  wait: async (_request, ms) => new Response(await after(Number(ms), "waited")),
  later: (_request, id, _env, ctx) => {
    ctx.waitUntil(after(20));
    return new Response(id);
  },
  relay: async (request, id) => {
    const origin = request.headers.get("x-origin");
    const parts = [1, 2, 3].map(async (part) => (await fetch(`http://${origin}/${id}/${part}`)).text());
    return new Response((await Promise.all(parts)).join(" "));
  },
  fresh: () => new Response(String(++served)),
};

export default {
  fetch(request, env, ctx) {
    const [, deed, what] = new URL(request.url).pathname.split("/");
    return deeds[deed](request, what, env, ctx);
  },
};
