/** Weights that leave memory, and everything that may happen to them meanwhile. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRssBytes } from '../../../agent/linux/process.ts';
import { Block, folder, MB, mapFile, mapNothing, parking, skip } from './allocations.ts';

import { adopted, assertIntact, BYTES, claimed, isRefusal, withDataFile } from './claimed.ts';

test('what was allocated since leaves memory and comes back as it was', { skip }, async (t) => {
  const old = new Block(BYTES, 9);
  const { claim, blocks, directory } = await adopted(t, 4);
  assert.ok(claim.chunkBytes >= 4 * BYTES && claim.chunkBytes < 4 * BYTES + 4 * 70_000);
  assert.deepEqual(readdirSync(directory), []);
  assertIntact(blocks);
  const before = readRssBytes('self') ?? 0;
  const report = claim.park();
  const left = before - (readRssBytes('self') ?? 0);
  assert.ok(left > 0.9 * 4 * BYTES, `${left} bytes have left`);
  assert.ok(report.leftBytes >= 4 * BYTES);
  assert.deepEqual(
    { ...report, leftBytes: 0 },
    { bytes: claim.chunkBytes, leftBytes: 0, keptBytes: 0, writtenChunks: 0, lostChunks: 0 },
  );
  assert.deepEqual(claim.residency(), { bytes: claim.chunkBytes, coldBytes: 0 });
  assert.equal((await claim.resume(true)).readBytes, 0);
  assertIntact(blocks);
  assert.ok(old.holds(9));
  for (const block of [...blocks, old]) block.free();
});

test('what is written to a chunk is never lost: it stays', { skip }, async (t) => {
  const { claim, blocks } = await adopted(t, 3);
  const [first, second, third] = blocks;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  second.write(BYTES / 2, Uint8Array.of(77));
  for (let round = 0; round < 2; round += 1) {
    const report = claim.park();
    assert.equal(report.writtenChunks, 1);
    assert.ok(report.keptBytes > 0 && report.lostChunks === 0);
    await claim.resume(true);
    assert.deepEqual([...second.read(BYTES / 2 - 1, 3)], [2, 77, 2]);
    assert.ok(first.holds(1) && third.holds(3));
  }
  for (const block of blocks) block.free();
});

test('what changed before it was adopted is no weight', { skip }, async (t) => {
  const { claim, blocks, directory } = claimed(t, 3);
  await claim.copy(directory, 0);
  blocks[1]?.write(BYTES - 1, Uint8Array.of(88));
  const { bytes, changedBytes } = claim.adopt();
  assert.ok(Math.abs(changedBytes - BYTES) < 70_000 && Math.abs(bytes - 2 * BYTES) < 140_000);
  assert.ok(blocks[0]?.holds(1) && blocks[2]?.holds(3));
  const { leftBytes, writtenChunks, lostChunks } = claim.park();
  assert.ok(Math.abs(leftBytes - bytes) < 70_000, `${leftBytes} of ${bytes} left`);
  assert.deepEqual([writtenChunks, lostChunks], [0, 0]);
  assert.deepEqual([...(blocks[1]?.read(BYTES - 2, 2) ?? [])], [2, 88]);
  for (const block of blocks) block.free();
});

test('a chunk that was given back before it was adopted is left out', { skip }, async (t) => {
  const { claim, blocks, directory } = claimed(t, 2);
  await claim.copy(directory, 0);
  blocks[0]?.free();
  const { changedBytes } = claim.adopt();
  assert.ok(changedBytes >= BYTES);
  assert.ok(blocks[1]?.holds(2));
  blocks[1]?.free();
});

test('a chunk that was given back, and one whose place another took, are lost', { skip }, async (t) => {
  const { claim, blocks } = await adopted(t, 3);
  blocks[1]?.free();
  blocks[2]?.free();
  const other = mapNothing(blocks[2]?.start ?? 0n, claim.chunkBytes / 3);
  other.write(0, new Uint8Array(other.bytes).fill(55));
  assert.equal(claim.park().lostChunks, 2);
  assert.ok(other.holds(55));
  await claim.resume(false);
  assert.ok(blocks[0]?.holds(1));
  assert.equal(claim.park().lostChunks, 0);
  blocks[0]?.free();
});

test('a mapping that another file replaced is lost', { skip }, async (t) => {
  const { claim, blocks, directory } = await adopted(t, 2);
  const path = join(directory, 'other');
  writeFileSync(path, new Uint8Array(claim.chunkBytes / 2).fill(66));
  mapFile(path, blocks[0]?.start);
  assert.equal(claim.park().lostChunks, 1);
  assert.ok(blocks[0]?.holds(66));
  blocks[1]?.free();
});

test('a chunk with a hole of another kind in its middle is lost, and nothing of it is dropped', {
  skip,
}, async (t) => {
  assert.ok(parking !== null);
  const { claim, blocks } = await adopted(t, 2);
  const hole = mapNothing((blocks[0]?.start ?? 0n) + BigInt(MB), MB);
  hole.write(0, new Uint8Array(hole.bytes).fill(44));
  assert.equal(claim.park().lostChunks, 1);
  assert.ok(hole.holds(44));
  assert.deepEqual([...(blocks[0]?.read(0, 2) ?? [])], [1, 1]);
  await claim.resume(true);
  assert.ok(blocks[1]?.holds(2));
  blocks[1]?.free();
});

test('while a run is under way nothing leaves, and what has left is not used', { skip }, async (t) => {
  const { claim, blocks, directory } = claimed(t, 1);
  const run = Promise.withResolvers<void>();
  const using = claim.use(() => run.promise);
  await claim.copy(directory, 0);
  assert.throws(() => claim.adopt(), /1 runs use the weights/);
  run.resolve();
  await using;
  claim.adopt();
  const other = Promise.withResolvers<void>();
  const failing = claim.use(() => other.promise);
  assert.throws(() => claim.park(), /1 runs use the weights/);
  other.reject(new Error('it failed'));
  await assert.rejects(failing, /it failed/);
  claim.park();
  await assert.rejects(
    claim.use(async () => {}),
    /The weights are parked/,
  );
  assert.throws(() => claim.park(), /The weights are parked/);
  await claim.resume(true);
  await claim.use(async () => {});
  blocks[0]?.free();
});

test('two experts leave and come back each by itself', { skip }, async (t) => {
  const one = await adopted(t, 2);
  const other = await adopted(t, 2);
  assert.ok(Math.abs(other.claim.chunkBytes - 2 * BYTES) < 140_000);
  one.claim.park();
  assertIntact(other.blocks);
  other.claim.park();
  await one.claim.resume(true);
  assertIntact(one.blocks);
  await other.claim.resume(true);
  assertIntact(other.blocks);
  for (const block of [...one.blocks, ...other.blocks]) block.free();
});

test('released before its memory, the memory stays as it is; after it, nothing is left', {
  skip,
}, async (t) => {
  const { claim, blocks } = await adopted(t, 2);
  claim.park();
  await claim.release();
  await claim.release();
  assertIntact(blocks);
  blocks[0]?.write(0, Uint8Array.of(5));
  assert.deepEqual([...(blocks[0]?.read(0, 2) ?? [])], [5, 1]);
  for (const block of blocks) block.free();
  const second = await adopted(t, 2);
  second.claim.park();
  for (const block of second.blocks) block.free();
  await second.claim.release();
  await assert.rejects(
    second.claim.use(async () => {}),
    /The weights are released/,
  );
});

test('a file of weights that lost its name, or gave it to another, is the same still', {
  skip,
}, async (t) => {
  const { claim, path, part } = await withDataFile(t);
  assert.ok(claim.park().leftBytes >= part.bytes);
  unlinkSync(path);
  await claim.resume(true);
  assert.ok(part.holds(7));
  claim.park();
  writeFileSync(`${path}.new`, new Uint8Array(BYTES).fill(8));
  renameSync(`${path}.new`, path);
  await claim.resume(true);
  assert.ok(part.holds(7));
});

test('a file of weights that was written to or cut is not used again', { skip }, async (t) => {
  const faults: readonly ((path: string) => void)[] = [
    (path) => truncateSync(path, 10),
    (path) => appendFileSync(path, 'x'),
    (path) => {
      const file = openSync(path, 'r+');
      writeSync(file, Uint8Array.of(9), 0, 1, 5);
      closeSync(file);
    },
  ];
  for (const fault of faults) {
    const { claim, path } = await withDataFile(t);
    claim.park();
    fault(path);
    await assert.rejects(claim.resume(true), isRefusal('weights_changed', /weights\.data/));
    await assert.rejects(claim.use(async () => {}));
  }
  const { claim, path } = await withDataFile(t);
  writeFileSync(path, 'another');
  assert.throws(() => claim.park(), isRefusal('weights_changed', /weights\.data/));
});

test('where all weights are in files of the package, nothing is copied', { skip }, async (t) => {
  assert.ok(parking !== null);
  const [package_, directory] = [folder(t), folder(t)];
  const path = join(package_, 'weights.data');
  writeFileSync(path, new Uint8Array(BYTES).fill(7));
  const watch = parking.watch();
  const part = mapFile(path);
  const claim = watch.claim([package_]);
  t.after(() => claim.release());
  await claim.copy(directory, 2 ** 60);
  assert.deepEqual(claim.adopt(), { bytes: 0, changedBytes: 0 });
  assert.ok(part.holds(7));
  assert.equal(claim.park().leftBytes, BYTES);
  await claim.resume(true);
  assert.ok(part.holds(7));
});

test('a page of a file of weights that was written to in memory stays', { skip }, async (t) => {
  const { claim, part } = await withDataFile(t);
  part.write(100, Uint8Array.of(99));
  assert.ok(claim.park().keptBytes > 0);
  assert.deepEqual([...part.read(99, 3)], [7, 99, 7]);
});

test('no place for the copy: the reason is told, and all is as before', { skip }, async (t) => {
  const { claim, blocks, directory } = claimed(t, 1);
  await assert.rejects(claim.copy(directory, 2 ** 60), isRefusal('not_parkable', /bytes are to be written/));
  await assert.rejects(claim.copy(join(directory, 'none'), 0), isRefusal('not_parkable', /ENOENT/));
  assertIntact(blocks);
  await claim.copy(directory, 0);
  claim.adopt();
  claim.park();
  await claim.resume(true);
  assertIntact(blocks);
  blocks[0]?.free();
  assert.ok(parking !== null);
  const nothing = parking.watch().claim([]);
  await assert.rejects(nothing.copy(directory, 0), isRefusal('not_parkable', /none were found/));
  await nothing.release();
});

test('released while it is copied, the copy ends', { skip }, async (t) => {
  const { claim, blocks, directory } = claimed(t, 8);
  const copying = assert.rejects(claim.copy(directory, 0), isRefusal('not_parkable', /given back/));
  await assert.rejects(claim.copy(directory, 0), /being copied/);
  await claim.release();
  await copying;
  for (const block of blocks) block.free();
});
