import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HERE } from '../trust/made.ts';
import { Bench, expert } from './orders-set-up.ts';

test('on a copied disk nothing is done that the device it was copied from was told', async (context) => {
  const bench = new Bench(context, expert('medical'));
  bench.isUp = false;
  bench.device.isSlow = true;
  await bench.order({});
  assert.deepEqual(bench.device.done, ['load medical']);
  // The keys, what was accepted and what is remembered are those of kitchen-1.
  bench.here = { ...HERE, device: 'kitchen-2' };
  await bench.restart();
  await bench.up();
  assert.deepEqual([bench.last('c1')?.state, bench.last('c1')?.reason], ['CANCELED', 'wrong_audience']);
  await bench.order({ id: 'c2', ctr: 2 });
  await bench.order({ id: 'c3', aud: ['kitchen-1', 'group:north'], ctr: 3 });
  assert.deepEqual(bench.orders.refused(), { wrong_audience: 1 }, 'a group is not told from its disk');
  assert.equal(bench.last('c2'), undefined);
  await bench.order({ id: 'c4', aud: 'kitchen-2', type: 'unload', ctr: 4 });
  assert.deepEqual(bench.device.done, ['load medical', 'load medical', 'unload medical']);
});
