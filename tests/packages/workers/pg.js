// `pg` on a PostgreSQL, over `node:net`, and over `node:tls` where the server has a certificate.

import pg from "pg";

const connectionString = process.env.POSTGRES_URL;

const used = async (settings, act) => {
  const client = new pg.Client({ connectionString, ...settings });
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
};

const queries = (client) =>
  (async () => {
    await client.query("CREATE TEMPORARY TABLE notes (id serial PRIMARY KEY, text text, data jsonb, at timestamptz, bytes bytea)");
    const values = ["ünïcödé 🦊", { a: [1, null] }, new Date(0), Buffer.from([0, 255])];
    const added = await client.query("INSERT INTO notes (text, data, at, bytes) VALUES ($1, $2, $3, $4) RETURNING *", values);
    await client.query("BEGIN");
    await client.query("DELETE FROM notes");
    await client.query("ROLLBACK");
    const many = await client.query("SELECT i, repeat('x', 1000) AS text FROM generate_series(1, 5000) i");
    const failed = await client.query("SELECT * FROM nothing").catch((error) => [error.code, error.message]);
    return {
      added: added.rows,
      kept: (await client.query("SELECT count(*)::int AS kept FROM notes")).rows,
      many: [many.rowCount, many.rows.reduce((sum, { i, text }) => sum + i + text.length, 0)],
      failed,
      prepared: (await client.query({ name: "sum", text: "SELECT $1::int + $2::int AS sum", values: [1, 2] })).rows,
    };
  })();

const pooled = async () => {
  const pool = new pg.Pool({ connectionString, max: 3 });
  const answers = await Promise.all([1, 2, 3, 4, 5].map((n) => pool.query("SELECT $1::int AS n", [n])));
  await pool.end();
  return answers.map(({ rows }) => rows[0].n);
};

const secured = (settings) =>
  used({ ssl: { ca: process.env.POSTGRES_CA, ...settings } }, async (client) => {
    const { rows } = await client.query("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    return [rows, client.connection.stream.encrypted, client.connection.stream.authorized];
  });

const refused = async () => {
  const client = new pg.Client({ connectionString: "postgres://app@127.0.0.1:1/postgres" });
  return await client.connect().then(() => "connected", ({ code, syscall, address, port }) => [code, syscall, address, port]);
};

export default {
  fetch: async () =>
    Response.json({
      queries: await used({}, queries),
      pooled: await pooled(),
      secured: await secured({}),
      // Certificates of another authority.
      untrusted: await used({ ssl: true }, () => "connected").catch((error) => typeof error.code),
      refused: await refused(),
    }),
};
