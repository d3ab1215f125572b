/** A device that started again and again while it was away: each start left an epoch that waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { OutboxTable } from '../../../agent/store/outbox/table.ts';
import { resident, Story, stateOf } from '../../store/made.ts';
import { Place } from '../../store/place.ts';

const starts = 40;
const options = { outbox: { maxRows: 1_000, maxBytes: 1_000_000, clockSynced: () => false } };

test('an acknowledgement looks at its own epoch only, and an epoch that is through is forgotten', async (context) => {
  const place = new Place(context);
  const epochs = (): readonly unknown[] => {
    const database = new Sqlite(place.database, { readonly: true });
    const rows = database.prepare('SELECT epoch FROM outbox_epochs ORDER BY ordinal').pluck().all();
    database.close();
    return rows;
  };
  for (let n = 0; n < starts; n += 1) {
    const store = place.store(options);
    store.start();
    store.append(new Story(stateOf({ embedder: resident })).granted(`r${n}`).entries);
    await store.stop();
  }
  const store = place.store(options);
  store.start();
  store.append(new Story(stateOf({ embedder: resident })).granted('last').entries);
  await store.flush();
  const outbox = store.outbox();
  assert.ok(outbox !== null);
  const spans = outbox.pending();
  assert.equal(spans.length, starts + 1);

  const looks = context.mock.method(OutboxTable.prototype, 'epochs');
  for (const { epoch, last } of spans) outbox.acknowledge(epoch, last);
  assert.equal(looks.mock.callCount(), 0, 'it looked at all epochs');
  assert.deepEqual(outbox.pending(), []);
  assert.deepEqual(epochs(), [outbox.epoch()]);
  await store.stop();

  // That of a process that was through when it ended goes with the next one.
  const next = place.store(options);
  next.start();
  next.append(new Story(stateOf({ embedder: resident })).granted('next').entries);
  assert.deepEqual(epochs(), [next.outbox()?.epoch()]);
  await next.stop();
});
