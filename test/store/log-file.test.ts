import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogFile } from '../../agent/store/log-file.ts';
import { realDisk } from '../../agent/store/sync.ts';
import { Place } from './place.ts';

test('a durable commit is one that SQLite syncs, and the only one', async (context) => {
  const { database: path, clock, directory } = new Place(context);
  const file = LogFile.open(
    path,
    {
      clock,
      syncMs: 250,
      quietMs: 250,
      checkpointBytes: 1e6,
      maxRows: 1_000,
      maxBytes: 1e6,
      nativeBinding: undefined,
      disk: realDisk,
      onTrouble: (error) => assert.equal(error, null),
      onSynced: () => undefined,
    },
    () => ({ epoch: 1, version: '1', startedAtMs: 1, monotonicBaseMs: 1, firstSequence: 1 }),
  );
  const modes: unknown[] = [];
  const look = (): void => void modes.push(file.database.pragma('synchronous', { simple: true }));
  file.commitDurably(look);
  look();
  const refuse = (): never => {
    look();
    file.outbox.begin(5);
    throw new Error(directory);
  };
  assert.throws(() => file.commitDurably(refuse), new Error(directory));
  look();
  // 2 is FULL, 1 is NORMAL.
  assert.deepEqual(modes, [2, 1, 2, 1]);
  assert.deepEqual(file.outbox.epochs(), [], 'all of it or nothing');
  await file.sync.close();
});
