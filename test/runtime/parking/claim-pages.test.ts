/** What of parked weights the page cache holds: it is seen, forgotten, and read again. */
import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { test } from 'node:test';
import { Claim } from '../../../agent/runtime/parking/claim.ts';
import { forgetCached, skip } from './allocations.ts';

import { adopted, assertIntact, isRefusal, seen, withDataFile } from './claimed.ts';

test('what the page cache has lost is seen, and read before it is needed', { skip }, async (t) => {
  const { claim, blocks, directory } = await adopted(t, 3);
  claim.park();
  forgetCached(directory);
  const { bytes, coldBytes } = seen(claim);
  assert.ok(bytes === claim.chunkBytes && coldBytes > 0.5 * bytes, `${coldBytes} of ${bytes} are cold`);
  assert.equal((await claim.resume(true)).readBytes, coldBytes);
  assert.equal(seen(claim).coldBytes, 0);
  claim.park();
  forgetCached(directory);
  assert.equal((await claim.resume(false)).readBytes, 0);
  assertIntact(blocks);
  for (const block of blocks) block.free();
});

test('chilled, all of it comes from the disk; warmed, nothing does, and it stays parked', {
  skip,
}, async (t) => {
  const { claim, blocks, part } = await withDataFile(t);
  assert.throws(() => claim.chill(), /The weights are resident/);
  await assert.rejects(
    claim.warm(() => false),
    /The weights are resident/,
  );
  claim.park();
  for (let round = 0; round < 2; round += 1) {
    claim.chill();
    const { bytes, coldBytes } = seen(claim);
    assert.equal(bytes, claim.chunkBytes + part.bytes);
    // What was read ahead lies across the ends of chunks: the kernel must not keep it for that.
    assert.ok(coldBytes > 0.9 * bytes, `${coldBytes} of ${bytes} are cold in round ${round}`);
    await claim.warm(() => true);
    assert.equal(seen(claim).coldBytes, coldBytes);
    await claim.warm(() => false);
    assert.deepEqual(seen(claim), { bytes, coldBytes: 0 });
    assert.ok(claim.isParked);
  }
  claim.chill();
  await claim.resume(true);
  assert.equal(seen(claim).coldBytes, 0);
  assertIntact(blocks);
  assert.ok(part.holds(7));
  for (const block of blocks) block.free();
});

test('warmed after one of its files was written to, the reason is told', { skip }, async (t) => {
  const { claim, path, blocks } = await withDataFile(t);
  claim.park();
  appendFileSync(path, 'x');
  await assert.rejects(
    claim.warm(() => false),
    isRefusal('weights_changed', /weights\.data/),
  );
  for (const block of blocks) block.free();
});

test('of a file of another user nobody knows how much of it is near, unless it is of no use', () => {
  const claim = (isOfUse: boolean) =>
    new Claim(
      { pageBytes: 4_096, remapping: {} } as never,
      [],
      [{ tellsResidency: false, isOfUse, parts: [] } as never],
    );
  assert.equal(claim(true).residency(), null);
  assert.deepEqual(claim(false).residency(), { bytes: 0, coldBytes: 0 });
});
