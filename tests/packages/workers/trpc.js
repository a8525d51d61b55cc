import { initTRPC } from "@trpc/server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { z } from "zod";

const t = initTRPC.create();
const router = t.router({ hello: t.procedure.input(z.string()).query(({ input }) => `hello ${input}`) });
export default {
  async fetch() {
    const req = new Request(`http://localhost/trpc/hello?input=${encodeURIComponent('"trpc"')}`);
    return fetchRequestHandler({ endpoint: "/trpc", req, router });
  },
};
