/**
 * What a fleet costs: `npm run bench -- fleet [--records 200000] [--devices 50] [--batch 400]
 * [--sessions 200]`; 0 sessions leave the last part out.
 *
 * - records a second that one collector (one process, one thread) takes in from many devices over a broker, from the
 *   first batch that is published to the last acknowledgement; and records lost
 * - bytes of a record on the wire, and the time that a device takes to read and pack it
 * - what the outbox adds to a decision
 * - connects a second when sessions come back to a broker that was killed (fleet-connects.ts)
 *
 * The broker is Mosquitto, or aedes where there is none. Publisher, broker and collector share the machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { systemClock } from '../../agent/clock.ts';
import { parseBroker } from '../../agent/fleet/broker.ts';
import { readAck } from '../../agent/fleet/documents/shapes.ts';
import { readCredentials } from '../../agent/fleet/session/credentials.ts';
import { dial } from '../../agent/fleet/session/dial.ts';
import { Session } from '../../agent/fleet/session/session.ts';
import { parseTopic, topicsOf } from '../../agent/fleet/topics.ts';
import { SqliteArchiveReader } from '../../agent/store/collector/reader.ts';
import { aedes } from '../../test/fleet/brokers/aedes.ts';
import { mosquitto } from '../../test/fleet/brokers/mosquitto.ts';
import type { Bench } from './bench.ts';
import { measureConnects } from './fleet-connects.ts';
import { appendCost, inFolder, type Made, makeBatches } from './fleet-records.ts';
import type { Report } from './report.ts';
import { interleave, median } from './stats.ts';

const ROOT_TOPIC = 'expertd';
/** As `Drain` does. */
const UNDER_WAY = 4;
const PATIENCE_MS = 120_000;
const APPEND_ROUNDS = 9;
const APPEND_REQUESTS = 1_000;
/** Ticks a second of /proc/PID/stat on every Linux that expertd runs on. */
const TICK_MS = 10;

export const bench: Bench = async (args, report) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string', default: '200000' },
      devices: { type: 'string', default: '50' },
      batch: { type: 'string', default: '400' },
      sessions: { type: 'string', default: '200' },
    },
  });
  const devices = Number(values.devices);
  const each = Math.ceil(Number(values.records) / devices);
  await reportAppend(report);
  const made = await makeBatches(each, Number(values.batch));
  reportWire(made, each, report);
  await inFolder((folder) => reportCollector(folder, made, devices, each, report));
  const size = Number(values.sessions);
  if (size > 0) await measureConnects({ size, seed: 1 }, report);
};

async function reportAppend(report: Report): Promise<void> {
  const [plain = [], kept = []] = await interleave(APPEND_ROUNDS, [
    () => appendCost(APPEND_REQUESTS, false),
    () => appendCost(APPEND_REQUESTS, true),
  ]);
  report({
    metric: 'append_with_outbox',
    value: median(kept) * 1_000,
    unit: 'us/decision',
    baseline: median(plain) * 1_000,
  });
}

function reportWire({ batches, textBytes, packMs }: Made, records: number, report: Report): void {
  const bytes = batches.reduce((sum, { payload }) => sum + payload.byteLength, 0);
  report({ metric: 'record_on_the_wire', value: bytes / records, unit: 'B' });
  report({ metric: 'record_as_text', value: textBytes / records, unit: 'B' });
  report({ metric: 'read_and_pack', value: (packMs * 1_000) / records, unit: 'us/record' });
}

async function reportCollector(
  folder: string,
  made: Made,
  devices: number,
  each: number,
  report: Report,
): Promise<void> {
  const broker = await (mosquitto.missing === null ? mosquitto : aedes).open({ folder });
  const database = join(folder, 'fleet.db');
  const collector = await startCollector(broker.url, database);
  try {
    const idleMs = cpuMs(collector);
    const startMs = performance.now();
    await publishAll(broker.url, made, devices);
    const seconds = (performance.now() - startMs) / 1_000;
    const busy = cpuMs(collector) - idleMs;
    await stop(collector);
    const records = devices * each;
    const kept = keptIn(database);
    report({ metric: 'collector', value: records / seconds, unit: 'records/s', goal: { atLeast: 5_000 } });
    report({ metric: 'collector_cpu', value: (busy * 1_000) / records, unit: 'us/record' });
    report({ metric: 'collector_phase', value: seconds, unit: 's' });
    report({ metric: 'records_lost', value: records - kept, unit: 'records', goal: { atMost: 0 } });
  } finally {
    collector.kill('SIGKILL');
    await broker.stop('killed');
  }
}

async function startCollector(url: string, database: string): Promise<ChildProcess> {
  const file = join(import.meta.dirname, 'fleet-collector.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file, url, database], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (/connected to the fleet/.test(line)) break;
  }
  child.stdout.resume();
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** User and system time of a process so far (proc(5), fields 14 and 15 of stat). */
function cpuMs({ pid }: ChildProcess): number {
  const [, after = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ');
  const fields = after.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function keptIn(database: string): number {
  const reader = new SqliteArchiveReader(database, Date.now());
  const kept = reader.devices().reduce((sum, { records }) => sum + records, 0);
  reader.close();
  return kept;
}

/** The same batches in the name of every device, four of each under way; resolves when all are acknowledged. */
async function publishAll(url: string, made: Made, devices: number): Promise<void> {
  const session = newSession(url);
  const names = Array.from({ length: devices }, (_, index) => `bench-${index}`);
  const feeds = new Map(names.map((name) => [name, { next: 0, high: 0 }]));
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const total = made.batches.at(-1)?.last ?? 0;
  const timer = setTimeout(() => reject(new Error('not all was acknowledged in time')), PATIENCE_MS);
  const feed = (device: string): void => {
    const at = feeds.get(device);
    if (at === undefined) return;
    const acknowledged = made.batches.filter(({ last }) => last <= at.high).length;
    for (; at.next < Math.min(made.batches.length, acknowledged + UNDER_WAY); at.next += 1) {
      const payload = made.batches[at.next]?.payload ?? new Uint8Array();
      session.publish(topicsOf(ROOT_TOPIC, device).rec, payload, { qos: 1 }).catch(reject);
    }
  };
  session.onMessage((topic, payload) => {
    const parsed = parseTopic(ROOT_TOPIC, topic);
    const at = parsed?.of === 'device' ? feeds.get(parsed.device) : undefined;
    if (parsed?.of !== 'device' || at === undefined) return undefined;
    at.high = Math.max(at.high, readAck(payload).hw);
    feed(parsed.device);
    if ([...feeds.values()].every(({ high }) => high >= total)) resolve();
    return undefined;
  });
  session.onUp(() => names.forEach(feed));
  session.start();
  try {
    await done;
  } finally {
    clearTimeout(timer);
    await session.stop();
  }
}

function newSession(url: string): Session {
  const broker = parseBroker(url);
  return new Session({
    broker,
    credentials: () => readCredentials(broker, { tls: { alpn: [] } }),
    clientId: 'bench',
    persistent: false,
    protocol: 'auto',
    keepaliveSeconds: 60,
    firstBd: 0,
    greeting: null,
    topics: [`${ROOT_TOPIC}/v1/+/ack`],
    maxInFlight: 64,
    dial,
    clock: systemClock,
    random: Math.random,
    log: { info: () => undefined, warn: (_fields, message) => process.stderr.write(`${message}\n`) },
  });
}
