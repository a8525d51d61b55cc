import { DurableObject } from "cloudflare:workers";

interface Message {
  name: string;
  text: string;
}

/** A room: its messages are kept, and everyone in it gets new ones. It may sleep while its sockets stay open. */
export class Chat extends DurableObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, name TEXT, text TEXT)");
    });
  }

  async fetch(request: Request): Promise<Response> {
    if (request.headers.get("upgrade") !== "websocket") return new Response("connect a WebSocket\n", { status: 426 });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({ name: request.headers.get("x-customer") ?? "guest" });
    for (const message of this.history()) server.send(JSON.stringify(message));
    return new Response(null, { status: 101, webSocket: client });
  }

  /** The last messages, the oldest first. */
  history(): Message[] {
    const sql = "SELECT name, text FROM (SELECT * FROM messages ORDER BY id DESC LIMIT 20) ORDER BY id";
    return this.ctx.storage.sql.exec<Message>(sql).toArray();
  }

  webSocketMessage(socket: WebSocket, text: string | ArrayBuffer): void {
    if (typeof text !== "string" || text.length > 1000) return socket.close(1009, "send texts of up to 1000 characters");
    const { name } = socket.deserializeAttachment() as { name: string };
    this.ctx.storage.sql.exec("INSERT INTO messages (name, text) VALUES (?, ?)", name, text);
    for (const other of this.ctx.getWebSockets()) other.send(JSON.stringify({ name, text }));
  }

  webSocketClose(socket: WebSocket, code: number): void {
    socket.close(code === 1005 ? 1000 : code);
  }
}
