interface Env {
  DB: D1Database;
  CACHE: KVNamespace;
}

interface Note {
  id: number;
  text: string;
  created: string;
}

const LIST = "notes";

/** The newest notes, from the cache or the database. */
async function list(env: Env): Promise<Note[]> {
  const cached = await env.CACHE.get<Note[]>(LIST, "json");
  if (cached) return cached;
  const { results } = await env.DB.prepare("SELECT * FROM notes ORDER BY id DESC LIMIT 100").all<Note>();
  await env.CACHE.put(LIST, JSON.stringify(results), { expirationTtl: 60 });
  return results;
}

async function add(request: Request, env: Env): Promise<Response> {
  const body = await request.json<{ text?: unknown }>().catch(() => null);
  if (typeof body?.text !== "string" || body.text === "") {
    return Response.json({ error: "send JSON such as { \"text\": \"…\" }" }, { status: 400 });
  }
  const note = await env.DB.prepare("INSERT INTO notes (text) VALUES (?) RETURNING *").bind(body.text).first<Note>();
  await env.CACHE.delete(LIST);
  return Response.json(note, { status: 201 });
}

export default {
  async fetch(request, env): Promise<Response> {
    if (new URL(request.url).pathname !== "/notes") return Response.json({ error: "not found" }, { status: 404 });
    switch (request.method) {
      case "GET":
        return Response.json(await list(env));
      case "POST":
        return add(request, env);
      default:
        return Response.json({ error: "use GET or POST" }, { status: 405, headers: { allow: "GET, POST" } });
    }
  },
} satisfies ExportedHandler<Env>;
