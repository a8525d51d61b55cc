// 1,000 keys and 1,000 rows, one of which is read by each request.
const COUNT = 1000;
const any = () => 1 + Math.floor(Math.random() * COUNT);

export default {
  async fetch(request, env) {
    switch (new URL(request.url).pathname) {
      case "/fill": {
        const ids = [...Array(COUNT).keys()].map((at) => at + 1);
        for (let at = 0; at < COUNT; at += 100) {
          await Promise.all(ids.slice(at, at + 50).map((id) => env.KV.put(`key-${id}`, `item ${id}`)));
          await Promise.all(ids.slice(at + 50, at + 100).map((id) => env.KV.put(`key-${id}`, `item ${id}`)));
        }
        await env.DB.exec("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)");
        const insert = env.DB.prepare("INSERT OR REPLACE INTO items VALUES (?, ?)");
        for (let at = 0; at < COUNT; at += 100) {
          await env.DB.batch(ids.slice(at, at + 100).map((id) => insert.bind(id, `item ${id}`)));
        }
        return new Response("filled");
      }
      case "/kv":
        return new Response(await env.KV.get(`key-${any()}`));
      default:
        return new Response(await env.DB.prepare("SELECT name FROM items WHERE id = ?").bind(any()).first("name"));
    }
  },
};
