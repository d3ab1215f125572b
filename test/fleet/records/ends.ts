/** Both ends of the records with real sessions: a device whose log is in memory, and a collector with its database. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import type { Archive } from '../../../agent/archive.ts';
import { parseBroker } from '../../../agent/fleet/broker.ts';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import type { WindowOptions } from '../../../agent/fleet/records/window.ts';
import { readCredentials } from '../../../agent/fleet/session/credentials.ts';
import { type Dial, dial } from '../../../agent/fleet/session/dial.ts';
import { Session } from '../../../agent/fleet/session/session.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import type { Clock } from '../../../agent/ports.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import type { Failure } from '../../../agent/types.ts';
import { FakeOutbox } from './fake-outbox.ts';

export const root = 't';
const control = controlOf(root);
const silent = { info: () => undefined, warn: () => undefined };

export interface EndOptions {
  readonly url: string;
  readonly clock: Clock;
  /** Uniform in [0, 1): also how much of each window is waited before the next attempt. */
  readonly random: () => number;
  readonly dial?: Dial;
  readonly keepaliveSeconds?: number;
}

interface SessionParts {
  readonly id: string;
  readonly persistent: boolean;
  readonly topics: readonly string[];
  readonly will: (bd: number) => string;
  readonly status: string;
  readonly birth: (bd: number) => string;
}

function sessionOf({ url, clock, random, ...rest }: EndOptions, parts: SessionParts): Session {
  const broker = parseBroker(url);
  const credentials = readCredentials(broker, { tls: { alpn: [] } });
  const letter = (payload: string) => ({ topic: parts.status, payload, retain: true });
  return new Session({
    broker,
    credentials: () => credentials,
    clientId: parts.id,
    persistent: parts.persistent,
    protocol: 'auto',
    keepaliveSeconds: rest.keepaliveSeconds ?? 10,
    firstBd: 1,
    greeting: { will: (bd) => letter(parts.will(bd)), births: (bd) => [letter(parts.birth(bd))] },
    topics: parts.topics,
    dial: rest.dial ?? dial,
    clock,
    random,
    log: silent,
  });
}

export class DeviceEnd {
  readonly outbox = new FakeOutbox();
  readonly session: Session;
  readonly drain: Drain;
  readonly reports: Failure[] = [];

  constructor(id: string, options: EndOptions & { readonly window?: Partial<WindowOptions> }) {
    const topics = topicsOf(root, id);
    const birth = { online: true, boot: 'b', epoch: 1, head: 0, agent: '1.2.3', schema: 1, caps: [] };
    this.session = sessionOf(options, {
      id,
      persistent: true,
      topics: [topics.ack, topics.cmd, control.status],
      status: topics.status,
      will: () => JSON.stringify({ online: false, bd: 1 }),
      birth: (bd) => JSON.stringify({ ...birth, bd }),
    });
    this.drain = new Drain({
      outbox: this.outbox,
      link: this.session,
      clock: options.clock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      window: {
        maxBatches: 4,
        firstPatienceMs: 10_000,
        lastPatienceMs: 60_000,
        random: options.random,
        ...options.window,
      },
      report: (failure) => this.reports.push(failure),
    });
    this.outbox.begin();
    this.drain.start();
    this.session.start();
  }

  /** So many decisions, on the disk. */
  decide(count: number): void {
    this.outbox.append(count);
    this.outbox.sync();
  }

  isThrough(): boolean {
    return this.outbox.pending().length === 0;
  }

  /** Keys of what a collector must have, as `CollectorEnd.rows` has them; or of what retention took. */
  keys(id: string, what: 'kept' | 'dropped' = 'kept'): string[] {
    return this.outbox.epochs.flatMap(({ epoch, bodies }) =>
      bodies.flatMap((body, index) =>
        (body === null) === (what === 'dropped') ? `${id} ${epoch}-${index + 1}` : [],
      ),
    );
  }

  async stop(): Promise<void> {
    this.drain.stop();
    await this.session.stop();
  }
}

export class CollectorEnd {
  readonly archive: SqliteArchive;
  readonly collector: Collector;
  readonly session: Session;
  readonly reports: Failure[] = [];
  readonly path: string;

  constructor(folder: string, options: EndOptions & { readonly through?: (real: Archive) => Archive }) {
    this.path = join(folder, 'fleet.db');
    this.archive = new SqliteArchive({ path: this.path, nowMs: 1 });
    this.session = sessionOf(options, {
      id: 'collector',
      persistent: false,
      topics: collectorTopics(root),
      status: control.status,
      will: (bd) => this.collector.will(bd),
      birth: (bd) => this.collector.birth(bd),
    });
    this.collector = new Collector({
      root,
      link: this.session,
      archive: options.through?.(this.archive) ?? this.archive,
      clock: options.clock,
      report: (failure) => this.reports.push(failure),
    });
    this.collector.start();
    this.session.start();
  }

  /** Keys of what is kept. */
  rows(): string[] {
    return query<{ key: string }>(
      this.path,
      "SELECT d.device || ' ' || r.epoch || '-' || seq AS key FROM records r JOIN devices d ON d.id = r.device",
    ).map(({ key }) => key);
  }

  /** Keys of what was explained, each with its reason. */
  tombstones(): string[] {
    return query<{ device: string; epoch: number; first: number; last: number; reason: string }>(
      this.path,
      'SELECT d.device, t.epoch, first, last, reason FROM tombstones t JOIN devices d ON d.id = t.device',
    ).flatMap(({ device, epoch, first, last, reason }) =>
      Array.from({ length: last - first + 1 }, (_, n) => `${device} ${epoch}-${first + n} ${reason}`),
    );
  }

  /** Everything that the devices decided is there once, as it was; what retention took is explained, and no more. */
  checkAll(devices: ReadonlyMap<string, readonly DeviceEnd[]>): void {
    const keys = (what: 'kept' | 'dropped'): string[] =>
      [...devices].flatMap(([id, ends]) => ends.flatMap((end) => end.keys(id, what)));
    const kept = keys('kept');
    assert.deepEqual(this.rows().sort(), kept.sort());
    const dropped = keys('dropped').map((key) => `${key} retention`);
    assert.deepEqual(this.tombstones().sort(), dropped.sort());
    assert.deepEqual(query(this.path, "SELECT * FROM progress WHERE ahead <> '[]'"), [], 'there are holes');
    const [counts] = query<{ records: number; conflicts: number }>(
      this.path,
      'SELECT sum(records) AS records, sum(conflicts) AS conflicts FROM devices',
    );
    assert.deepEqual(counts, { records: kept.length, conflicts: 0 }, 'something was counted twice');
  }

  async stop(): Promise<void> {
    this.collector.stop();
    await this.session.stop();
    this.archive.close();
  }
}

function query<T>(path: string, sql: string): T[] {
  const database = new Sqlite(path, { readonly: true });
  const result = database.prepare<[], T>(sql).all();
  database.close();
  return result;
}

/** Resolves when it is so; says what was missing when it does not come. */
export async function until(
  isSo: () => boolean,
  what: () => string,
  patienceMs: number = 15_000,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (; !isSo(); await sleep(5)) {
    if (performance.now() > deadlineMs) throw new Error(`not ${what()}`);
  }
}

/** Both links stand. */
export async function up(...ends: readonly { readonly session: Session }[]): Promise<void> {
  const isUp = (): boolean => ends.every(({ session }) => session.isUp);
  await until(isUp, () => `up: ${JSON.stringify(ends.map(({ session }) => session.health()))}`);
}
