import { Priority, parsePriority } from "./priority.ts";
import { Notes } from "./notes.ts";
import type { Env } from "./env.ts";

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const notes = await Notes.open(env.DB);
    switch (`${request.method} ${pathname}`) {
      case "GET /":
        return new Response(`${env.GREETING}\n`);
      case "GET /notes": {
        const all = await notes.all();
        return Response.json(all.map((note) => ({ ...note, priority: Priority[note.priority] })));
      }
      case "POST /notes": {
        const { text, priority } = (await request.json()) as { text: string; priority?: string };
        const id = await notes.add(text, parsePriority(priority));
        return Response.json({ id }, { status: 201 });
      }
      default:
        return new Response("not found\n", { status: 404 });
    }
  },
};
