/** What is measured beside the looks: how busy the CPUs are, by node-os-utils, and the speed of the disk. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HostLoad, readLoadAverage } from '../../agent/monitor/os-utils.ts';
import { measure, StorageMeter } from '../../agent/monitor/storage.ts';
import { put, treeOf } from './trees.ts';

const hasLibrary = await import('node-os-utils').then(
  () => true,
  () => false,
);
const skip = !hasLibrary && 'node-os-utils is not installed';

function fakeCpu(percents: readonly (number | 'failed')[]) {
  const left = [...percents];
  return {
    usage: async () => {
      const data = left.shift() ?? 'failed';
      return data === 'failed' ? ({ success: false } as const) : ({ success: true, data } as const);
    },
    loadAverage: async () => ({ success: false }) as const,
  };
}

test('the first look starts a measurement, later ones have its result; ten seconds lie between two', async () => {
  let nowMs = 0;
  let opened = 0;
  const cpu = fakeCpu([25, 'failed', 140]);
  const load = new HostLoad(
    async () => {
      opened++;
      return cpu;
    },
    () => nowMs,
  );
  const settled = () => new Promise(setImmediate);
  const shares: (number | null)[] = [load.busyShare()];
  for (const atMs of [100, 9_999, 10_000, 10_001, 20_001, 20_002]) {
    await settled();
    nowMs = atMs;
    shares.push(load.busyShare());
  }
  assert.deepEqual(shares, [null, 0.25, 0.25, 0.25, null, null, 1]);
  assert.equal(opened, 1);
});

test('without the library there is no data', async () => {
  const load = new HostLoad(async () => null);
  await load.measure();
  assert.equal(load.busyShare(), null);
});

test('what is used of node-os-utils gives sensible numbers and starts no process', { skip }, async () => {
  const started: unknown[] = [];
  const listen = (message: unknown): void => void started.push(message);
  subscribe('child_process', listen);
  try {
    const load = new HostLoad();
    await load.measure();
    const share = load.busyShare();
    assert.ok(share !== null && share >= 0 && share <= 1);
    const average = await readLoadAverage();
    assert.ok(average !== null && average >= 0);
    assert.deepEqual(started, []);
  } finally {
    unsubscribe('child_process', listen);
  }
});

// ---- the disk -------------------------------------------------------------------------------------------------

test('a disk is measured once, and what was measured is kept for the next start', async (context) => {
  const root = treeOf(context, { 'experts/a/model.onnx': new Uint8Array(4_194_304), 'experts/a/small': 'x' });
  const options = {
    folders: [join(root, 'nowhere'), join(root, 'experts')],
    file: join(root, 'storage.json'),
  };
  const first = new StorageMeter(options);
  await first.start();
  if (first.bytesPerSecond === null) return context.skip('this file system has no direct reads');
  assert.ok(first.bytesPerSecond > 100_000);
  const disk = String(statSync(join(root, 'experts')).dev);
  assert.deepEqual(JSON.parse(readFileSync(options.file, 'utf8')), {
    bytesPerSecond: { [disk]: first.bytesPerSecond },
  });
  writeFileSync(options.file, JSON.stringify({ bytesPerSecond: { [disk]: 12_345, 99: 1 } }));
  const second = new StorageMeter(options);
  await second.start();
  assert.equal(second.bytesPerSecond, 12_345, 'it was taken from the file');
});

test('a damaged file of measurements is measured anew; a state folder that is missing costs nothing but the memory', async (context) => {
  const root = treeOf(context, { 'experts/model': new Uint8Array(2_097_152), 'storage.json': '{"bytesPer' });
  for (const file of [join(root, 'storage.json'), join(root, 'missing/storage.json')]) {
    const meter = new StorageMeter({ folders: [join(root, 'experts')], file });
    await meter.start();
    if (meter.bytesPerSecond === null) return context.skip('this file system has no direct reads');
    assert.ok(meter.bytesPerSecond > 0);
  }
});

test('no large file, no folder, no file: no data', async (context) => {
  const root = treeOf(context, { 'experts/small': 'x' });
  put(root, 'tiny', new Uint8Array(1_000));
  const meter = new StorageMeter({ folders: [join(root, 'experts')], file: join(root, 'storage.json') });
  await meter.start();
  assert.equal(meter.bytesPerSecond, null);
  assert.equal(await measure(join(root, 'tiny')), null);
  assert.equal(await measure(join(root, 'missing')), null);
  assert.equal(await measure(root), null);
});
