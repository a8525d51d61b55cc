// Files with other extensions are imported as text.
import schema from "./schema.sql";
import type { Database } from "./env.ts";
import type { Priority } from "./priority.ts";

export interface Note {
  id: number;
  text: string;
  priority: Priority;
}

export class Notes {
  // Once per worker, which serves many requests.
  private static ready: Promise<unknown> | undefined;

  private constructor(private readonly db: Database) {}

  static async open(db: Database): Promise<Notes> {
    await (Notes.ready ??= db.exec(schema));
    return new Notes(db);
  }

  async add(text: string, priority: Priority): Promise<number> {
    const { meta } = await this.db.prepare("INSERT INTO notes (text, priority) VALUES (?, ?)").bind(text, priority).run();
    return meta.last_row_id;
  }

  async all(): Promise<Note[]> {
    const { results } = await this.db.prepare("SELECT * FROM notes ORDER BY priority DESC, id").all<Note>();
    return results;
  }
}
