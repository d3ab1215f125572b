import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openForeign } from '../../agent/linux/foreign.ts';
import { OwnMemory } from '../../agent/linux/own-memory.ts';
import { openPages } from '../../agent/linux/pages.ts';

const foreign = await openForeign();
const source = foreign === null ? null : openPages(foreign);
const memory = source === null ? null : OwnMemory.open(source.pageBytes);
const skip = memory === null && 'this process cannot look at its memory here';

test('pages count by what was done to them', { skip }, () => {
  assert.ok(foreign !== null && source !== null && memory !== null);
  const { pageBytes } = source;
  const pages = source.map(4 * pageBytes);
  const at = (page: number) => pages.address + BigInt(page * pageBytes);
  assert.deepEqual(memory.count(pages.address, pages.bytes), { presentBytes: 0, ownBytes: 0 });
  for (const page of [1, 3]) source.copy(foreign.addressOf(Uint8Array.of(5, 6, 7)), at(page) + 9n, 3);
  assert.deepEqual(memory.touched(pages.address, pages.bytes), Uint8Array.of(0, 1, 0, 1));
  const counted = { presentBytes: 2 * pageBytes, ownBytes: 2 * pageBytes };
  assert.deepEqual(memory.count(pages.address, pages.bytes), counted);
  const read = new Uint8Array(3);
  assert.ok(memory.read(at(3) + 9n, read));
  assert.deepEqual(read, Uint8Array.of(5, 6, 7));
  pages.release();
  assert.deepEqual(memory.count(at(0), 4 * pageBytes), { presentBytes: 0, ownBytes: 0 });
});

test('memory that is not there is no crash', { skip }, () => {
  assert.ok(source !== null && memory !== null);
  const pages = source.map(source.pageBytes);
  const { address } = pages;
  pages.release();
  assert.equal(memory.read(address, new Uint8Array(1)), false);
  assert.equal(memory.read(0n, new Uint8Array(1)), false);
});
