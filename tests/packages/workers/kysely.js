import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";

const db = new Kysely({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});
const query = db.selectFrom("person").select(["id", "name as n"]).where("age", ">", 3).orderBy("name").compile();
export default { fetch: async () => Response.json([query.sql, query.parameters, await db.selectFrom("x").selectAll().execute()]) };
