/** PSS of many processes at the price of one. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProcessSizes, parseResidentPages } from '../../agent/monitor/process-sizes.ts';
import { put, rollup, treeOf } from './trees.ts';

const PAGE = 4_096;

/** A process of so many kB of PSS and pages of resident memory. */
function place(root: string, pid: number, pssKb: number, pages: number): void {
  put(root, `${pid}/smaps_rollup`, rollup(pssKb));
  put(root, `${pid}/statm`, `99999 ${pages} 100 1 0 1 0\n`);
}

test('one process is measured at each look, in turns; the others move with their resident size', (context) => {
  const root = treeOf(context, {});
  const sizes = new ProcessSizes(root);
  const read = () => [...sizes.read([1, 2, 3], PAGE).values()].map((bytes) => bytes / 1024);
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
  assert.equal(sizes.read([1, 2], PAGE).get(2), 60_000 * 1024);
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
  assert.equal(sizes.read([1, 2], PAGE).get(1), 9_000 * 1024);
});

test('without a resident size every look is exact', (context) => {
  const root = treeOf(context, { '1/smaps_rollup': rollup(500), '2/smaps_rollup': rollup(500) });
  const sizes = new ProcessSizes(root);
  sizes.read([1, 2], PAGE);
  put(root, '1/smaps_rollup', rollup(600));
  put(root, '2/smaps_rollup', rollup(700));
  assert.deepEqual([...sizes.read([1, 2], PAGE).values()], [600 * 1024, 700 * 1024]);
});

test('the resident size is the second number of statm, or no data', () => {
  assert.equal(parseResidentPages('70112 5507 2815 5011 0 9022 0\n'), 5_507);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const pages = parseResidentPages(text);
      assert.ok(pages === null || (Number.isSafeInteger(pages) && pages >= 0));
    }),
  );
});
