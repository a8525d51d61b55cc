import { and, desc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";

import { Chat } from "./chat.ts";
import { Prices } from "./prices.ts";
import { orders, products } from "./schema.ts";

export { Chat, Prices };

interface Env {
  DB: D1Database;
  SESSIONS: KVNamespace;
  UPLOADS: R2Bucket;
  RECEIPTS: Queue<Receipt>;
  PRICES: Service<Prices>;
  CHAT: DurableObjectNamespace<Chat>;
}

interface Receipt {
  order: string;
}

const DAY = 24 * 3600;

const app = new Hono<{ Bindings: Env; Variables: { customer: string } }>();

app.post("/api/login", async (c) => {
  const { name } = await c.req.json<{ name: string }>();
  if (typeof name !== "string" || !/^[\w -]{1,40}$/.test(name)) {
    throw new HTTPException(400, { message: "a name has up to 40 letters, digits, spaces or dashes" });
  }
  const session = crypto.randomUUID();
  await c.env.SESSIONS.put(session, name, { expirationTtl: DAY });
  setCookie(c, "session", session, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: DAY });
  return c.json({ name });
});

app.get("/api/products", async (c) => c.json(await drizzle(c.env.DB).select().from(products).orderBy(products.id)));

app.get("/images/:id", async (c) => {
  const image = await c.env.UPLOADS.get(`images/${c.req.param("id")}`, {
    onlyIf: c.req.raw.headers,
    range: c.req.raw.headers,
  });
  if (image === null) return c.notFound();
  const headers = new Headers({ etag: image.httpEtag, "cache-control": "no-cache" });
  image.writeHttpMetadata(headers);
  return "body" in image ? new Response(image.body, { headers }) : new Response(null, { status: 304, headers });
});

// The routes below require a login.
app.use("/api/*", async (c, next) => {
  const customer = await c.env.SESSIONS.get(getCookie(c, "session") ?? "none");
  if (customer === null) throw new HTTPException(401, { message: "log in first" });
  c.set("customer", customer);
  await next();
});

app.put("/api/products/:id/image", async (c) => {
  const type = c.req.header("content-type") ?? "";
  if (!/^image\/(png|jpeg|svg\+xml)$/.test(type)) throw new HTTPException(415, { message: "send a PNG, JPEG or SVG" });
  await c.env.UPLOADS.put(`images/${c.req.param("id")}`, c.req.raw.body, { httpMetadata: { contentType: type } });
  return c.body(null, 204);
});

app.post("/api/orders", async (c) => {
  const { product, quantity } = await c.req.json<{ product: number; quantity: number }>();
  const db = drizzle(c.env.DB);
  const found = await db.select().from(products).where(eq(products.id, product)).get();
  if (found === undefined) throw new HTTPException(404, { message: "there is no such product" });
  const cents = await c.env.PRICES.quote(found.cents, quantity).catch((error: Error) => {
    throw new HTTPException(400, { message: error.message });
  });
  const order = { id: crypto.randomUUID(), customer: c.var.customer, productId: product, quantity, cents, created: Date.now() };
  await db.insert(orders).values(order);
  await c.env.RECEIPTS.send({ order: order.id });
  return c.json({ id: order.id, cents }, 201);
});

app.get("/api/orders", async (c) => {
  const mine = eq(orders.customer, c.var.customer);
  return c.json(await drizzle(c.env.DB).select().from(orders).where(mine).orderBy(desc(orders.created)).limit(50));
});

app.get("/api/orders/:id/receipt", async (c) => {
  const receipt = await c.env.UPLOADS.get(`receipts/${c.var.customer}/${c.req.param("id")}`);
  return receipt === null ? c.notFound() : new Response(receipt.body, { headers: { "content-type": "text/plain" } });
});

app.get("/api/chat", (c) => {
  const request = new Request(c.req.raw, { headers: new Headers(c.req.raw.headers) });
  request.headers.set("x-customer", c.var.customer);
  return c.env.CHAT.getByName("lobby").fetch(request);
});

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  console.error(error);
  return c.json({ error: "something went wrong" }, 500);
});

export default {
  fetch: app.fetch,

  /** Writes receipts. A message may be delivered twice, so writing is idempotent. */
  async queue(batch, env) {
    const db = drizzle(env.DB);
    for (const message of batch.messages) {
      const order = await db.select().from(orders).where(eq(orders.id, message.body.order)).get();
      if (order !== undefined) {
        const text = `Order ${order.id}\n${order.quantity} × product ${order.productId}: ${(order.cents / 100).toFixed(2)}\n`;
        await env.UPLOADS.put(`receipts/${order.customer}/${order.id}`, text);
        await db.update(orders).set({ state: "receipted" }).where(and(eq(orders.id, order.id), eq(orders.state, "open")));
      }
      message.ack();
    }
  },

  /** Closes the orders whose receipts are written. */
  async scheduled(_controller, env) {
    await drizzle(env.DB).update(orders).set({ state: "closed" }).where(eq(orders.state, "receipted"));
  },
} satisfies ExportedHandler<Env, Receipt>;
