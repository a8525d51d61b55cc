/** The bindings declared in `isopod.toml`. */
export interface Env {
  GREETING: string;
  DB: Database;
}

/** The part of D1's interface used here; the whole is `D1Database` in `@cloudflare/workers-types`. */
export interface Database {
  exec(sql: string): Promise<{ count: number }>;
  prepare(sql: string): Statement;
}

export interface Statement {
  bind(...values: (string | number | null)[]): Statement;
  run(): Promise<{ meta: { last_row_id: number } }>;
  all<Row>(): Promise<{ results: Row[] }>;
}
