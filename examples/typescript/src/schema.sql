CREATE TABLE IF NOT EXISTS notes (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL,
  priority INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notes_by_priority ON notes (priority DESC, id);
