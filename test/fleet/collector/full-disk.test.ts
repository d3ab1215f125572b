/**
 * A disk that takes no more, under a device's outbox and under a collector: the limit of the process for the size of a
 * file stands for it, since it can be set and lifted without being root. It is the whole process's, so these tests have
 * a file of their own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { topicsOf } from '../../../agent/fleet/topics.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import { SqliteArchiveReader } from '../../../agent/store/collector/reader.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { Network } from '../records/network.ts';

function limitFiles(bytes: number | 'unlimited'): boolean {
  return spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]).status === 0;
}

const skip = limitFiles('unlimited')
  ? false
  : 'prlimit (util-linux) is not installed or may not be used here';

// Without a listener the signal that comes with the error would end the process.
process.on('SIGXFSZ', () => {});

const pi = topicsOf('t', 'pi');
const birth = { online: true, bd: 1, boot: 'b', epoch: 7, head: 0, agent: '1.0.0', schema: 1, caps: [] };
const reported = {
  gen_seen: 3,
  gen_applied: 3,
  phase: 'Applied',
  conditions: [],
  experts: [],
  disk: { freeBytes: null, totalBytes: null },
  clock: 'synced',
};

function setUp(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-full-'));
  const path = join(folder, 'fleet.db');
  const archive = new SqliteArchive({ path, nowMs: 1 });
  const clock = new ManualClock();
  const network = new Network(clock, () => 0.5);
  const center = network.end(collectorTopics('t'));
  const device = network.end([pi.ack]);
  const acks: unknown[] = [];
  device.onMessage((_topic, payload) => {
    acks.push(JSON.parse(Buffer.from(payload).toString()));
    return undefined;
  });
  const reports: Failure[] = [];
  const collector = new Collector({
    root: 't',
    link: center,
    archive,
    clock,
    report: (failure) => reports.push(failure),
  });
  device.up();
  center.up();
  collector.start();
  context.after(() => {
    limitFiles('unlimited');
    collector.stop();
    archive.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const send = (topic: string, payload: unknown): void =>
    center.receive({
      topic,
      payload: payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload)),
    });
  const wait = async (ms: number): Promise<void> => {
    for (let n = 0; n < 10; n += 1) {
      clock.advance(ms / 10);
      await turn();
    }
  };
  const row = () => {
    const reader = new SqliteArchiveReader(path, 1);
    const [found] = reader.devices();
    reader.close();
    return found;
  };
  return { send, wait, row, acks, reports, collector };
}

function batch(first: number, last: number): Uint8Array {
  const recs = Array.from({ length: last - first + 1 }, (_, n) => ({
    seq: first + n,
    wallMs: 1_000,
    say: `${first + n} `.repeat(50),
  }));
  return gzipSync(JSON.stringify({ v: 1, epoch: 7, first, last, recs }));
}

test('a collector whose disk is full acknowledges nothing, tells it once, and goes on by itself', {
  skip,
}, async (context) => {
  const { send, wait, row, acks, reports, collector } = setUp(context);
  send(pi.rec, batch(1, 10));
  await wait(100);
  assert.deepEqual(acks, [{ epoch: 7, hw: 10, missing: [] }]);
  limitFiles(1);
  for (let first = 11; first <= 2_000; first += 10) {
    send(pi.rec, batch(first, first + 9));
    if (first % 100 === 1) await wait(3_000);
  }
  assert.equal(acks.length, 1);
  assert.equal(reports.length, 1);
  assert.equal(row()?.records, 10, 'half of something was kept');
  limitFiles('unlimited');
  await wait(3_000);
  assert.deepEqual(acks.at(-1), { epoch: 7, hw: 2_000, missing: [] });
  const { records, duplicates, missing, refused } = row() ?? {};
  assert.deepEqual([records, duplicates, missing, refused], [2_000, 0, 0, 0]);
  assert.equal(collector.health().refused, 0);

  limitFiles(1);
  send(pi.rec, batch(2_001, 2_001));
  await wait(3_000);
  assert.equal(reports.length, 2, 'the second time is told as well');
});

test('what a device says of itself while the disk is full is kept when there is room: its last word', {
  skip,
}, async (context) => {
  const { send, wait, row, reports, collector } = setUp(context);
  send(pi.rec, batch(1, 1));
  await wait(100);
  limitFiles(1);
  send(pi.status, birth);
  send(pi.status, { online: false, bd: 1 });
  send(pi.status, { ...birth, bd: 2 });
  send(pi.reported, { ...reported, gen_seen: 2 });
  send(pi.reported, reported);
  await wait(5_000);
  assert.equal(row()?.bd, null);
  assert.equal(reports.length, 1);
  limitFiles('unlimited');
  await wait(5_000);
  const now = row();
  assert.deepEqual([now?.online, now?.bd, now?.refused], [true, 2, 0]);
  assert.equal(JSON.parse(now?.reported ?? '{}').gen_seen, 3);
  assert.equal(collector.health().refused, 0, 'the device has done nothing wrong');
});
