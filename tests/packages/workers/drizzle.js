import { drizzle } from "drizzle-orm/sqlite-proxy";
import { eq, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

const users = sqliteTable("users", { id: integer("id").primaryKey(), name: text("name").notNull() });
const db = drizzle(async (query, params) => ({ rows: [[params[0], query]] }));
export default {
  fetch: async () => Response.json([await db.select().from(users).where(eq(users.id, 7)), db.select({ n: sql`count(*)` }).from(users).toSQL()]),
};
