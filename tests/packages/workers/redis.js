// `redis` on a Redis, over `node:net`.

import { createClient } from "redis";

export default {
  async fetch() {
    const client = createClient({ url: process.env.REDIS_URL });
    const errors = [];
    client.on("error", (error) => errors.push(error.message));
    await client.connect();
    try {
      await client.set("redis:text", "ünïcödé 🦊", { expiration: { type: "EX", value: 100 } });
      await client.hSet("redis:hash", { a: "1", b: "two" });
      await client.del("redis:sorted");
      await client.zAdd("redis:sorted", [{ score: 2, value: "b" }, { score: 1, value: "a" }]);
      return Response.json({
        text: await client.get("redis:text"),
        hash: await client.hGetAll("redis:hash"),
        sorted: await client.zRange("redis:sorted", 0, -1),
        multi: await client.multi().set("redis:count", 1).incr("redis:count").exec(),
        many: (await Promise.all(Array.from({ length: 500 }, (_, i) => client.set(`redis:n:${i}`, `${i}`)))).length,
        failed: await client.incr("redis:text").catch((error) => error.message),
        errors,
      });
    } finally {
      await client.close();
    }
  },
};
