/** Free room in the heap: weights stay out of it while it is cut, and all of it is there again after that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openForeign } from '../../../agent/linux/foreign.ts';
import { openHeap } from '../../../agent/linux/heap.ts';
import { cutHoles, PIECE_BYTES } from '../../../agent/runtime/parking/holes.ts';
import { skip } from './allocations.ts';

const SMALL_BYTES = 60_000;
const WEIGHT_BYTES = PIECE_BYTES + 64;

test('no weight gets into the holes of a heap that is cut', { skip }, async () => {
  const foreign = await openForeign();
  const heap = foreign === null ? null : openHeap(foreign, PIECE_BYTES);
  assert.ok(heap !== null);
  // Room that is free between what is not: the last block keeps the heap from shrinking.
  const blocks = Array.from({ length: 200 }, () => heap.allocate(SMALL_BYTES) ?? assert.fail('no memory'));
  const last = blocks.pop() ?? 0n;
  for (const block of blocks) heap.free(block);
  const inHole = heap.allocate(WEIGHT_BYTES);
  assert.ok(inHole !== null && inHole < last, 'there is a hole that a weight gets into');
  heap.free(inHole);
  const mend = cutHoles(heap);
  assert.equal(heap.allocate(WEIGHT_BYTES), null);
  const small = Array.from({ length: 50 }, () => heap.allocate(SMALL_BYTES) ?? assert.fail('no memory'));
  assert.ok(
    small.every((block) => block < last),
    'small things find room',
  );
  for (const block of small) heap.free(block);
  mend();
  mend();
  const whole = heap.allocate(100 * SMALL_BYTES);
  assert.ok(whole !== null && whole < last, 'the hole is whole again');
  heap.free(whole);
  heap.free(last);
});
