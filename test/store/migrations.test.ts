import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { migrate, migrations } from '../../agent/store/migrations.ts';

function schemaOf(database: Sqlite.Database): unknown {
  return database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all();
}

function memory(version: number, steps = migrations): Sqlite.Database {
  const database = new Sqlite(':memory:');
  migrate(database, 1, steps.slice(0, version));
  return database;
}

for (let version = 0; version <= migrations.length; version += 1) {
  test(`a log of version ${version} becomes one of version ${migrations.length}`, () => {
    const database = memory(version);
    migrate(database, 2);
    assert.deepEqual(schemaOf(database), schemaOf(memory(migrations.length)));
    assert.equal(database.pragma('user_version', { simple: true }), migrations.length);
    const noted = database.prepare('SELECT version FROM migrations').pluck().all();
    assert.deepEqual(
      noted,
      migrations.map((_, index) => index + 1),
    );
  });
}

test('a log of the newest version is left alone', () => {
  const database = memory(migrations.length);
  const before = schemaOf(database);
  migrate(database, 2);
  assert.deepEqual(schemaOf(database), before);
});

test('rows of an older version are still there, and only the missing steps run', () => {
  const steps = ['CREATE TABLE a(x)', 'ALTER TABLE a ADD COLUMN y DEFAULT 7', 'CREATE INDEX a_y ON a(y)'];
  const database = memory(1, steps);
  database.exec('INSERT INTO a VALUES (1)');
  migrate(database, 2, steps);
  assert.deepEqual(database.prepare('SELECT * FROM a').all(), [{ x: 1, y: 7 }]);
});

test('a step that fails leaves the version before it', () => {
  const steps = ['CREATE TABLE a(x)', 'CREATE TABLE b(x); INSERT INTO nowhere VALUES (1)'];
  const database = memory(1, steps);
  assert.throws(() => migrate(database, 2, steps), { code: 'SQLITE_ERROR' });
  assert.equal(database.pragma('user_version', { simple: true }), 1);
  assert.equal(database.prepare("SELECT count(*) FROM sqlite_schema WHERE name = 'b'").pluck().get(), 0);
});

test('a log of a later version is refused with a hint', () => {
  const database = memory(3, ['CREATE TABLE a(x)', 'CREATE TABLE b(x)', 'CREATE TABLE c(x)']);
  assert.throws(
    () => migrate(database, 2, ['CREATE TABLE a(x)']),
    (error: { code: string; hint: string }) => {
      assert.equal(error.code, 'store_newer');
      assert.match(error.hint, /newer expertd/);
      return true;
    },
  );
});

test('a version that only the header names is damage, not the future', () => {
  const database = memory(1);
  database.pragma('user_version = 4');
  assert.throws(() => migrate(database, 2), { code: 'store_damaged' });
});
