import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readLines } from '../../agent/cells/output.ts';

async function linesOf(
  chunks: readonly (string | Buffer)[],
  nowMs: () => number = () => 0,
): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line), nowMs);
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await once(stream, 'close');
  return lines;
}

test('lines are whole, however the stream is cut, and the last needs no end', async () => {
  assert.deepEqual(await linesOf(['on', 'e\ntw', 'o\r\n\n', '   \nthree']), ['one', 'two', 'three']);
});

test('a letter that is cut in two is one letter', async () => {
  const bytes = Buffer.from('größe\n');
  assert.deepEqual(await linesOf([bytes.subarray(0, 3), bytes.subarray(3)]), ['größe']);
});

test('a line without end is cut, and its rest is kept no longer', async () => {
  const lines = await linesOf(Array(100).fill('x'.repeat(500)));
  assert.deepEqual(
    lines.map((line) => line.length),
    [1_000],
  );
});

test('more than fifty lines a minute are counted instead of told', async () => {
  const lines = await linesOf(['line\n'.repeat(80)]);
  assert.equal(lines.length, 51);
  assert.equal(lines.at(-1), '(30 more lines were dropped)');
});

test('the next minute has a quota of its own and tells what the last one dropped', async () => {
  let line = 0;
  const lines = await linesOf(['line\n'.repeat(61)], () => (line++ < 60 ? 0 : 61_000));
  assert.deepEqual(lines.slice(49), ['line', '(10 more lines were dropped)', 'line']);
});
