import { AutoRouter, error } from "itty-router";

const router = AutoRouter();
router.get("/books/:id", ({ id }) => ({ id })).all("*", () => error(404, "none"));
export default {
  async fetch() {
    const ask = async (path) => (await router.fetch(new Request(`http://localhost${path}`))).json();
    return Response.json([await ask("/books/2"), await ask("/x")]);
  },
};
