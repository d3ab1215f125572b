/** PSS of many processes at the price of one. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProcessSizes, parseResident } from '../../agent/monitor/process-sizes.ts';
import { monitorOf, put, rollup, treeOf } from './trees.ts';

const PAGE = 4_096;

/** A process of so many kB of PSS and pages of resident memory. */
function place(root: string, pid: number, pssKb: number, pages: number): void {
  put(root, `${pid}/smaps_rollup`, rollup(pssKb));
  put(root, `${pid}/statm`, `99999 ${pages} 100 1 0 1 0\n`);
}

test('one process is measured at each look, in turns; the others move with their resident size', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  const read = () => [...sizes.read([1, 2, 3], PAGE).values()].map(({ pssBytes }) => pssBytes / 1024);
  for (const pid of [1, 2, 3]) place(root, pid, 1_000, 500);
  assert.deepEqual(read(), [1_000, 1_000, 1_000], 'the first look measures all');
  // 10 pages (40 kB) more, of which PSS has 30 kB: shared with somebody.
  for (const pid of [1, 2, 3]) place(root, pid, 1_030, 510);
  assert.deepEqual(read(), [1_030, 1_040, 1_040]);
  assert.deepEqual(read(), [1_030, 1_030, 1_040]);
  assert.deepEqual(read(), [1_030, 1_030, 1_030]);
});

test('bytes that come back are seen at once, whoever has the turn', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  place(root, 1, 100_000, 25_000);
  place(root, 2, 100_000, 25_000);
  sizes.read([1, 2], PAGE);
  place(root, 2, 60_000, 15_000);
  assert.equal(sizes.read([1, 2], PAGE).get(2)?.pssBytes, 60_000 * 1024);
});

test('a process that ends is gone, and its number may come again as another', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  place(root, 1, 500, 100);
  place(root, 2, 500, 100);
  sizes.read([1, 2], PAGE);
  rmSync(join(root, '1'), { recursive: true });
  for (let look = 0; look < 3; look++) assert.deepEqual([...sizes.read([1, 2], PAGE).keys()], [2]);
  sizes.read([2], PAGE);
  place(root, 1, 9_000, 100);
  assert.equal(sizes.read([1, 2], PAGE).get(1)?.pssBytes, 9_000 * 1024);
});

test('without a resident size every look is exact', (context) => {
  const root = treeOf(context, { '1/smaps_rollup': rollup(500), '2/smaps_rollup': rollup(500) });
  const sizes = new ProcessSizes(root);
  sizes.read([1, 2], PAGE);
  put(root, '1/smaps_rollup', rollup(600));
  put(root, '2/smaps_rollup', rollup(700));
  const read = [...sizes.read([1, 2], PAGE).values()].map(({ pssBytes }) => pssBytes);
  assert.deepEqual(read, [600 * 1024, 700 * 1024]);
});

/** The same with so many kB and pages of files. */
function placeWithFiles(root: string, pid: number, [pssKb, fileKb]: Pair, [pages, filePages]: Pair): void {
  put(root, `${pid}/smaps_rollup`, `${rollup(pssKb)}Pss_File: ${fileKb} kB\n`);
  put(root, `${pid}/statm`, `99999 ${pages} ${filePages} 1 0 1 0\n`);
}

type Pair = readonly [number, number];

test('what files are behind is measured in the same turn, and moves with the resident pages of files', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  const read = () => [...sizes.read([1, 2], PAGE).values()].map((size) => (size.fileBytes ?? -1) / 1024);
  for (const pid of [1, 2]) placeWithFiles(root, pid, [1_000, 300], [500, 200]);
  assert.deepEqual(read(), [300, 300]);
  // 100 pages of its own (400 kB) became a file's: as many bytes as before.
  for (const pid of [1, 2]) placeWithFiles(root, pid, [1_000, 690], [500, 300]);
  assert.deepEqual(read(), [690, 700]);
  assert.deepEqual(read(), [690, 690]);
  // They were dropped.
  for (const pid of [1, 2]) placeWithFiles(root, pid, [610, 300], [400, 200]);
  assert.deepEqual(read(), [300, 290]);
  for (const pid of [1, 2]) placeWithFiles(root, pid, [200, 0], [50, 0]);
  assert.deepEqual(read()[1], 0, 'never less than nothing');
});

test('more is never said to be of files than a process takes', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  for (const pid of [1, 2]) placeWithFiles(root, pid, [1_000, 900], [500, 450]);
  sizes.read([1, 2], PAGE);
  for (const pid of [1, 2]) placeWithFiles(root, pid, [200, 100], [300, 450]);
  assert.deepEqual(sizes.read([1, 2], PAGE).get(2), { pssBytes: 200 * 1024, fileBytes: 200 * 1024 });
});

test('a kernel that does not tell files apart gives no data of them', (context) => {
  const files = { 'proc/1/smaps_rollup': rollup(500), 'proc/1/statm': '999 200 50 1 0 1 0\n' };
  const root = treeOf(context, files);
  const monitor = monitorOf(root, { pids: () => new Map([['fast-1', 1]]) });
  for (let look = 0; look < 2; look++) {
    const { cellBytes, cellFileBytes } = monitor.sample();
    assert.deepEqual([[...cellBytes.keys()], [...cellFileBytes.keys()]], [['fast-1'], []]);
  }
});

test('the resident sizes are the second and third number of statm, or no data', () => {
  const statm = '70112 5507 2815 5011 0 9022 0\n';
  assert.deepEqual(parseResident(statm, PAGE), { bytes: 5_507 * PAGE, fileBytes: 2_815 * PAGE });
  assert.equal(parseResident('70112 5507', PAGE), null);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const resident = parseResident(text, PAGE);
      assert.ok(resident === null || (Number.isSafeInteger(resident.bytes) && resident.bytes >= 0));
    }),
  );
});
