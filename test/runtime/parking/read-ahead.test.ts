/** Which parts of a file are read before they are needed: what is of use and not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readAhead, residencyOf, type Wanted } from '../../../agent/runtime/parking/read-ahead.ts';

const OFFSET = 1_000_000;
const START = 0x7f0000000000n;

for (const pageBytes of [4_096, 16_384, 65_536]) {
  test(`of pages of ${pageBytes} bytes, just those are read`, async () => {
    const flags = fc.array(fc.record({ cached: fc.boolean(), used: fc.boolean() }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(flags, fc.boolean(), async (pages, allUsed) => {
        const expected = pages.map(({ cached, used }) => !cached && (allUsed || used));
        const read = pages.map(() => 0);
        const part: Wanted = {
          source: {
            readAhead: async ({ length }, offset) => {
              for (let at = 0; at < length; at += pageBytes) {
                const page = (offset - OFFSET + at) / pageBytes;
                read[page] = (read[page] ?? 0) + 1;
              }
            },
          },
          start: START,
          bytes: pages.length * pageBytes,
          offset: OFFSET,
          used: allUsed ? null : Uint8Array.from(pages, ({ used }) => Number(used)),
        };
        const cached = () => Uint8Array.from(pages, (page) => Number(page.cached));
        const bytes = await readAhead([part, part], pageBytes, cached);
        assert.deepEqual(
          read,
          expected.map((isRead) => 2 * Number(isRead)),
        );
        assert.equal(bytes, 2 * expected.filter(Boolean).length * pageBytes);
        assert.deepEqual(residencyOf([part, part], pageBytes, cached), {
          bytes: 2 * pageBytes * (allUsed ? pages.length : pages.filter(({ used }) => used).length),
          coldBytes: bytes,
        });
      }),
    );
  });
}

test('what cannot be told is not read', async () => {
  const source = { readAhead: () => assert.fail('it is read') };
  const part = { source, start: START, bytes: 8_192, offset: 0, used: null };
  assert.equal(await readAhead([part], 4_096, () => null), 0);
  assert.equal(
    residencyOf([part], 4_096, () => null),
    null,
  );
  const unused = { ...part, used: new Uint8Array(2) };
  assert.deepEqual(
    residencyOf([unused], 4_096, () => null),
    { bytes: 0, coldBytes: 0 },
  );
});

test('it ends before the block at which it is enough', async () => {
  const megabyte = 1024 ** 2;
  let blocks = 0;
  const source = {
    readAhead: async ({ length }: Uint8Array) => {
      assert.equal(length, megabyte);
      blocks += 1;
    },
  };
  const part = { source, start: START, bytes: 5 * megabyte, offset: 0, used: null };
  const cached = (_: bigint, bytes: number) => new Uint8Array(bytes / 4_096);
  assert.equal(await readAhead([part], 4_096, cached, () => blocks === 2), 2 * megabyte);
  assert.equal(await readAhead([part], 4_096, cached, () => true), 0);
  assert.equal(blocks, 2);
});
