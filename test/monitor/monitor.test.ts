import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { isNotable, LinuxMonitor } from '../../agent/monitor/monitor.ts';
import { parseCgroupLimit, parseCgroupPlaces, parsePsiAvg10 } from '../../agent/monitor/parse.ts';
import type { Sample } from '../../agent/types.ts';

const roots: string[] = [];
after(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true });
});

/** A tree of files, as `proc/meminfo` -> text. */
function treeOf(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'expertd-monitor-'));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function monitorOf(root: string, pids = new Map<string, number>()): LinuxMonitor {
  return new LinuxMonitor({ pids: () => pids, procRoot: join(root, 'proc'), sysRoot: join(root, 'sys') });
}

const rollup = (kb: number): string =>
  `5500-7ffd [rollup]\nRss:  ${kb + 9} kB\nPss:  ${kb} kB\nPss_Dirty: 1 kB\n`;

test('a sample holds what the files say', () => {
  const root = treeOf({
    'proc/meminfo': 'MemTotal:        8000 kB\nMemFree: 1 kB\nMemAvailable:    3000 kB\n',
    'proc/pressure/memory':
      'some avg10=1.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1\n',
    'proc/self/smaps_rollup': rollup(60_000),
    'proc/41/smaps_rollup': rollup(90_000),
  });
  const sample = monitorOf(
    root,
    new Map([
      ['fast-1', 41],
      ['fast-2', 42],
    ]),
  ).sample();
  assert.deepEqual(sample, {
    agentBytes: 60_000 * 1024,
    cellBytes: new Map([['fast-1', 90_000 * 1024]]),
    availableBytes: 3000 * 1024,
    totalBytes: 8000 * 1024,
    psiSomeAvg10: 1.25,
    psiFullAvg10: 0.5,
  });
});

test('what is missing is no data, never zero', () => {
  const sample = monitorOf(treeOf({})).sample();
  const nothing = {
    agentBytes: null,
    cellBytes: new Map(),
    availableBytes: null,
    totalBytes: null,
    psiSomeAvg10: null,
    psiFullAvg10: null,
  };
  assert.deepEqual(sample, nothing);
  assert.equal(monitorOf(treeOf({})).limitBytes(), null);
});

test('the limit is the tightest of a group and of all above it, in v2 and v1', () => {
  const v2 = treeOf({
    'proc/self/cgroup': '0::/system.slice/expertd.service\n',
    'sys/fs/cgroup/memory.max': 'max\n',
    'sys/fs/cgroup/system.slice/memory.max': '400000000\n',
    'sys/fs/cgroup/system.slice/expertd.service/memory.max': 'max\n',
  });
  assert.equal(monitorOf(v2).limitBytes(), 400_000_000);
  const v1 = treeOf({
    'proc/self/cgroup': '12:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '268435456\n',
  });
  assert.equal(monitorOf(v1).limitBytes(), 268_435_456);
});

test('parsers take any text and answer with a number or nothing', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      for (const value of [parsePsiAvg10(text, 'some'), parseCgroupLimit(text)])
        assert.ok(value === null || Number.isFinite(value));
      for (const { path } of parseCgroupPlaces(text)) assert.ok(path.startsWith('/'));
    }),
  );
});

test('only a sample that tells something new is worth an event', () => {
  const base: Sample = {
    agentBytes: 60e6,
    cellBytes: new Map([['fast-1', 90e6]]),
    availableBytes: 2e9,
    totalBytes: 4e9,
    psiSomeAvg10: 0,
    psiFullAvg10: null,
  };
  assert.ok(isNotable(base, null));
  assert.ok(!isNotable({ ...base, availableBytes: 2e9 + 1e7, agentBytes: 60.1e6 }, base));
  assert.ok(isNotable({ ...base, availableBytes: 1.9e9 }, base));
  assert.ok(isNotable({ ...base, cellBytes: new Map([['fast-1', 92e6]]) }, base));
  assert.ok(isNotable({ ...base, cellBytes: new Map() }, base));
  assert.ok(isNotable({ ...base, psiFullAvg10: 0 }, base));
});
