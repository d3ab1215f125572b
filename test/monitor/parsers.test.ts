/** Every parser: what a kernel writes, and any other text, which is no data and never an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCgroupPlaces } from '../../agent/linux/control-groups.ts';
import { parseInteger } from '../../agent/linux/kernel-files.ts';
import { parseCgroupLimit, parseDroppableBytes } from '../../agent/monitor/cgroup.ts';
import { shareOf } from '../../agent/monitor/frequency.ts';
import { parseAuxvPageBytes } from '../../agent/monitor/page-size.ts';
import { parsePsiAvg10 } from '../../agent/monitor/psi.ts';
import { totalWatts } from '../../agent/monitor/rails.ts';
import { parseKept } from '../../agent/monitor/storage.ts';
import { parseDischarging } from '../../agent/monitor/supplies.ts';
import { parseMemoryEnabled } from '../../agent/monitor/survey.ts';
import { parseSwap, parseZram } from '../../agent/monitor/swap.ts';
import { parseCelsius } from '../../agent/monitor/thermal.ts';
import { parseThrottled } from '../../agent/monitor/throttle.ts';

test('temperatures in thousandths; what no working sensor says is no data', () => {
  assert.deepEqual(['76450\n', '-5000', '0'].map(parseCelsius), [76.45, -5, 0]);
  for (const text of ['', '\n', 'hot', '76.4', '-274000', '250000', '1e5', '99999999999999999999'])
    assert.equal(parseCelsius(text), null, text);
});

test('the throttle field in hexadecimal, with and without 0x', () => {
  assert.deepEqual(['50005', '0x50005', '0', 'F000F\n'].map(parseThrottled), [0x50005, 0x50005, 0, 0xf000f]);
  assert.equal(parseThrottled('ffffffff'), 0xf000f, 'unknown bits are dropped');
  for (const text of ['', 'throttled=0x0', '-1', '123456789', '0x'])
    assert.equal(parseThrottled(text), null, text);
});

test('a vector of the kernel that is cut, or says nonsense, is no data', () => {
  const vector = (...words: readonly number[]): Buffer => {
    const buffer = Buffer.alloc(words.length * 8);
    for (const [at, word] of words.entries()) buffer.writeBigUInt64LE(BigInt(word), at * 8);
    return buffer;
  };
  assert.equal(parseAuxvPageBytes(vector(33, 1, 6, 16_384, 0, 0)), 16_384);
  assert.equal(parseAuxvPageBytes(vector(33, 6, 16_384, 1)), null, 'a value that looks like the key is none');
  for (const bytes of [0, 4_095, 5_000, 2 ** 40]) assert.equal(parseAuxvPageBytes(vector(6, bytes)), null);
  assert.equal(parseAuxvPageBytes(vector(6, 4_096).subarray(0, 12)), null);
});

test('swap and zram', () => {
  assert.deepEqual(parseSwap('SwapTotal: 0 kB\nSwapFree: 0 kB\n'), { totalBytes: 0, freeBytes: 0 });
  assert.equal(parseSwap('SwapTotal: 8 kB\n'), null);
  assert.deepEqual(parseZram(' 100 50 60 0 70 1 0 0 0\n'), { storedBytes: 100, usedBytes: 60 });
  for (const text of ['', '1 2', '1 2 x', '-1 2 3']) assert.equal(parseZram(text), null, text);
});

test('control groups', () => {
  assert.deepEqual(['max', '9223372036854771712', '0', '268435456\n'].map(parseCgroupLimit), [
    null,
    null,
    null,
    268_435_456,
  ]);
  assert.deepEqual(parseCgroupPlaces('4:memory:/a:b\n0::/c\n1:name=systemd:/d\n2:cpu:/e\n'), [
    { version: 1, path: '/a:b' },
    { version: 2, path: '/c' },
  ]);
  const stat =
    'inactive_file 1\nactive_file 2\nslab_reclaimable 4\ntotal_inactive_file 8\ntotal_active_file 16\n';
  assert.deepEqual([parseDroppableBytes(stat, 2), parseDroppableBytes(stat, 1)], [7, 24]);
  assert.deepEqual(
    ['memory\t5\t120\t1\n', 'cpu 1 1 1\nmemory 0 120 0', 'memory x', ''].map(parseMemoryEnabled),
    [true, false, null, null],
  );
});

test('rails: the input counts alone, else the sum; batteries that do not know; frequencies beyond the highest', () => {
  const rails = [
    { name: 'VDD_GPU_SOC', watts: 5 },
    { name: 'VDD_CPU_CV', watts: 3 },
  ];
  assert.deepEqual(
    [totalWatts([]), totalWatts(rails), totalWatts([...rails, { name: 'VDD_IN', watts: 11 }])],
    [null, 8, 11],
  );
  assert.deepEqual(['Discharging', 'Charging', 'Full', 'Unknown', null].map(parseDischarging), [
    true,
    false,
    false,
    null,
    null,
  ]);
  assert.deepEqual([shareOf(1_500, 2_000), shareOf(3_000, 2_000), shareOf(null, 2_000)], [0.75, 1, null]);
});

test('kept measurements of disks; a file of any other form holds none', () => {
  assert.deepEqual([...parseKept('{"bytesPerSecond":{"5":1000,"6":-1,"7":"x","8":null}}')], [['5', 1000]]);
  for (const text of ['', '[]', 'null', '1', '{"bytesPerSecond":null}', '{"bytesPerSecond":7}', '{'])
    assert.equal(parseKept(text).size, 0, text);
});

/** Text that looks like that of a kernel, more often than chance would have it. */
const words = fc.constantFrom(
  'some',
  'avg10=',
  '1.00',
  '0x',
  '5',
  '-',
  '\n',
  ' ',
  ':',
  '/',
  'memory',
  'kB',
  'SwapTotal:',
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(words, { maxLength: 40 }).map((all) => all.join('')),
);

test('any text gives finite numbers or no data, and never an error', () => {
  const numbers: readonly ((text: string) => number | null)[] = [
    parseInteger,
    parseCelsius,
    parseThrottled,
    parseCgroupLimit,
    (any) => parsePsiAvg10(any, 'some'),
    (any) => parsePsiAvg10(any, 'full'),
    (any) => parseSwap(any)?.freeBytes ?? null,
    (any) => parseZram(any)?.usedBytes ?? null,
    (any) => parseDroppableBytes(any, 1),
    (any) => parseAuxvPageBytes(Buffer.from(any)),
  ];
  fc.assert(
    fc.property(text, (any) => {
      for (const parse of numbers) {
        const value = parse(any);
        assert.ok(value === null || Number.isFinite(value));
      }
      for (const { path } of parseCgroupPlaces(any)) assert.ok(path.startsWith('/'));
      for (const [, speed] of parseKept(any)) assert.ok(speed > 0);
      assert.ok([true, false, null].includes(parseMemoryEnabled(any)));
    }),
  );
});
