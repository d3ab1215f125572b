/** How the device stands with its fleet is scraped; an agent in no fleet has none of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../agent/http/metrics.ts';
import { FakeService, FLEET } from '../fakes/service.ts';

async function scrape(metrics: Metrics): Promise<readonly string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('expertd_fleet'));
}

test('the link, records that wait, and messages that were not followed, by reason', async () => {
  const service = new FakeService();
  const metrics = new Metrics(service);
  service.stateView = { ...service.stateView, fleet: FLEET };
  assert.deepEqual(await scrape(metrics), [
    'expertd_fleet_up 1',
    'expertd_fleet_records_waiting 12',
    'expertd_fleet_refused_messages_total{reason="expired"} 1',
    'expertd_fleet_refused_messages_total{reason="bad_signature"} 40',
  ]);
  service.stateView = {
    ...service.stateView,
    fleet: { ...FLEET, isUp: false, recordsWaiting: 0, refused: { expired: 3 } },
  };
  assert.deepEqual(await scrape(metrics), [
    'expertd_fleet_up 0',
    'expertd_fleet_records_waiting 0',
    'expertd_fleet_refused_messages_total{reason="expired"} 3',
  ]);
});

test('an agent in no fleet', async () => {
  const service = new FakeService();
  assert.deepEqual(await scrape(new Metrics(service)), []);
  service.stateView = { ...service.stateView, fleet: null };
  assert.deepEqual(await scrape(new Metrics(service)), []);
});
