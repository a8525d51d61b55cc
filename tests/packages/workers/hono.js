import { Hono } from "hono";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { validator } from "hono/validator";

const app = new Hono().use(cors()).use(etag());
app.get("/", (c) => c.json({ hello: "hono" }));
app.post("/", validator("json", (value, c) => (value.n ? value : c.text("no", 400))), (c) => c.json(c.req.valid("json")));
export default {
  async fetch() {
    const got = await app.request("/");
    const posted = (n) => app.request("/", { method: "POST", headers: { "content-type": "application/json" }, body: `{"n":${n}}` });
    return Response.json([
      await got.json(),
      got.headers.get("access-control-allow-origin"),
      got.headers.has("etag"),
      await (await posted(1)).json(),
      (await posted(0)).status,
    ]);
  },
};
