import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import {
  parseCounter,
  parseKilobytes,
  readFootprint,
  readOomKills,
  readPeakRssBytes,
  readPssBytes,
  readRssBytes,
} from '../../agent/linux/process.ts';

const root = mkdtempSync(join(tmpdir(), 'expertd-proc-'));
after(() => rmSync(root, { recursive: true }));

const ROLLUP = `00400000-7ffc2a1b1000 ---p 00000000 00:00 0                          [rollup]
Rss:               66604 kB
Pss:               45161 kB
Pss_Dirty:         21468 kB
Pss_Anon:          21400 kB
Pss_File:          23761 kB
Swap:                  0 kB
`;

test('a field is read by its whole name', () => {
  assert.equal(parseKilobytes(ROLLUP, 'Pss'), 45_161 * 1024);
  assert.equal(parseKilobytes(ROLLUP, 'Pss_Anon'), 21_400 * 1024);
  assert.equal(parseKilobytes(ROLLUP, 'Swap'), 0);
  assert.equal(parseKilobytes(ROLLUP, 'ss'), null);
});

test('the first line and the last line without an end are read too', () => {
  assert.equal(parseKilobytes('VmRSS:\t  12 kB\nx', 'VmRSS'), 12 * 1024);
  assert.equal(parseKilobytes('a: 1 kB\nVmRSS:\t  12 kB', 'VmRSS'), 12 * 1024);
});

test('what is missing or of another form is no data', () => {
  for (const text of [
    '',
    'Pss:',
    'Pss: kB',
    'Pss: 12',
    'Pss: -1 kB',
    'Pss: 1 MB',
    'Pss: 1 kB 2',
    'Pss 1 kB',
  ]) {
    assert.equal(parseKilobytes(text, 'Pss'), null, text);
  }
});

test('a field is found among any other lines', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'Z', ':', ' ', '7', 'k', 'B', '\t') });
  fc.assert(
    fc.property(fc.array(line), fc.nat(), fc.array(line), (before, kilobytes, behind) => {
      const text = [...before, `Pss:  ${kilobytes} kB`, ...behind].join('\n');
      assert.equal(parseKilobytes(text, 'Pss'), kilobytes * 1024);
    }),
  );
});

test('any text gives a number of bytes or no data', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const bytes = parseKilobytes(`Pss:${text}`, 'Pss');
      assert.ok(bytes === null || (Number.isSafeInteger(bytes) && bytes >= 0));
    }),
  );
});

test('counters are read by their whole name', () => {
  const vmstat = 'nr_free_pages 100\noom_kill_x 9\noom_kill 3\n';
  assert.equal(parseCounter(vmstat, 'oom_kill'), 3);
  assert.equal(parseCounter(vmstat, 'free_pages'), null);
  assert.equal(parseCounter('oom_kill three\n', 'oom_kill'), null);
});

test('the files are looked for below the root', () => {
  mkdirSync(join(root, '17'));
  writeFileSync(join(root, '17/smaps_rollup'), ROLLUP);
  writeFileSync(join(root, '17/status'), 'Name:\tnode\nVmHWM:\t   900 kB\nVmRSS:\t   700 kB\n');
  writeFileSync(join(root, 'vmstat'), 'oom_kill 2\n');
  assert.equal(readPssBytes(17, root), 45_161 * 1024);
  assert.deepEqual(readFootprint(17, root), { pssBytes: 45_161 * 1024, fileBytes: 23_761 * 1024 });
  assert.equal(readRssBytes(17, root), 700 * 1024);
  assert.equal(readPeakRssBytes(17, root), 900 * 1024);
  assert.equal(readOomKills(root), 2);
});

test('a process that is not there is no data', () => {
  assert.equal(readPssBytes(18, root), null);
  assert.equal(readFootprint(18, root), null);
  assert.equal(readRssBytes(18, root), null);
  assert.equal(readOomKills(join(root, '17')), null);
});

test('this process has memory', { skip: process.platform !== 'linux' && 'needs /proc' }, () => {
  const rss = readRssBytes('self');
  const pss = readPssBytes('self');
  assert.ok(rss !== null && rss > 10_000_000);
  assert.ok(pss !== null && pss > 1_000_000 && pss <= (readPeakRssBytes('self') ?? 0));
});
