/** Whole devices, from the trees in test/fixtures/device. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, monitorOf } from './trees.ts';

const KB = 1024;

test('a Raspberry Pi 5: pages of 16 kB, heat without a passive trip point, an under-voltage, a capped CPU', () => {
  const sample = monitorOf(fixture('raspberry-pi-5')).sample();
  assert.deepEqual(sample, {
    agentBytes: 61_424 * KB,
    cellBytes: new Map(),
    cellFileBytes: new Map(),
    availableBytes: 6_401_072 * KB,
    totalBytes: 8_256_144 * KB,
    psiSomeAvg10: 0,
    psiFullAvg10: 0,
    device: {
      thermal: { zone: 'cpu-thermal', celsius: 76.45, slowCelsius: 80 },
      throttle: { now: ['under-voltage', 'throttled'], seen: ['under-voltage', 'throttled'] },
      frequency: { allowedShare: 0.75, currentShare: 0.625 },
      watts: null,
      rails: [],
      battery: null,
      onMains: null,
      cpuBusyShare: null,
      pressure: { cpuSomeAvg10: 3.27, ioSomeAvg10: 1.05, ioFullAvg10: 0.98 },
      swap: { totalBytes: 524_272 * KB, freeBytes: 524_272 * KB },
      zram: { storedBytes: 41_943_040, usedBytes: 12_582_912 },
      // Its memory controller is off, so no group counts memory.
      cgroup: null,
      storageBytesPerSecond: null,
      pageBytes: 16_384,
    },
  });
});

test('a Jetson Orin: zones that are switched off, rails in watts, the input counted once, two clusters', () => {
  const { device } = monitorOf(fixture('jetson-orin')).sample();
  assert.deepEqual(device.thermal, { zone: 'tj-thermal', celsius: 50.031, slowCelsius: 80 });
  assert.deepEqual(
    device.rails.map(({ name, watts }) => [name, Number(watts.toFixed(3))]),
    [
      ['VDD_IN', 5.863],
      ['VDD_CPU_GPU_CV', 1.545],
      ['VDD_SOC', 1.426],
    ],
  );
  assert.equal(device.watts?.toFixed(3), '5.863');
  assert.deepEqual(device.zram, { storedBytes: 21 * 4_194_304, usedBytes: 21 * 1_048_576 });
  assert.deepEqual(device.frequency?.allowedShare, 1);
  assert.equal(device.frequency?.currentShare?.toFixed(3), '0.737');
  assert.deepEqual([device.throttle, device.battery, device.onMains], [null, null, false]);
  assert.deepEqual(device.cgroup, {
    version: 2,
    limitBytes: null,
    highBytes: null,
    currentBytes: 734_003_200,
    availableBytes: null,
    oomKills: 0,
    highEvents: 0,
  });
});

test('a bare machine: what is not there is no data, and no swap is zero bytes of it', () => {
  const { device, psiSomeAvg10 } = monitorOf(fixture('bare-vm')).sample();
  assert.equal(psiSomeAvg10, null);
  assert.deepEqual(device, {
    thermal: null,
    throttle: null,
    frequency: null,
    watts: null,
    rails: [],
    battery: null,
    onMains: null,
    cpuBusyShare: null,
    pressure: { cpuSomeAvg10: null, ioSomeAvg10: null, ioFullAvg10: null },
    swap: { totalBytes: 0, freeBytes: 0 },
    zram: null,
    cgroup: {
      version: 2,
      limitBytes: null,
      highBytes: null,
      currentBytes: 90_000_000,
      availableBytes: null,
      oomKills: null,
      highEvents: null,
    },
    storageBytesPerSecond: null,
    pageBytes: 4_096,
  });
});

test('a container: the group with the least room counts, its mark of slowing down, and its file cache as free', () => {
  const monitor = monitorOf(fixture('container-v2'));
  const { device, availableBytes, totalBytes } = monitor.sample();
  // 402,653,184 (high) less 398,458,880 (current) plus 171,966,464 of cache that can be dropped.
  assert.deepEqual(device.cgroup, {
    version: 2,
    limitBytes: 536_870_912,
    highBytes: 402_653_184,
    currentBytes: 398_458_880,
    availableBytes: 176_160_768,
    oomKills: 1,
    highEvents: 41,
  });
  assert.equal(availableBytes, 176_160_768, 'the 12 GB of the machine are not for this group');
  assert.equal(totalBytes, 536_870_912);
  assert.equal(monitor.limitBytes(), 536_870_912);
});

test('a container of version 1: the path of the host is not there, its mount is the own group', () => {
  const monitor = monitorOf(fixture('container-v1'));
  const { device, availableBytes } = monitor.sample();
  assert.deepEqual(device.cgroup, {
    version: 1,
    limitBytes: 268_435_456,
    highBytes: null,
    currentBytes: 209_715_200,
    availableBytes: 268_435_456 - 209_715_200 + 73_400_320,
    oomKills: 4,
    highEvents: null,
  });
  assert.equal(availableBytes, 132_120_576);
  assert.equal(monitor.limitBytes(), 268_435_456);
});
