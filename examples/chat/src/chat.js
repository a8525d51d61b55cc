import { DurableObject } from "cloudflare:workers";

/** A room: its messages in SQLite, and everyone who listens. */
export class Room extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, author TEXT, text TEXT)");
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async say(author, text) {
    const { id } = this.ctx.storage.sql
      .exec("INSERT INTO messages (author, text) VALUES (?, ?) RETURNING id", author, text)
      .one();
    // Sent once the message is on the disk.
    for (const socket of this.ctx.getWebSockets()) socket.send(JSON.stringify({ id, author, text }));
    return id;
  }

  latest(count) {
    const { sql } = this.ctx.storage;
    return sql.exec("SELECT author, text FROM messages ORDER BY id DESC LIMIT ?", count).toArray().reverse();
  }

  /** Opens a WebSocket. */
  fetch(request) {
    const [client, server] = Object.values(new WebSocketPair());
    const author = new URL(request.url).searchParams.get("as") ?? "guest";
    this.ctx.acceptWebSocket(server, [author]);
    server.serializeAttachment({ author });
    return new Response(null, { status: 101, webSocket: client });
  }

  async webSocketMessage(socket, text) {
    await this.say(socket.deserializeAttachment().author, text);
  }
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const room = env.ROOMS.getByName(pathname);
    if (request.headers.get("upgrade") === "websocket") return room.fetch(request);
    if (request.method === "POST") {
      return Response.json(await room.say(searchParams.get("as") ?? "guest", await request.text()));
    }
    return Response.json(await room.latest(10));
  },
};
