/** Text as it streams: characters that arrive in parts, stop strings that arrive in parts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StopScanner } from '../../../agent/runtime/generation/stop.ts';
import { TextStream } from '../../../agent/runtime/generation/tokens.ts';

/** A vocabulary whose tokens are bytes. */
const decodeBytes = (ids: readonly number[]): string =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids));
/** As `ByteFallback` decodes: a run of bytes that is not UTF-8 as a whole is one replacement character a byte. */
const decodeFallback = (ids: readonly number[]): string => {
  const text = decodeBytes(ids);
  return text.includes('\uFFFD') ? '\uFFFD'.repeat(ids.length) : text;
};
const text = fc.string({ unit: 'binary', maxLength: 60 }).map((value) => value.toWellFormed());

test('text comes out as it went in, and no piece of it holds a part of a character', () => {
  fc.assert(
    fc.property(text, (value) => {
      const stream = new TextStream(decodeBytes);
      const pieces = [...Buffer.from(value)].map((byte) => stream.push(byte));
      assert.equal(pieces.join('') + stream.rest(), value);
      for (const piece of pieces) assert.ok(piece.isWellFormed());
      if (!value.includes('\uFFFD')) assert.ok(!pieces.join('').includes('\uFFFD'));
    }),
  );
});

test('bytes that are not UTF-8 come out as the decoder has them, in time', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const stream = new TextStream(decodeBytes);
      let given = '';
      for (const [at, byte] of bytes.entries()) {
        given += stream.push(byte);
        assert.ok(
          decodeBytes([...bytes.subarray(0, at + 1)]).length - given.length <= 3,
          'more is held than a character',
        );
      }
      assert.equal(given + stream.rest(), decodeBytes([...bytes]));
    }),
  );
});

test('a decoder that falls back to bytes does not tear a character either', () => {
  for (const character of ['é', '日', '😀']) {
    const stream = new TextStream(decodeFallback);
    const pieces = [...Buffer.from(character)].map((byte) => stream.push(byte));
    assert.deepEqual(pieces, [...pieces.slice(0, -1).map(() => ''), character]);
  }
});

test('however the text is cut, it ends before the stop string that is complete first', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 24 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(letters, stops, fc.array(fc.nat(24)), (value, stopStrings, cuts) => {
      const scanner = new StopScanner(stopStrings);
      const bounds = [0, ...cuts.filter((cut) => cut < value.length).sort((a, b) => a - b), value.length];
      let given = '';
      for (const [at, bound] of bounds.entries())
        given += scanner.push(value.slice(bounds[at - 1] ?? 0, bound));
      const expected = untilStop(value, stopStrings);
      assert.equal(scanner.stopped, expected !== null);
      assert.equal(given + scanner.rest(), expected ?? value);
    }),
    { numRuns: 500 },
  );
});

test('text that cannot be the beginning of a stop string is given out at once', () => {
  const scanner = new StopScanner(['</s>', '\n\nUser:']);
  assert.equal(scanner.push('a < b'), 'a < b');
  assert.equal(scanner.push('c\n'), 'c');
  assert.equal(scanner.push('\nU'), '');
  assert.equal(scanner.push('s <'), '\n\nUs ');
  assert.equal(scanner.rest(), '<');
});

/** The same, said one character at a time; null where nothing stops it. */
function untilStop(value: string, stopStrings: readonly string[]): string | null {
  const stops = stopStrings.filter((stop) => stop !== '').sort((a, b) => b.length - a.length);
  for (let end = 1; end <= value.length; end += 1) {
    const met = stops.find((stop) => value.slice(0, end).endsWith(stop));
    if (met !== undefined) return value.slice(0, end - met.length);
  }
  return null;
}
