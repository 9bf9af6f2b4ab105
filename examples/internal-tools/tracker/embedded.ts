import { DatabaseSync } from 'node:sqlite';
import { MAX_ISSUES, type Tracker } from './tracker.ts';

/** Issues in SQLite: substring search over title and description, keys counted up per project. */
export function openEmbeddedTracker({ file, project }: { file: string; project: string }): Tracker {
  const database = new DatabaseSync(file);
  // The default journal: changing to WAL does not wait for the lock, so two processes that start at once would collide.
  database.exec('PRAGMA busy_timeout = 5000');
  database.exec(
    'CREATE TABLE IF NOT EXISTS issues (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL)',
  );
  const insert = database.prepare("INSERT INTO issues (title, description, status) VALUES (?, ?, 'To Do')");
  const find = database.prepare(
    "SELECT id, title, status FROM issues WHERE title LIKE ?1 ESCAPE '\\' OR description LIKE ?1 ESCAPE '\\' ORDER BY id LIMIT ?2",
  );
  return {
    async search(jql) {
      const pattern = `%${jql.replace(/[\\%_]/g, '\\$&')}%`;
      return find
        .all(pattern, MAX_ISSUES)
        .map((row) => ({ key: `${project}-${row['id']}`, title: String(row['title']), status: String(row['status']) }));
    },
    async create({ title, description }) {
      return { key: `${project}-${insert.run(title, description).lastInsertRowid}` };
    },
  };
}
