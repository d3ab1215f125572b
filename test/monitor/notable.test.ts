import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../../agent/device.ts';
import { isNotable } from '../../agent/monitor/notable.ts';
import type { Sample } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';

const base: Sample = {
  agentBytes: 60e6,
  cellBytes: new Map([['fast-1', 90e6]]),
  cellFileBytes: new Map(),
  availableBytes: 2e9,
  totalBytes: 4e9,
  psiSomeAvg10: 0,
  psiFullAvg10: null,
  device: coolDevice(),
};

test('only a sample that tells something new is worth an event', () => {
  assert.ok(isNotable(base, null));
  assert.ok(!isNotable({ ...base, availableBytes: 2e9 + 1e7, agentBytes: 60.1e6 }, base));
  assert.ok(isNotable({ ...base, availableBytes: 1.9e9 }, base));
  assert.ok(isNotable({ ...base, cellBytes: new Map([['fast-1', 92e6]]) }, base));
  assert.ok(isNotable({ ...base, cellBytes: new Map() }, base));
  assert.ok(isNotable({ ...base, cellFileBytes: new Map([['fast-1', 40e6]]) }, base));
  assert.ok(isNotable({ ...base, psiFullAvg10: 0 }, base));
  assert.ok(isNotable({ ...base, device: null }, base));
});

const differs = (now: Partial<Device>, before: Partial<Device> = {}): boolean =>
  isNotable({ ...base, device: coolDevice(now) }, { ...base, device: coolDevice(before) });
const at = (celsius: number) => ({ thermal: { zone: 'cpu', celsius, slowCelsius: 80 } });

test('heat is worth an event: five degrees while it does not matter, one where it does', () => {
  assert.deepEqual([differs(at(49), at(45)), differs(at(50), at(45))], [false, true]);
  assert.deepEqual([differs(at(74.9), at(74)), differs(at(75), at(74))], [false, true]);
  assert.ok(differs({ thermal: null }, at(45)));
});

test('throttling, batteries, kills and the speed of the disk are worth an event', () => {
  assert.ok(differs({ throttle: { now: ['under-voltage'], seen: ['under-voltage'] } }));
  assert.ok(!differs({ throttle: { now: [], seen: ['under-voltage'] } }), 'what was is known already');
  assert.ok(differs({ battery: { share: 0.84, discharging: false } }));
  assert.ok(!differs({ battery: { share: 0.88, discharging: false } }));
  assert.ok(differs({ battery: { share: 0.9, discharging: true } }));
  assert.ok(differs({ onMains: false }));
  const { cgroup } = coolDevice();
  assert.ok(cgroup !== null && differs({ cgroup: { ...cgroup, oomKills: 1 } }));
  assert.ok(differs({ storageBytesPerSecond: 1e6 }));
});

test('noise is not: watts, frequencies, busy CPUs, swap, stalls of CPU and disk', () => {
  assert.ok(
    !differs({
      watts: 9.9,
      rails: [],
      frequency: { allowedShare: 1, currentShare: 0.2 },
      cpuBusyShare: 0.9,
      swap: { totalBytes: 1, freeBytes: 1 },
      pressure: { cpuSomeAvg10: 80, ioSomeAvg10: 30, ioFullAvg10: 20 },
    }),
  );
});
