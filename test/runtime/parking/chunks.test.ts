/** Chunks in memory that is made up, with pages of every size that Linux has on such machines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunkBytes, findChunks, HEAD_BYTES, type Sight } from '../../../agent/runtime/parking/chunks.ts';

const PAGE_SIZES = [4_096, 16_384, 65_536];
const BASE = 0x7f0000000000n;
const MMAPPED = 2n;

interface Header {
  readonly at: number;
  readonly before: number;
  readonly bytes: number;
  readonly flags?: bigint;
}

function head(...headers: readonly Header[]): Buffer {
  const page = Buffer.alloc(HEAD_BYTES);
  for (const { at, before, bytes, flags = MMAPPED } of headers) {
    page.writeBigUInt64LE(BigInt(before), at);
    page.writeBigUInt64LE(BigInt(bytes) | flags, at + 8);
  }
  return page;
}

/** As `posix_memalign` leaves it. */
function alignedHead(bytes: number, alignment: number): Buffer {
  const lead = alignment - 16;
  return head({ at: 0, before: 0, bytes }, { at: lead, before: lead, bytes: bytes - lead });
}

for (const page of PAGE_SIZES) {
  test(`a page of ${page} bytes begins a chunk only where both headers say so`, () => {
    const bytes = 5 * page;
    for (const alignment of [64, 128]) assert.equal(chunkBytes(alignedHead(bytes, alignment), page), bytes);
    const aligned = { at: 48, before: 48, bytes: bytes - 48 };
    const others: Record<string, Buffer> = {
      'nothing but zeros': Buffer.alloc(HEAD_BYTES),
      'plain malloc': head({ at: 0, before: 0, bytes }),
      'not whole pages': head({ at: 0, before: 0, bytes: bytes + 16 }, { ...aligned, bytes: bytes - 32 }),
      'of no size': head({ at: 0, before: 0, bytes: 0 }, { ...aligned, bytes: 0 }),
      'something before it': head({ at: 0, before: page, bytes }, aligned),
      'of the heap': head({ at: 0, before: 0, bytes, flags: 1n }, { ...aligned, flags: 1n }),
      'another size inside': head({ at: 0, before: 0, bytes }, { ...aligned, bytes: bytes - 64 }),
      'another lead inside': head({ at: 0, before: 0, bytes }, { ...aligned, before: 64 }),
    };
    for (const [what, content] of Object.entries(others)) assert.equal(chunkBytes(content, page), null, what);
  });

  test(`of memory in pages of ${page} bytes, the chunks are found and nothing else`, () => {
    const part = fc.record({ pages: fc.integer({ min: 1, max: 9 }), isChunk: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fc.array(part, { maxLength: 6 }), { maxLength: 4 }), (layout) => {
        const { ranges, sight, chunks } = lay(page, layout);
        assert.deepEqual(findChunks(ranges, sight), chunks);
      }),
    );
  });

  test(`a chunk that does not end within its range of pages of ${page} bytes is left alone`, () => {
    const heads = new Map([[BASE, alignedHead(4 * page, 64)]]);
    const end = (pages: number) => BASE + BigInt(pages * page);
    const found = (pages: number) => findChunks([{ start: BASE, end: end(pages) }], see(page, heads));
    assert.deepEqual(found(4), [{ start: BASE, bytes: 4 * page }]);
    assert.deepEqual(found(3), []);
  });
}

test('pages that were never touched, cannot be told, or are gone are not chunks', () => {
  const [page = 0] = PAGE_SIZES;
  const sight = see(page, new Map([[BASE, alignedHead(2 * page, 64)]]));
  const range = { start: BASE, end: BASE + BigInt(2 * page) };
  assert.equal(findChunks([range], sight).length, 1);
  assert.deepEqual(findChunks([range], { ...sight, touched: () => new Uint8Array(2) }), []);
  assert.deepEqual(findChunks([range], { ...sight, touched: () => null }), []);
  assert.deepEqual(findChunks([range], { ...sight, read: () => false }), []);
});

for (const page of PAGE_SIZES) {
  test(`of pages of ${page} bytes, one that goes away meanwhile hides none of its neighbours`, () => {
    const pages = 40;
    const at = (number: number) => BASE + BigInt(number * page);
    const sight = see(page, new Map([[at(38), alignedHead(2 * page, 64)]]));
    const range = { start: BASE, end: at(pages) };
    for (let gone = 0; gone < 38; gone += 1) {
      const read: Sight['read'] = (from, into) =>
        (from > at(gone) || from + BigInt(into.length) <= at(gone)) && sight.read(from, into);
      assert.deepEqual(findChunks([range], { ...sight, read }), [{ start: at(38), bytes: 2 * page }]);
    }
  });

  test(`pages of ${page} bytes in which nothing begins are read many at a time`, () => {
    let reads = 0;
    const sight = see(page, new Map());
    const read: Sight['read'] = (at, into) => sight.read(at, into) && ++reads > 0;
    findChunks([{ start: BASE, end: BASE + BigInt(4096 * page) }], { ...sight, read });
    assert.ok(reads < (4096 * page) / 2 ** 17, `${reads} reads`);
  });
}

/** Ranges that hold chunks, and pages of something else, one after the other. */
function lay(
  page: number,
  layout: readonly (readonly { readonly pages: number; readonly isChunk: boolean }[])[],
) {
  const heads = new Map<bigint, Buffer>();
  const chunks: { start: bigint; bytes: number }[] = [];
  let at = BASE;
  const ranges = layout.map((parts) => {
    const start = at;
    for (const { pages, isChunk } of parts) {
      const bytes = pages * page;
      heads.set(at, isChunk ? alignedHead(bytes, 64) : head({ at: 0, before: 0, bytes }));
      if (isChunk) chunks.push({ start: at, bytes });
      at += BigInt(bytes);
    }
    const end = at;
    at += BigInt(page);
    return { start, end };
  });
  return { ranges, sight: see(page, heads), chunks };
}

/** Pages that begin with nothing of interest are full of ones. */
function see(pageBytes: number, heads: ReadonlyMap<bigint, Buffer>): Sight {
  return {
    pageBytes,
    touched: ({ start, end }) => new Uint8Array(Number(end - start) / pageBytes).fill(1),
    read: (at, into) => {
      for (let from = 0; from < into.length; from += pageBytes) {
        const content = heads.get(at + BigInt(from)) ?? new Uint8Array(HEAD_BYTES).fill(1);
        into.set(content, from);
      }
      return true;
    },
  };
}
