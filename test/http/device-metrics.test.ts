/** What the device tells is scraped; what it does not tell is left out, never zero. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../agent/http/metrics.ts';
import { FakeService } from '../fakes/service.ts';
import { coolDevice } from '../fakes/survey.ts';

async function scrape(service: FakeService): Promise<ReadonlyMap<string, number>> {
  const text = await new Metrics(service).text();
  const lines = text.split('\n').filter((line) => /^expertd_(device|cgroup|load_cost)/.test(line));
  return new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
}

test('heat, power, stalls and limits are gauges in base units', async () => {
  const service = new FakeService();
  const throttle = { now: ['throttled'], seen: ['throttled'] } as const;
  const loadCost = { factor: 2, why: 'the firmware throttles it' };
  service.stateView = { ...service.stateView, device: coolDevice({ throttle }), loadCost };
  const gauges = await scrape(service);
  assert.deepEqual(
    [
      'temperature_celsius',
      'slowdown_celsius',
      'throttled',
      'power_watts',
      'battery_ratio',
      'cpu_stall_ratio',
    ].map((name) => gauges.get(`expertd_device_${name}`)),
    [45, 80, 1, 4.5, 0.9, 0.015],
  );
  assert.deepEqual(
    [gauges.get('expertd_load_cost_ratio'), gauges.get('expertd_cgroup_limit_bytes')],
    [2, 1_073_741_824],
  );
});

test('a device without sensors, and an agent that has not looked yet, have none of them', async () => {
  const service = new FakeService();
  assert.equal((await scrape(service)).size, 0);
  const blind = coolDevice({ thermal: null, throttle: null, watts: null, battery: null, cgroup: null });
  service.stateView = { ...service.stateView, device: blind };
  const names = [...(await scrape(service)).keys()];
  assert.ok(names.includes('expertd_device_swap_free_bytes'));
  assert.deepEqual(
    names.filter((name) => /celsius|throttled|watts|battery|cgroup/.test(name)),
    [],
  );
});
