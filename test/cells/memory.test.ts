import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Libc } from '../../agent/linux/libc.ts';
import { CellMemory } from '../../agent/runtime/memory.ts';
import { writeTinyLm } from '../experts-made/tiny-lm.ts';
import { packageOf, StartedCells } from './started.ts';

const MB = 1_000_000;
const KIB = 1_024;
const root = mkdtempSync(join(tmpdir(), 'expertd-memory-'));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'self'));

const SETTLED = ['major', 'minor', 'trim'];

/** Memory of a process as files: what each settling leaves, and a peak that only a reset brings down. */
class MadeUpProcess {
  readonly memory: CellMemory;
  readonly calls: string[] = [];
  usedBytes = 0;

  constructor() {
    const trimHeap = () => this.calls.push('trim') > 0;
    const libc: Libc = { trimHeap, dieWithParent: () => false };
    this.memory = new CellMemory(libc, root, {
      collect: (kind) => void this.calls.push(kind),
      usedBytes: () => this.usedBytes,
    });
  }

  write(pss: number, rss: number, peak: number): void {
    writeFileSync(join(root, 'self/smaps_rollup'), `x [rollup]\nPss: ${pss} kB\n`);
    writeFileSync(join(root, 'self/status'), `VmHWM: ${peak} kB\nVmRSS: ${rss} kB\n`);
    writeFileSync(join(root, 'self/clear_refs'), '');
  }
}

test('a load costs what PSS grew by; its peak is the highest RSS meanwhile', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  const report = await made.memory.measure(async () => made.write(60_000, 70_000, 95_000));
  assert.deepEqual(
    [report.beforeBytes, report.afterBytes, report.peakBytes],
    [40_000 * KIB, 60_000 * KIB, 45_000 * KIB],
  );
  assert.deepEqual(made.calls, [...SETTLED, ...SETTLED]);
});

test('garbage is not collected again before a load where next to none has come since', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  const before = async (usedBytes: number): Promise<string[]> => {
    made.usedBytes = usedBytes;
    made.calls.length = 0;
    let calls: string[] = [];
    await made.memory.measure(async () => {
      calls = [...made.calls];
    });
    return calls;
  };
  made.memory.settle();
  assert.deepEqual(await before(200 * KIB), ['trim']);
  assert.deepEqual(await before(200 * KIB), ['trim'], 'a load settles at its end');
  assert.deepEqual(await before(600 * KIB), SETTLED);
});

test('after a load that failed nothing is known to be settled', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  made.memory.settle();
  await assert.rejects(made.memory.measure(() => Promise.reject(new Error('broken'))));
  made.calls.length = 0;
  await made.memory.measure(async () => assert.deepEqual(made.calls, SETTLED));
});

test('the peak is reset before the work', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  await made.memory.measure(async () => {
    assert.equal(readFileSync(join(root, 'self/clear_refs'), 'utf8'), '5');
  });
});

test('where the peak cannot be reset, it is taken to be what stayed', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  rmSync(join(root, 'self/clear_refs'));
  mkdirSync(join(root, 'self/clear_refs'));
  const work = async () => {
    writeFileSync(join(root, 'self/smaps_rollup'), 'x [rollup]\nPss: 47000 kB\n');
  };
  assert.equal((await made.memory.measure(work)).peakBytes, 7_000 * KIB);
  rmSync(join(root, 'self/clear_refs'), { recursive: true });
});

test('a kernel that tells nothing is no data, never zero', async () => {
  const made = new MadeUpProcess();
  rmSync(join(root, 'self/smaps_rollup'));
  rmSync(join(root, 'self/status'));
  const { beforeBytes, afterBytes, peakBytes } = await made.memory.measure(async () => {});
  assert.deepEqual([beforeBytes, afterBytes, peakBytes], [null, null, null]);
  assert.equal(made.memory.pssBytes(), null);
});

test('a load that fails rejects as the work does', async () => {
  const made = new MadeUpProcess();
  made.write(40_000, 50_000, 90_000);
  await assert.rejects(
    made.memory.measure(() => Promise.reject(new Error('broken'))),
    /broken/,
  );
});

/** Array buffers from all over the heap, of which one stays. */
const GARBAGE = `
  import { openLibc } from ${JSON.stringify(join(import.meta.dirname, '../../agent/linux/libc.ts'))};
  import { readRssBytes } from ${JSON.stringify(join(import.meta.dirname, '../../agent/linux/process.ts'))};
  import { CellMemory } from ${JSON.stringify(join(import.meta.dirname, '../../agent/runtime/memory.ts'))};
  const memory = new CellMemory(await openLibc());
  let blocks = Array.from({ length: 1_000 }, () => new Uint8Array(60_000).fill(1));
  const kept = blocks.at(-1);
  blocks = null;
  const before = readRssBytes('self');
  memory.settle();
  console.log(before - readRssBytes('self') + kept.length);
`;

test('settling gives back all array buffers, not those alone that V8 has freed by then', (t) => {
  if (process.platform !== 'linux') return t.skip('needs glibc');
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', GARBAGE], {
    env: { ...process.env, NODE_OPTIONS: '', MALLOC_TRIM_THRESHOLD_: '1000000000', MALLOC_ARENA_MAX: '1' },
    encoding: 'utf8',
  });
  assert.ok(Number(out) > 55 * MB, `${out} bytes came back of 60 MB`);
});

test('60 MB come in with an expert and go with it', { timeout: 120_000 }, async (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc');
  const directory = join(root, 'sixty');
  const made = writeTinyLm(directory, { id: 'sixty', payloadBytes: 60 * MB });
  const manifest = { ...made, summary: 'session' };
  await using started = new StartedCells(new Map([['sixty', packageOf(directory, manifest)]]));
  let bare = 0;
  for (let round = 0; round < 2; round++) {
    const { beforeBytes, afterBytes, peakBytes } = await started.cells.load('heavy-1', 'heavy', 'sixty');
    assert.ok(beforeBytes !== null && afterBytes !== null && peakBytes !== null);
    if (round === 0) bare = beforeBytes;
    const grown = afterBytes - beforeBytes;
    assert.ok(grown > 40 * MB && grown < 180 * MB, `grown by ${grown} in round ${round}`);
    assert.ok(peakBytes >= grown, `peak ${peakBytes} of ${grown}`);
    const { cellBytes: left } = await started.cells.unload('heavy-1', 'sixty', 'all');
    // PSS also rises by up to 25 MB when other processes of the same Node end: their share of its text falls to us.
    assert.ok(left !== null && left < bare + 37 * MB, `${left} left of ${bare} in round ${round}`);
    t.diagnostic(`bare ${bare / MB} MB, load +${grown / MB}, peak ${peakBytes / MB}, unloaded ${left / MB}`);
  }
});
