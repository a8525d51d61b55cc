import { z } from "zod";

const User = z.object({ name: z.string().min(2), age: z.coerce.number().int().optional() });
export default {
  fetch: () => Response.json([User.parse({ name: "Ada", age: "36" }), User.safeParse({ name: "A" }).error.issues[0].code]),
};
