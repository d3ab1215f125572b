import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { migrate } from '../../agent/store/migrations.ts';
import { queries } from '../../agent/store/reader.ts';

const database = new Sqlite(':memory:');
migrate(database, 1);

for (const [name, sql] of Object.entries(queries)) {
  test(`query ${name} goes by a key and sorts nothing`, () => {
    const parameters = Array.from({ length: sql.split('?').length - 1 }, () => 1);
    const plan = database
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...parameters);
    assert.ok(plan.length > 0);
    for (const { detail } of plan) assert.match(detail, /^SEARCH \S+ USING (INTEGER )?PRIMARY KEY/);
  });
}
