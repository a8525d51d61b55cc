import { WorkerEntrypoint } from "cloudflare:workers";

interface Env {
  TITLE: string;
  LIMITS: { entries: number };
  DB: D1Database;
}

export default class Guestbook extends WorkerEntrypoint<Env> {
  async fetch(request: Request): Promise<Response> {
    const { DB, LIMITS, TITLE } = this.env;
    await DB.prepare("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").run();
    if (request.method === "POST") {
      const name = (await request.text()).trim();
      // A batch is a transaction: both statements take effect, or neither.
      const [, count] = await DB.batch<{ entries: number }>([
        DB.prepare("INSERT INTO entries (name) VALUES (?1)").bind(name),
        DB.prepare("SELECT count(*) AS entries FROM entries"),
      ]);
      this.ctx.waitUntil(this.#forget(LIMITS.entries));
      return Response.json({ name, entries: count.results[0].entries }, { status: 201 });
    }
    const { results } = await DB.prepare("SELECT name FROM entries ORDER BY id").all<{ name: string }>();
    return Response.json({ title: TITLE, names: results.map((row) => row.name) });
  }

  /** Continues after the response was sent. */
  async #forget(entries: number): Promise<void> {
    const oldest = "DELETE FROM entries WHERE id NOT IN (SELECT id FROM entries ORDER BY id DESC LIMIT ?)";
    await this.env.DB.prepare(oldest).bind(entries).run();
  }
}
