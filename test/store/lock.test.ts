import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Place } from './place.ts';

const writer = join(import.meta.dirname, 'writer.ts');

test('a second store in one directory is refused and told who is there', async (context) => {
  const place = new Place(context);
  const first = place.store();
  first.start();
  assert.throws(
    () => place.store().start(),
    (error: { code: string; message: string; hint: string }) => {
      assert.equal(error.code, 'state_dir_locked');
      assert.match(error.message, new RegExp(`process ${process.pid}\\b`));
      assert.match(error.hint, /--state-dir/);
      return true;
    },
  );
  await first.stop();
  const second = place.store();
  second.start();
  await second.stop();
});

test('the lock of a killed process is gone with it', async (context) => {
  const place = new Place(context);
  const child = spawn(process.execPath, [writer, place.directory, '1000000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  assert.throws(() => place.store().start(), {
    code: 'state_dir_locked',
    message: new RegExp(`process ${child.pid}`),
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = place.store();
  store.start();
  await store.stop();
});

test('whatever is in the lock file or beside it does not matter', async (context) => {
  const place = new Place(context);
  writeFileSync(
    join(place.directory, 'agent.lock'),
    'no database at all, but longer than its header'.repeat(9),
  );
  writeFileSync(join(place.directory, 'agent.lock.pid'), 'nonsense');
  const store = place.store();
  store.start();
  assert.throws(() => place.store().start(), { code: 'state_dir_locked' });
  await store.stop();
});

test('a state directory is made where there is none', async (context) => {
  const place = new Place(context);
  const directory = join(place.directory, 'a', 'b');
  const store = place.store({ directory });
  store.start();
  assert.ok(existsSync(join(directory, 'decisions.db')));
  await store.stop();
});

test('a state directory that cannot be written is refused with the fix', (context) => {
  const place = new Place(context);
  const file = join(place.directory, 'file');
  writeFileSync(file, '');
  const refused = { code: 'state_dir_unusable', hint: /right to write there/ };
  assert.throws(() => place.store({ directory: join(file, 'state') }).start(), refused);

  const directory = join(place.directory, 'read-only');
  mkdirSync(directory, { mode: 0o555 });
  chmodSync(place.directory, 0o755);
  // Rights do not bind root: become somebody else for a moment.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    assert.throws(() => place.store({ directory }).start(), refused);
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});
