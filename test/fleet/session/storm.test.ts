/** 200 devices whose broker restarts: real sessions in one process, on a clock that is twenty times as fast. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { aedes } from '../brokers/aedes.ts';
import { mosquitto } from '../brokers/mosquitto.ts';
import { Fleet } from '../fleet-of-sessions.ts';
import { scratch } from './live.ts';

describe('the fleet after its broker restarted', () => {
  for (const kind of [mosquitto, aedes])
    test(`${kind.name}: all come back, at most 20 in any second`, {
      skip: kind.missing ?? false,
    }, async (t) => {
      const place = scratch();
      const broker = await kind.open({ folder: place.folder });
      const fleet = new Fleet({ url: broker.url, size: 200, speed: 20, seed: 5 });
      try {
        await fleet.start();
        await broker.stop('killed');
        await fleet.lost();
        await broker.start();
        const { peak, attempts } = await fleet.returned();
        t.diagnostic(`${attempts} attempts, ${peak} of them in the busiest second`);
        assert.ok(peak <= 20, `a peak of ${peak}`);
        assert.ok(attempts >= 200, 'everybody was thrown out');
      } finally {
        await fleet.stop();
        await broker.stop('killed');
        place.remove();
      }
    });
});
