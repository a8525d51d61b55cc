// A Hono app as in Hono's documentation; nothing in it is specific to Isopod.

import { Hono } from "hono";
import { env, getRuntimeKey } from "hono/adapter";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";

const books = new Map([
  ["1", { id: "1", title: "The Left Hand of Darkness", year: 1969 }],
  ["2", { id: "2", title: "Solaris", year: 1961 }],
]);

const app = new Hono();

app.use(secureHeaders());

app.get("/", (c) => c.text("Hello from Hono!"));

app.get("/greeting", (c) => c.json({ greeting: env(c).GREETING, runtime: getRuntimeKey() }));

app.get("/books", (c) => c.json([...books.values()]));

app.get("/books/:id", (c) => {
  const book = books.get(c.req.param("id"));
  if (!book) throw new HTTPException(404, { message: "no such book" });
  return c.json(book);
});

// Validates the input and returns it, as most APIs do.
app.post("/echo", async (c) => {
  const { title, year } = await c.req.json();
  if (typeof title !== "string" || !Number.isInteger(year)) {
    return c.json({ error: "title must be a string, year a whole number" }, 400);
  }
  return c.json({ title, year }, 201);
});

export default app;
