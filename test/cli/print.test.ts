import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEvents, type ServerEvent } from '../../agent/cli/events.ts';
import { bytes, duration, printable, table } from '../../agent/cli/print.ts';
import { didYouMean, nearest } from '../../agent/nearest.ts';

test('sizes and times are what people read', () => {
  assert.deepEqual([null, 12, 2_048, 3_145_728, 2 ** 31].map(bytes), [
    '-',
    '12 B',
    '2.0 kB',
    '3.0 MB',
    '2.00 GB',
  ]);
  const times = [null, 0.25, 42.4, 1_500, 65_000, 7_500_000, 200_000_000].map(duration);
  assert.deepEqual(times, ['-', '0.3 ms', '42 ms', '1.5 s', '1 min 5 s', '2 h 5 min', '2 d 7 h']);
});

test('a table is aligned, and what an agent sends cannot steer a terminal', () => {
  assert.equal(
    table(
      ['A', 'N'],
      [
        ['x', '1'],
        ['long', '10'],
      ],
      ['N'],
    ),
    'A      N\nx      1\nlong  10\n',
  );
  assert.equal(printable('a\u001b[2Jb\n\tc\r\u009b'), 'a?[2Jb\n\tc??');
});

test('events arrive whole however they are cut', async () => {
  const text =
    'data: {"a":"é"}\n\n: comment\nevent: error\r\nid: 7\r\ndata: x\r\ndata: y\r\n\r\ndata: never finished';
  const raw = new TextEncoder().encode(text);
  for (const size of [1, 2, 7, raw.length]) {
    const parts = Array.from({ length: Math.ceil(raw.length / size) }, (_, at) =>
      raw.slice(at * size, (at + 1) * size),
    );
    const events: ServerEvent[] = [];
    for await (const event of readEvents(new Response(ReadableStream.from(parts)))) events.push(event);
    assert.deepEqual(events, [
      { event: 'message', data: '{"a":"é"}', id: '' },
      { event: 'error', data: 'x\ny', id: '7' },
    ]);
  }
});

test('near misses are found, strangers are not', () => {
  const names = ['explain', 'experts', 'decisions', 'ask'];
  assert.deepEqual(nearest('exprets', names), ['experts']);
  assert.deepEqual(nearest('aks', names), ['ask']);
  assert.deepEqual(nearest('EXPLAIN', names), ['explain']);
  assert.deepEqual(nearest('decision', names), ['decisions']);
  assert.deepEqual(nearest('quit', names), []);
  assert.deepEqual(nearest('x'.repeat(10_000), names), []);
  assert.equal(didYouMean('quit', names), '');
});
