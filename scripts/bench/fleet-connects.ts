/**
 * Connects per second when the broker of a fleet restarts, in real time: `node scripts/bench/fleet-connects.ts
 * [--size 200] [--seed 1]`. Real sessions in this one process, Mosquitto and aedes as processes of their own, on this
 * machine; the broker is killed, and started again at once. Takes about 35 s for each.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { aedes } from '../../test/fleet/brokers/aedes.ts';
import type { BrokerKind } from '../../test/fleet/brokers/broker.ts';
import { mosquitto } from '../../test/fleet/brokers/mosquitto.ts';
import { Fleet } from '../../test/fleet/fleet-of-sessions.ts';
import { type Report, rowOf } from './report.ts';

export interface ConnectsOptions {
  readonly size: number;
  readonly seed: number;
}

const MOST_A_SECOND = 20;

/** Rows for each broker that is installed: the busiest second, all attempts, and the time until all were back. */
export async function measureConnects(options: ConnectsOptions, report: Report): Promise<void> {
  for (const kind of [mosquitto, aedes]) {
    if (kind.missing === null) await measure(kind, options, report);
    else process.stderr.write(`fleet-connects: ${kind.missing}\n`);
  }
}

async function measure(kind: BrokerKind, { size, seed }: ConnectsOptions, report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'expertd-bench-fleet-'));
  const broker = await kind.open({ folder });
  const fleet = new Fleet({ url: broker.url, size, speed: 1, seed });
  const name = kind.name.toLowerCase();
  try {
    await fleet.start();
    await broker.stop('killed');
    await fleet.lost();
    await broker.start();
    const { peak, attempts, tookMs } = await fleet.returned();
    report({ metric: `${name} peak`, value: peak, unit: 'connects/s', goal: { atMost: MOST_A_SECOND } });
    report({ metric: `${name} attempts`, value: attempts, unit: `for ${size} devices` });
    report({ metric: `${name} all back`, value: tookMs / 1_000, unit: 's' });
  } finally {
    await fleet.stop();
    await broker.stop('killed');
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { size: { type: 'string', default: '200' }, seed: { type: 'string', default: '1' } },
  });
  const options = { size: Number(values.size), seed: Number(values.seed) };
  await measureConnects(options, (measure) => {
    const row = rowOf('fleet-connects', measure);
    if (row.ok === false) process.exitCode = 1;
    process.stdout.write(`${JSON.stringify(row)}\n`);
  });
}
