import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LogTail } from '../../../agent/log-tail.ts';

test('it holds the newest lines, oldest first', () => {
  const tail = new LogTail({ maxLines: 3 });
  for (const line of ['a\n', 'b\n', 'c', 'd\n']) tail.push(line);
  assert.deepEqual(tail.lines(10), ['b', 'c', 'd']);
  assert.deepEqual(tail.lines(2), ['c', 'd']);
  assert.deepEqual(tail.lines(0), []);
  assert.deepEqual(tail.lines(-1), []);
});

test('any lines: a suffix of them, inside both bounds, and as long as these allow', () => {
  const [maxLines, maxBytes] = [7, 40];
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 60 }), (texts) => {
      const lines = texts.map((text) => text.replaceAll('\n', ' '));
      const tail = new LogTail({ maxLines, maxBytes });
      for (const line of lines) tail.push(`${line}\n`);
      const kept = tail.lines(1_000);
      assert.deepEqual(kept, kept.length === 0 ? [] : lines.slice(-kept.length));
      assert.ok(kept.length <= maxLines && bytesOf(kept) <= maxBytes);
      const more = lines.slice(-kept.length - 1);
      if (more.length > kept.length) assert.ok(more.length > maxLines || bytesOf(more) > maxBytes);
    }),
  );
});

test('a line of any length is cut where no character is', () => {
  const tail = new LogTail();
  tail.push(`${'x'.repeat(8_191)}😀${'y'.repeat(1_000_000)}\n`);
  const [line = ''] = tail.lines(1);
  assert.ok(line.length < 8_300 && line.isWellFormed() && line.endsWith('[cut]'));
});

function bytesOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
}
