import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monitorOf, put, rollup, treeOf } from './trees.ts';

test('a sample holds the agent, its cells, and none that has ended', (context) => {
  const root = treeOf(context, {
    'proc/meminfo': 'MemTotal:        8000 kB\nMemFree: 1 kB\nMemAvailable:    3000 kB\n',
    'proc/pressure/memory':
      'some avg10=1.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1\n',
    'proc/self/smaps_rollup': rollup(60_000),
    'proc/41/smaps_rollup': rollup(90_000),
  });
  const pids = new Map([
    ['fast-1', 41],
    ['fast-2', 42],
  ]);
  const { device: _, ...sample } = monitorOf(root, { pids: () => pids }).sample();
  assert.deepEqual(sample, {
    agentBytes: 60_000 * 1024,
    cellBytes: new Map([['fast-1', 90_000 * 1024]]),
    cellFileBytes: new Map(),
    availableBytes: 3000 * 1024,
    totalBytes: 8000 * 1024,
    psiSomeAvg10: 1.25,
    psiFullAvg10: 0.5,
  });
});

test('what is missing is no data, never zero', (context) => {
  const monitor = monitorOf(treeOf(context, {}));
  assert.deepEqual(monitor.sample(), {
    agentBytes: null,
    cellBytes: new Map(),
    cellFileBytes: new Map(),
    availableBytes: null,
    totalBytes: null,
    psiSomeAvg10: null,
    psiFullAvg10: null,
    device: {
      thermal: null,
      throttle: null,
      frequency: null,
      watts: null,
      rails: [],
      battery: null,
      onMains: null,
      cpuBusyShare: null,
      pressure: { cpuSomeAvg10: null, ioSomeAvg10: null, ioFullAvg10: null },
      swap: null,
      zram: null,
      cgroup: null,
      storageBytesPerSecond: null,
      pageBytes: null,
    },
  });
  assert.equal(monitor.limitBytes(), null);
});

test('what is measured in the background is in the sample', (context) => {
  const monitor = monitorOf(treeOf(context, {}), {
    cpuBusyShare: () => 0.25,
    storageBytesPerSecond: () => 42e6,
  });
  const { cpuBusyShare, storageBytesPerSecond } = monitor.sample().device;
  assert.deepEqual([cpuBusyShare, storageBytesPerSecond], [0.25, 42e6]);
});

test('the limit is the tightest of a group and of all above it, in v2, v1 and both side by side', (context) => {
  const v2 = treeOf(context, {
    'proc/self/cgroup': '0::/system.slice/expertd.service\n',
    'sys/fs/cgroup/memory.max': 'max\n',
    'sys/fs/cgroup/system.slice/memory.max': '400000000\n',
    'sys/fs/cgroup/system.slice/expertd.service/memory.max': 'max\n',
  });
  assert.equal(monitorOf(v2).limitBytes(), 400_000_000);
  const v1 = treeOf(context, {
    'proc/self/cgroup': '12:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '268435456\n',
  });
  assert.equal(monitorOf(v1).limitBytes(), 268_435_456);
  const hidden = treeOf(context, {
    'proc/self/cgroup': '4:memory:/pod/abc\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': '90000000\n',
    'sys/fs/cgroup/memory/memory.stat': 'cache 1\nhierarchical_memory_limit 100000000\n',
  });
  assert.equal(monitorOf(hidden).limitBytes(), 100_000_000, 'the group of the pod is not mounted here');
  assert.equal(monitorOf(hidden).sample().availableBytes, 10_000_000);
  const hybrid = treeOf(context, {
    'proc/self/cgroup': '0::/a/../../outside\n',
    'sys/fs/cgroup/unified/cgroup.controllers': 'memory\n',
    'sys/fs/cgroup/unified/outside/memory.max': '123456789\n',
    'sys/fs/cgroup/outside/memory.max': '1\n',
  });
  assert.equal(monitorOf(hybrid).limitBytes(), 123_456_789);
});

test('a limit that is lowered while the agent runs is seen at the next look', (context) => {
  const root = treeOf(context, {
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': '400000000\n',
    'sys/fs/cgroup/memory.current': '100000000\n',
  });
  const monitor = monitorOf(root);
  assert.equal(monitor.sample().availableBytes, 300_000_000);
  put(root, 'sys/fs/cgroup/memory.max', '150000000\n');
  assert.equal(monitor.sample().availableBytes, 50_000_000);
});
