import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Archive, DeviceRow } from '../../../agent/archive.ts';
import { AgentError } from '../../../agent/errors.ts';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import { SqliteArchiveReader } from '../../../agent/store/collector/reader.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { Network } from '../records/network.ts';

const pi = topicsOf('t', 'pi');
const hello = controlOf('t').hello;
const birth = {
  online: true,
  bd: 5,
  boot: 'b',
  epoch: 7,
  head: 3,
  agent: '1.0.0',
  schema: 1,
  caps: ['records'],
};

function setUp(
  context: TestContext,
  change: { maxDevices?: number; archive?: (real: Archive) => Archive } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-collector-'));
  const path = join(folder, 'fleet.db');
  const real = new SqliteArchive({
    path,
    nowMs: 1,
    ...(change.maxDevices === undefined ? {} : { maxDevices: change.maxDevices }),
  });
  const clock = new ManualClock();
  const network = new Network(clock, () => 0.5);
  const center = network.end(collectorTopics('t'));
  const acks: { topic: string; ack: unknown }[] = [];
  const device = network.end(['t/v1/+/ack']);
  device.onMessage((topic, payload) => {
    acks.push({ topic, ack: JSON.parse(Buffer.from(payload).toString()) });
    return undefined;
  });
  device.up();
  center.up();
  const reports: { failure: Failure; device: string | null }[] = [];
  const collector = new Collector({
    root: 't',
    link: center,
    archive: change.archive?.(real) ?? real,
    clock,
    report: (failure, of) => reports.push({ failure, device: of }),
  });
  collector.start();
  context.after(() => {
    collector.stop();
    real.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const send = async (topic: string, payload: unknown): Promise<void> => {
    const bytes = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload));
    center.receive({ topic, payload: bytes });
    for (let n = 0; n < 3; n += 1) {
      clock.advance(50);
      await turn();
    }
  };
  const devices = (): readonly DeviceRow[] => {
    const reader = new SqliteArchiveReader(path, 1);
    const rows = reader.devices();
    reader.close();
    return rows;
  };
  return { path, clock, center, collector, acks, reports, send, devices };
}

function batch(first: number, last: number, epoch = 7, say = 'a'): Uint8Array {
  const recs = Array.from({ length: last - first + 1 }, (_, n) => ({ seq: first + n, wallMs: 1_000, say }));
  return gzipSync(JSON.stringify({ v: 1, epoch, first, last, recs }));
}

test('records are kept once and acknowledged with the holes', async (context) => {
  const { send, acks, devices, path } = setUp(context);
  await send(pi.rec, batch(1, 10));
  await send(pi.rec, batch(21, 30));
  await send(pi.rec, batch(21, 30));
  assert.deepEqual(acks, [
    { topic: pi.ack, ack: { epoch: 7, hw: 10, missing: [] } },
    { topic: pi.ack, ack: { epoch: 7, hw: 10, missing: [[11, 20]] } },
    { topic: pi.ack, ack: { epoch: 7, hw: 10, missing: [[11, 20]] } },
  ]);
  assert.equal(devices()[0]?.missing, 10);
  await send(pi.rec, batch(11, 20));
  assert.deepEqual(acks.at(-1)?.ack, { epoch: 7, hw: 30, missing: [] });
  const [row] = devices();
  assert.deepEqual([row?.records, row?.duplicates, row?.conflicts, row?.missing], [30, 10, 0, 0]);
  const reader = new SqliteArchiveReader(path, 1);
  const query = { device: 'pi', sinceMs: null, limit: 3 };
  assert.deepEqual(
    reader.records(query).map(({ seq }) => seq),
    [30, 29, 28],
  );
  assert.deepEqual(reader.records({ ...query, device: 'other' }), []);
  assert.deepEqual(reader.records({ ...query, device: null, sinceMs: 1_001 }), []);
  reader.close();
});

test('two devices with one name are noticed, and the first word stays', async (context) => {
  const { send, devices } = setUp(context);
  await send(pi.rec, batch(1, 5));
  await send(pi.rec, batch(1, 5, 7, 'another'));
  assert.deepEqual([devices()[0]?.records, devices()[0]?.conflicts], [5, 5]);
});

test('what came together is one transaction, and one acknowledgement for each epoch', async (context) => {
  const { center, clock, collector, acks } = setUp(context);
  for (let n = 0; n < 6; n += 1) center.receive({ topic: pi.rec, payload: batch(n * 5 + 1, n * 5 + 5) });
  center.receive({ topic: pi.rec, payload: batch(1, 2, 8) });
  assert.equal(collector.health().commits, 0);
  clock.advance(20);
  await turn();
  clock.advance(20);
  assert.equal(collector.health().commits, 1);
  assert.deepEqual(
    acks.map(({ ack }) => ack),
    [
      { epoch: 7, hw: 30, missing: [] },
      { epoch: 8, hw: 2, missing: [] },
    ],
  );
});

test('a death counts only for the connection that is the newest', async (context) => {
  const { send, devices } = setUp(context);
  await send(pi.status, birth);
  assert.equal(devices()[0]?.online, true);
  await send(pi.status, { online: false, bd: 4 });
  assert.equal(devices()[0]?.online, true, 'the will of an older connection came late');
  await send(pi.status, { online: false, bd: 5 });
  assert.equal(devices()[0]?.online, false);
  await send(pi.status, { ...birth, bd: 6 });
  assert.deepEqual([devices()[0]?.online, devices()[0]?.bd, devices()[0]?.agent], [true, 6, '1.0.0']);
});

test('a hello makes it ask for the birth that the broker keeps', async (context) => {
  const { send, center, devices } = setUp(context);
  const before = devices().length;
  await center.publish(pi.status, JSON.stringify(birth), { qos: 1, retain: true });
  await send(hello, { device: 'pi', bd: 5, epoch: 7 });
  assert.equal(before, 0);
  assert.equal(devices()[0]?.online, true);
});

test('nothing that a device sends ends it; all is counted, and told once', async (context) => {
  const { send, reports, devices, collector } = setUp(context);
  const bad = [Buffer.from('x'), gzipSync('{}'), gzipSync(Buffer.alloc(50_000_000)), Buffer.alloc(300_000)];
  for (const payload of bad) await send(pi.rec, payload);
  await send(pi.status, { online: 'yes' });
  await send(pi.reported, { gen_seen: -1 });
  await send(hello, { device: '../../etc', bd: 1, epoch: 1 });
  await send('t/v1/a/b/rec', batch(1, 2));
  await send('other/v1/pi/rec', batch(1, 2));
  assert.equal(collector.health().refused, 7);
  assert.equal(devices()[0]?.refused, 6);
  assert.ok(reports.length < 7, `${reports.length} reports`);
  await send(pi.rec, batch(1, 2));
  assert.equal(devices()[0]?.records, 2);
});

test('a device cannot fill it with names or with holes', async (context) => {
  const { send, devices, acks } = setUp(context, { maxDevices: 3 });
  for (let n = 0; n < 6; n += 1) await send(topicsOf('t', `d${n}`).rec, batch(1, 1));
  assert.equal(devices().length, 3);
  assert.equal(acks.length, 3);
  for (let n = 0; n < 300; n += 1) await send(topicsOf('t', 'd0').rec, batch(10 + 2 * n, 10 + 2 * n));
  const [row] = devices();
  assert.equal(row?.records, 1 + 256);
  assert.equal(row?.refused, 300 - 256);
});

test('a database that takes nothing: nothing is acknowledged, the broker is slowed down, and it goes on by itself', async (context) => {
  let broken = true;
  const archive = (real: Archive): Archive => ({
    keep: (...all) => {
      if (broken) throw new AgentError('disk_full', 'no room');
      return real.keep(...all);
    },
    born: (...all) => real.born(...all),
    died: (...all) => real.died(...all),
    reported: (...all) => real.reported(...all),
    refused: (...all) => real.refused(...all),
  });
  const { send, acks, clock, collector, devices, reports } = setUp(context, { archive });
  await send(pi.rec, batch(1, 5));
  await send(pi.rec, batch(6, 9));
  assert.equal(acks.length, 0);
  assert.equal(reports.length, 1);
  broken = false;
  clock.advance(1_000);
  await turn();
  clock.advance(50);
  assert.deepEqual(acks.at(-1)?.ack, { epoch: 7, hw: 9, missing: [] });
  assert.equal(devices()[0]?.records, 9);
  assert.equal(collector.health().commits, 1);
});
