/** Files that no kernel writes: garbage, empty, huge, not to be read, no files at all; and sensors that come and go. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Sample } from '../../agent/types.ts';
import { copyOf, DEVICES, monitorOf, put, treeOf } from './trees.ts';

const skipForRoot = process.getuid?.() === 0 && 'root may read everything';

function filesUnder(root: string): string[] {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return names.map((name) => join(root, name)).filter((path) => lstatSync(path).isFile());
}

/** Each number of a sample is finite or no data. */
function checkNumbers(value: unknown): void {
  if (typeof value === 'number') assert.ok(Number.isFinite(value), String(value));
  else if (value instanceof Map) for (const one of value.values()) checkNumbers(one);
  else if (typeof value === 'object' && value !== null)
    for (const one of Object.values(value)) checkNumbers(one);
}

for (const device of DEVICES) {
  test(`${device}: any file may be spoilt while the monitor runs`, (context) => {
    const root = copyOf(context, device);
    const files = filesUnder(root);
    const monitor = monitorOf(root, { nowMs: () => 0 });
    monitor.sample();
    const garbage = fc.oneof(
      fc.constantFrom('', '\n', '-1', 'max', '0', '99999999999999999999', 'a b c', '\0\0\0\0'),
      fc.string({ unit: 'binary', maxLength: 80 }),
    );
    fc.assert(
      fc.property(fc.nat(files.length - 1), garbage, (index, text) => {
        writeFileSync(files[index] ?? '', text);
        checkNumbers(monitor.sample());
        checkNumbers(monitorOf(root).sample());
      }),
      { numRuns: 60 },
    );
  });

  test(`${device}: megabytes in place of every file are no data, and quickly so`, (context) => {
    const root = copyOf(context, device);
    const healthy = monitorOf(root);
    healthy.sample();
    const megabyte = '7'.repeat(1_048_576);
    for (const file of filesUnder(root)) writeFileSync(file, megabyte);
    const startMs = performance.now();
    for (const monitor of [healthy, monitorOf(root)]) assertBlind(monitor.sample());
    assert.ok(performance.now() - startMs < 1_000, 'reads are bounded');
  });
}

/** Nothing of the device is known. PSS is read by linux/process.ts, which finds no field in garbage. */
function assertBlind({ device, ...sample }: Sample): void {
  assert.deepEqual([sample.agentBytes, sample.availableBytes, sample.psiSomeAvg10], [null, null, null]);
  assert.deepEqual([device?.thermal, device?.throttle, device?.frequency], [null, null, null]);
  assert.deepEqual([device?.rails, device?.swap, device?.zram, device?.cgroup], [[], null, null, null]);
}

test('a pipe, a folder, a circle of links: nobody waits, nothing is read', (context) => {
  const root = treeOf(context, {});
  for (const folder of ['proc/self', 'proc/pressure', 'sys/class/thermal/thermal_zone0'])
    mkdirSync(join(root, folder), { recursive: true });
  execFileSync('mkfifo', [
    join(root, 'proc/pressure/memory'),
    join(root, 'sys/class/thermal/thermal_zone0/temp'),
  ]);
  mkdirSync(join(root, 'proc/meminfo'));
  symlinkSync('cgroup', join(root, 'proc/self/cgroup'));
  const sample = monitorOf(root).sample();
  assertBlind(sample);
});

test('files that may not be read are no data', { skip: skipForRoot }, (context) => {
  const root = copyOf(context, 'raspberry-pi-5');
  for (const file of filesUnder(root)) chmodSync(file, 0);
  assertBlind(monitorOf(root).sample());
});

test('a sensor that vanishes is no data, and is looked for again after a while, not at each look', (context) => {
  const root = copyOf(context, 'raspberry-pi-5');
  let nowMs = 0;
  const monitor = monitorOf(root, { nowMs: () => nowMs });
  const read = () => monitor.sample().device.thermal?.celsius ?? null;
  assert.equal(read(), 76.45);
  rmSync(join(root, 'sys/class/thermal/thermal_zone0'), { recursive: true });
  assert.equal(read(), null);
  // It comes back under another number.
  put(root, 'sys/class/thermal/thermal_zone3/type', 'cpu-thermal\n');
  put(root, 'sys/class/thermal/thermal_zone3/temp', '50000\n');
  nowMs = 29_000;
  assert.equal(read(), null);
  nowMs = 31_000;
  assert.equal(read(), 50);
});

test('a battery that is plugged in later is found within minutes', (context) => {
  const root = copyOf(context, 'bare-vm');
  let nowMs = 0;
  const monitor = monitorOf(root, { nowMs: () => nowMs });
  assert.equal(monitor.sample().device.battery, null);
  const supply = 'sys/class/power_supply/';
  put(root, `${supply}BAT0/type`, 'Battery\n');
  put(root, `${supply}BAT0/capacity`, '37\n');
  put(root, `${supply}BAT0/status`, 'Discharging\n');
  put(root, `${supply}BAT0/voltage_now`, '12000000\n');
  put(root, `${supply}BAT0/current_now`, '500000\n');
  put(root, `${supply}AC/type`, 'Mains\n');
  put(root, `${supply}AC/online`, '0\n');
  put(root, `${supply}mouse/type`, 'Battery\n');
  put(root, `${supply}mouse/scope`, 'Device\n');
  put(root, `${supply}mouse/capacity`, '99\n');
  nowMs = 299_000;
  assert.equal(monitor.sample().device.battery, null);
  nowMs = 301_000;
  const { battery, onMains, watts } = monitor.sample().device;
  assert.deepEqual([battery, onMains, watts], [{ share: 0.37, discharging: true }, false, 6]);
});

test('what the firmware held back is remembered, though newer kernels forget it', (context) => {
  const root = copyOf(context, 'raspberry-pi-5');
  const file = 'sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled';
  const monitor = monitorOf(root);
  monitor.sample();
  put(root, file, '0\n');
  assert.deepEqual(monitor.sample().device.throttle, { now: [], seen: ['under-voltage', 'throttled'] });
  put(root, file, '80000\n');
  assert.deepEqual(monitor.sample().device.throttle?.seen, [
    'under-voltage',
    'throttled',
    'soft-temperature-limit',
  ]);
});

test('without the bit field, the alarm of the voltage sensor tells of under-voltage', (context) => {
  const root = copyOf(context, 'raspberry-pi-5');
  rmSync(join(root, 'sys/devices/platform'), { recursive: true });
  const monitor = monitorOf(root);
  assert.deepEqual(monitor.sample().device.throttle, { now: [], seen: [] });
  put(root, 'sys/class/hwmon/hwmon3/in0_lcrit_alarm', '1\n');
  assert.deepEqual(monitor.sample().device.throttle?.now, ['under-voltage']);
});

test('the trip point is the first passive one that is not there to steer a fan', (context) => {
  const zone = 'sys/class/thermal/thermal_zone0';
  const root = treeOf(context, {
    [`${zone}/type`]: 'soc-thermal\n',
    [`${zone}/temp`]: '60000\n',
    [`${zone}/trip_point_0_type`]: 'passive\n',
    [`${zone}/trip_point_0_temp`]: '35000\n',
    [`${zone}/trip_point_1_type`]: 'passive\n',
    [`${zone}/trip_point_1_temp`]: '95000\n',
    [`${zone}/trip_point_2_type`]: 'passive\n',
    [`${zone}/trip_point_2_temp`]: '85000\n',
    'sys/class/thermal/thermal_zone1/type': 'battery\n',
    'sys/class/thermal/thermal_zone1/temp': '79000\n',
  });
  assert.deepEqual(monitorOf(root).sample().device.thermal, {
    zone: 'soc-thermal',
    celsius: 60,
    slowCelsius: 85,
  });
});
