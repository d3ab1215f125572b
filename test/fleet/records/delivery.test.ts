/** The whole way, over a network that keeps no promise: exactly once in effect, nothing lost, every gap explained. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import type { Failure } from '../../../agent/types.ts';
import { ManualClock } from '../../store/clock.ts';
import { encodeAtOnce } from './encode.ts';
import { FakeOutbox } from './fake-outbox.ts';
import { type End, fair, Network, randomFrom } from './network.ts';

const topics = topicsOf('t', 'pi');
const control = controlOf('t');

class World {
  readonly clock = new ManualClock();
  readonly random: () => number;
  readonly network: Network;
  readonly outbox = new FakeOutbox();
  readonly reports: Failure[] = [];
  readonly device: End;
  readonly center: End;
  readonly folder = mkdtempSync(join(tmpdir(), 'expertd-delivery-'));
  archive = this.#openArchive();
  drain: Drain;
  collector: Collector;
  released = 0;

  constructor(seed: number) {
    this.random = randomFrom(seed);
    this.network = new Network(this.clock, this.random);
    this.device = this.network.end([topics.ack, control.status]);
    this.center = this.network.end(collectorTopics('t'));
    this.outbox.begin();
    this.outbox.onRelease = (epoch, first, last) => this.#checkRelease(epoch, first, last);
    this.drain = this.#newDrain();
    this.collector = this.#newCollector();
    this.device.up();
    this.center.up();
    this.sayOnline(true);
  }

  get database(): string {
    return join(this.folder, 'fleet.db');
  }

  async wait(ms: number, steps = 10): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.clock.advance(ms / steps);
      await turn();
      await turn();
    }
  }

  sayOnline(online: boolean): void {
    this.network.carry({ topic: control.status, payload: Buffer.from(JSON.stringify({ online })) }, true);
  }

  /** What it had gathered and not kept is gone; its database stays. */
  crashCollector(): void {
    this.center.down();
    this.collector = this.#newCollector();
    this.center.up();
    this.sayOnline(true);
  }

  /** Its database is gone as well. */
  forgetCollector(): void {
    this.center.down();
    this.archive.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(this.database + suffix, { force: true });
    this.archive = this.#openArchive();
    this.released = 0;
    this.collector = this.#newCollector();
    this.center.up();
    this.sayOnline(true);
  }

  restartDevice(): void {
    this.device.down();
    this.drain.stop();
    this.outbox.begin();
    this.drain = this.#newDrain();
    this.device.up();
  }

  forge(ack: unknown): void {
    this.network.carry({ topic: topics.ack, payload: Buffer.from(JSON.stringify(ack)) }, false);
  }

  async heal(): Promise<void> {
    this.network.weather = fair;
    this.device.up();
    this.center.up();
    this.sayOnline(true);
    this.outbox.sync();
    for (let n = 0; n < 60 && this.outbox.pending().length > 0; n += 1) await this.wait(30_000, 20);
    await this.wait(60_000, 20);
  }

  rows(): ReadonlyMap<string, string> {
    const database = new Sqlite(this.database, { readonly: true });
    const rows = database.prepare('SELECT epoch, seq, body FROM records').raw().all() as [
      number,
      number,
      string,
    ][];
    database.close();
    return new Map(rows.map(([epoch, seq, body]) => [`${epoch}-${seq}`, body]));
  }

  query<T>(sql: string): T[] {
    const database = new Sqlite(this.database, { readonly: true });
    const result = database.prepare<[], T>(sql).all();
    database.close();
    return result;
  }

  remove(): void {
    this.drain.stop();
    this.archive.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The moment after which nobody else has it. */
  #checkRelease(epoch: number, first: number, last: number): void {
    const rows = this.rows();
    const bodies = this.outbox.epochs.find((one) => one.epoch === epoch)?.bodies ?? [];
    for (let seq = first; seq <= last; seq += 1) {
      if (bodies[seq - 1] !== null)
        assert.ok(rows.has(`${epoch}-${seq}`), `${epoch}-${seq} was let go of too early`);
      this.released += 1;
    }
  }

  #openArchive(): SqliteArchive {
    return new SqliteArchive({ path: this.database, nowMs: 1 });
  }

  #newDrain(): Drain {
    const { outbox, device: link, clock, random } = this;
    const drain = new Drain({
      outbox,
      link,
      clock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report: (failure) => this.reports.push(failure),
      encode: encodeAtOnce,
      window: { maxBatches: 4, firstPatienceMs: 10_000, lastPatienceMs: 60_000, random },
    });
    drain.start();
    return drain;
  }

  #newCollector(): Collector {
    this.collector?.stop();
    const collector = new Collector({
      root: 't',
      link: this.center,
      archive: this.archive,
      clock: this.clock,
      report: (failure) => this.reports.push(failure),
    });
    collector.start();
    return collector;
  }
}

/** Everything that was ever durable is there once, or has a tombstone that is true. */
function checkAll(world: World): void {
  const rows = world.rows();
  const stones = world.query<{ epoch: number; first: number; last: number; reason: string }>(
    'SELECT epoch, first, last, reason FROM tombstones',
  );
  for (const { epoch, born, bodies, synced } of world.outbox.epochs) {
    for (let seq = 1; seq <= synced; seq += 1) {
      const body = bodies[seq - 1];
      const key = `${epoch}-${seq}`;
      const stone = stones.find((one) => one.epoch === epoch && one.first <= seq && seq <= one.last);
      if (rows.has(key)) assert.equal(JSON.parse(rows.get(key) ?? '{}').say, `${born}-${seq}`);
      else assert.ok(body === null && stone?.reason.includes('retention'), `${key} is lost`);
    }
  }
  const [counts] = world.query<{ conflicts: number; records: number }>(
    'SELECT conflicts, records FROM devices',
  );
  assert.equal(counts?.conflicts ?? 0, 0);
  assert.equal(counts?.records ?? 0, rows.size, 'a record was counted twice');
  const decisions = new Set([...rows.values()].map((body) => JSON.parse(body).say));
  assert.equal(decisions.size, rows.size, 'a decision is there under two names');
  assert.deepEqual(world.query("SELECT * FROM progress WHERE ahead <> '[]'"), [], 'there are holes');
  assert.deepEqual(world.outbox.pending(), [], 'something still waits');
}

const action = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 900 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 10, max: 40_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('retain' as const), count: fc.integer({ min: 1, max: 300 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'deviceDown' as const,
        'deviceUp' as const,
        'centerDown' as const,
        'centerUp' as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restartDevice' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crashCollector' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('forge' as const),
      epoch: fc.integer({ min: 99, max: 105 }),
      hw: fc.integer({ min: 0, max: 5_000 }),
    }),
  },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

async function play(world: World, one: Action): Promise<void> {
  switch (one.do) {
    case 'append':
      return world.outbox.append(one.count);
    case 'sync':
      return world.outbox.sync();
    case 'wait':
      return world.wait(one.ms);
    case 'retain':
      return world.outbox.retain(one.count);
    case 'deviceDown':
      return world.device.down();
    case 'deviceUp':
      return world.device.up();
    case 'centerDown':
      world.center.down();
      return world.sayOnline(false);
    case 'centerUp':
      world.center.up();
      return world.sayOnline(true);
    case 'restartDevice':
      return world.restartDevice();
    case 'crashCollector':
      return world.crashCollector();
    case 'forge': {
      // Of an epoch that was not begun, or of numbers that nobody sent: what can be told from a true one.
      const epoch = one.epoch + 100;
      const isBegun = world.outbox.epochs.some((begun) => begun.epoch === epoch);
      world.forge({ epoch, hw: one.hw + (isBegun ? 1_000_000 : 0), missing: [] });
      return undefined;
    }
  }
}

test('lossy, repeating, reordering, with crashes on both sides: exactly once in effect', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.record({
        lost: fc.double({ min: 0, max: 0.5, noNaN: true }),
        twice: fc.double({ min: 0, max: 0.5, noNaN: true }),
        delayMs: fc.integer({ min: 1, max: 20_000 }),
      }),
      fc.array(action, { minLength: 5, maxLength: 30 }),
      async (seed, weather, actions) => {
        const world = new World(seed);
        try {
          world.network.weather = weather;
          for (const one of actions) await play(world, one);
          await world.heal();
          checkAll(world);
        } finally {
          world.remove();
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a collector that lost its database gets what is still there, and the truth about the rest', async (context) => {
  const world = new World(7);
  context.after(() => world.remove());
  for (let n = 0; n < 5; n += 1) {
    world.outbox.append(400);
    world.outbox.sync();
    await world.wait(5_000);
  }
  assert.equal(world.rows().size, 2_000);
  world.restartDevice();
  world.outbox.append(100);
  world.outbox.sync();
  await world.wait(10_000);
  world.forgetCollector();
  world.outbox.append(50);
  world.outbox.sync();
  await world.heal();
  const [first, second] = world.outbox.epochs;
  assert.ok(first !== undefined && second !== undefined);
  const found = world.query<{ epoch: number; first: number; last: number; reason: string }>(
    'SELECT epoch, first, last, reason FROM tombstones ORDER BY epoch, first',
  );
  assert.ok(
    found.length > 0 && found.every(({ epoch, reason }) => epoch === second.epoch && reason === 'not_kept'),
  );
  assert.equal(found[0]?.first, 1);
  assert.equal(found.at(-1)?.last, 100);
  assert.equal(world.rows().size, 50);
});

test('forged and absurd acknowledgements let go of nothing', async (context) => {
  const world = new World(3);
  context.after(() => world.remove());
  world.center.down();
  world.outbox.append(100);
  world.outbox.sync();
  await world.wait(5_000);
  const epoch = world.outbox.epoch() ?? 0;
  const sound = { epoch, hw: 10, missing: [] };
  for (const ack of [
    { ...sound, hw: 101 },
    { ...sound, epoch: epoch + 1 },
    { ...sound, hw: -1 },
    { ...sound, hw: 1.5 },
    { ...sound, hw: '10' },
    { ...sound, missing: [[90, 200]] },
    { ...sound, missing: [[20, 11]] },
    { ...sound, missing: [[11]] },
    { epoch },
    [],
    null,
    'x'.repeat(200_000),
  ]) {
    world.forge(ack);
    await world.wait(10);
  }
  const { refused } = world.drain.health();
  assert.equal(
    Object.values(refused).reduce((sum, count) => sum + count, 0),
    12,
  );
  assert.equal(world.drain.health().waiting, 100);
  const told = world.reports.map(({ code }) => code).toSorted();
  assert.deepEqual(told, Object.keys(refused).toSorted(), 'each kind is told once');
});

test('nothing is sent while no collector is there, and nothing is asked of the disk', async (context) => {
  const world = new World(5);
  context.after(() => world.remove());
  world.center.down();
  world.sayOnline(false);
  await world.wait(1_000);
  world.outbox.append(50);
  world.outbox.sync();
  await world.wait(600_000);
  assert.equal(world.drain.health().state, 'paused');
  assert.equal(world.drain.health().batchesSent, 0);
  assert.equal(world.clock.pending, 1, 'a timer runs beside the reminder of the collector');
  world.center.up();
  world.sayOnline(true);
  await world.heal();
  checkAll(world);
});

test('at most four batches are under way', async (context) => {
  const world = new World(9);
  context.after(() => world.remove());
  world.network.weather = { lost: 1, twice: 0, delayMs: 1 };
  world.outbox.append(40_000);
  world.outbox.sync();
  await world.wait(5_000);
  const { batchesSent, batchesRepeated } = world.drain.health();
  assert.equal(batchesSent - batchesRepeated, 4);
  await world.wait(600_000, 100);
  const later = world.drain.health();
  assert.equal(later.batchesSent - later.batchesRepeated, 4);
  assert.ok(later.batchesRepeated >= 12 && later.batchesRepeated < 80, `${later.batchesRepeated} repeated`);
  await world.heal();
  checkAll(world);
});
