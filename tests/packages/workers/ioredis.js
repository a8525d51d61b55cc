// `ioredis` on a Redis, over `node:net`.

import Redis from "ioredis";

export default {
  async fetch() {
    const redis = new Redis(process.env.REDIS_URL, { keyPrefix: "ioredis:" });
    const subscriber = redis.duplicate();
    try {
      await redis.set("text", "ünïcödé 🦊", "EX", 100);
      await redis.hset("hash", { a: 1, b: "two" });
      await redis.del("list");
      const pipelined = await redis.pipeline().rpush("list", "x", "y").lrange("list", 0, -1).exec();
      const [, , changed] = await redis.multi().set("count", 1).incr("count").get("count").exec();
      const heard = new Promise((resolve) => subscriber.on("message", (...message) => resolve(message)));
      await subscriber.subscribe("ioredis:news");
      await redis.publish("ioredis:news", "hello");
      const large = "x".repeat(300_000);
      await redis.set("large", large);
      return Response.json({
        text: await redis.get("text"),
        hash: await redis.hgetall("hash"),
        pipelined,
        changed,
        heard: await heard,
        large: (await redis.getBuffer("large")).equals(Buffer.from(large)),
        script: await redis.eval("return {KEYS[1], ARGV[1]}", 1, "key", "value"),
        failed: await redis.incr("text").catch((error) => error.message),
      });
    } finally {
      subscriber.disconnect();
      await redis.quit();
    }
  },
};
