import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openForeign } from '../../agent/linux/foreign.ts';
import { openPages } from '../../agent/linux/pages.ts';
import { readRssBytes } from '../../agent/linux/process.ts';

const MB = 1024 ** 2;

const foreign = await openForeign();
const source = foreign === null ? null : openPages(foreign);
const skip = source === null && 'foreign functions cannot be called here';

test('only touched pages count, and they go back at once', { skip }, () => {
  assert.ok(foreign !== null && source !== null);
  const ones = new Uint8Array(40 * MB).fill(1);
  const before = readRssBytes('self') ?? 0;
  const grown = () => (readRssBytes('self') ?? 0) - before;
  const pages = source.map(1024 * MB);
  assert.ok(grown() < 10 * MB, `${grown()} bytes before anything was written`);
  source.copy(foreign.addressOf(ones), pages.address + BigInt(500 * MB), ones.length);
  assert.ok(grown() > 35 * MB, `${grown()} bytes after 40 MB were written`);
  pages.discard(500 * MB, 520 * MB);
  assert.ok(grown() < 30 * MB, `${grown()} bytes after half of it was discarded`);
  pages.release();
  assert.ok(grown() < 10 * MB, `${grown()} bytes after all was released`);
});

test('what is discarded reads as zeros, and only whole pages of it go', { skip }, () => {
  assert.ok(foreign !== null && source !== null);
  const { pageBytes } = source;
  const ones = new Uint8Array(4 * pageBytes).fill(1);
  const pages = source.map(ones.length);
  source.copy(foreign.addressOf(ones), pages.address, ones.length);
  pages.discard(pageBytes - 1, 3 * pageBytes + 1);
  pages.discard(3 * pageBytes, 4 * pageBytes - 1);
  const read = new Uint8Array(ones.length);
  source.copy(pages.address, foreign.addressOf(read), read.length);
  const expected = ones.map((_, at) => (at >= pageBytes && at < 3 * pageBytes ? 0 : 1));
  assert.deepEqual(read, expected);
  pages.release();
  // Both are harmless then: the addresses may be somebody else's.
  pages.discard(0, ones.length);
  pages.release();
});

test('more than there can be is refused', { skip }, () => {
  assert.throws(() => source?.map(2 ** 52), RangeError);
});

test('what is not there is not found', { skip }, () => {
  assert.equal(foreign?.find('libnothing-of-the-kind.so.1', 'malloc'), null);
  assert.equal(foreign?.find(null, 'nothing_of_the_kind'), null);
  assert.notEqual(foreign?.find(null, 'malloc'), null);
});

test('calls, texts and addresses cross the border', { skip }, () => {
  assert.ok(foreign !== null);
  const strlen = foreign.find(null, 'strlen');
  assert.ok(strlen !== null);
  const text = Buffer.from('ça va\0rest');
  const length = foreign.functionAt(strlen, ['size_t', 'void *']);
  assert.equal(length(text), 6);
  assert.equal(length(foreign.addressOf(text)), 6);
  assert.equal(foreign.textAt(foreign.addressOf(text)), 'ça va');
  const list = BigUint64Array.of(strlen, 0n, 5n);
  assert.deepEqual(foreign.addressesAt(foreign.addressOf(list), 3), [strlen, null, 5n]);
});
