// `postgres` on a PostgreSQL: in workers over `cloudflare:sockets`, in Node.js over `node:net`.

import postgres from "postgres";

export default {
  async fetch() {
    const sql = postgres(process.env.POSTGRES_URL, { max: 2, ssl: false });
    try {
      await sql`CREATE TEMPORARY TABLE IF NOT EXISTS kinds (id int)`;
      const rows = await sql`SELECT ${1}::int + 1 AS two, ${"ü"}::text AS text, ${sql.json({ a: [1] })}::jsonb AS json`;
      const inserted = await sql.begin(async (sql) => {
        await sql`CREATE TEMPORARY TABLE mine (id int, name text) ON COMMIT DROP`;
        await sql`INSERT INTO mine ${sql([{ id: 1, name: "a" }, { id: 2, name: "b" }])}`;
        return await sql`SELECT * FROM mine ORDER BY id DESC`;
      });
      let sum = 0;
      for await (const part of sql`SELECT i FROM generate_series(1, 1000) i`.cursor(100)) sum += part.reduce((all, { i }) => all + i, 0);
      const failed = await sql`SELECT * FROM nothing`.catch((error) => [error.code, error.message]);
      return Response.json({ rows, inserted, sum, failed });
    } finally {
      await sql.end();
    }
  },
};
