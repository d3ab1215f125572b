/**
 * Devices that give an epoch which the collector knows: one that lost its log, or all of its state, and has no clock;
 * and two with one name. Real stores, drains and a collector over a network in memory.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { DeviceRow } from '../../../agent/archive.ts';
import { Collector, collectorTopics } from '../../../agent/fleet/collector/collector.ts';
import { Drain } from '../../../agent/fleet/records/drain.ts';
import { controlOf, topicsOf } from '../../../agent/fleet/topics.ts';
import { SqliteArchive } from '../../../agent/store/collector/archive.ts';
import { SqliteArchiveReader } from '../../../agent/store/collector/reader.ts';
import type { Store } from '../../../agent/store/store.ts';
import { resident, Story, stateOf } from '../../store/made.ts';
import { Place } from '../../store/place.ts';
import { encodeAtOnce } from './encode.ts';
import { type End, fair, Network } from './network.ts';

const topics = topicsOf('t', 'pi');
const control = controlOf('t');

class World {
  /** Nobody sets the clocks: each start is at the same second, unless a test says otherwise. */
  wallMs = 5_000_000;
  readonly place: Place;
  readonly network: Network;
  readonly #collector: Collector;
  readonly #database: string;

  constructor(context: TestContext) {
    context.mock.method(Date, 'now', () => this.wallMs);
    this.place = new Place(context);
    const { clock } = this.place;
    this.network = new Network(clock, () => 0.5);
    this.#database = join(new Place(context).directory, 'fleet.db');
    const link = this.network.end(collectorTopics('t'));
    const archive = new SqliteArchive({ path: this.#database, nowMs: 1 });
    const report = ({ message }: { readonly message: string }) => assert.fail(message);
    this.#collector = new Collector({ root: 't', link, archive, clock, report });
    this.#collector.start();
    link.up();
    context.after(() => {
      this.#collector.stop();
      archive.close();
    });
    this.network.carry({ topic: control.status, payload: Buffer.from(this.#collector.birth(1)) }, true);
  }

  async wait(ms: number): Promise<void> {
    for (let step = 0; step < 20; step += 1) {
      this.place.clock.advance(ms / 20);
      for (let n = 0; n < 5; n += 1) await turn();
    }
  }

  /** What the collector has: the requests that ended, and how it sees the device. */
  seen(): { readonly requests: readonly string[]; readonly row: DeviceRow | undefined } {
    const reader = new SqliteArchiveReader(this.#database, 1);
    const [row] = reader.devices();
    const requests = reader
      .records({ device: 'pi', sinceMs: null, limit: 10_000 })
      .map(({ body }): { request: string; event: string } => JSON.parse(body))
      .filter(({ event }) => event === 'released')
      .map(({ request }) => request);
    reader.close();
    return { requests: requests.toSorted(), row };
  }
}

/** One process of a device. */
class Life {
  readonly drain: Drain;
  readonly codes: string[] = [];
  readonly end: End;
  readonly #store: Store;

  constructor(world: World, place = world.place) {
    const bounds = { maxRows: 10_000, maxBytes: 4_000_000, clockSynced: () => false };
    this.#store = place.store({ clock: world.place.clock, outbox: bounds });
    this.#store.start();
    const outbox = this.#store.outbox();
    assert.ok(outbox !== null);
    this.end = world.network.end([topics.ack, control.status]);
    this.drain = new Drain({
      outbox,
      link: this.end,
      clock: world.place.clock,
      topics: { rec: topics.rec, ack: topics.ack, collector: control.status },
      report: ({ code }) => this.codes.push(code),
      encode: encodeAtOnce,
    });
    this.drain.start();
  }

  /** Two records each; returns what `World.seen` calls them. */
  async decide(requests: number, name: string): Promise<readonly string[]> {
    const names = Array.from({ length: requests }, (_, n) => `${name}${n}`);
    const story = new Story(stateOf({ embedder: resident }));
    for (const one of names) story.granted(one).released(one);
    this.#store.append(story.entries);
    await this.#store.flush();
    return names;
  }

  epoch(): number | null {
    return this.#store.outbox()?.epoch() ?? null;
  }

  async stop(): Promise<void> {
    this.end.down();
    this.drain.stop();
    await this.#store.stop();
  }
}

function lose(place: Place, names: readonly string[]): void {
  for (const name of names) rmSync(join(place.directory, name), { force: true });
}

const log = ['decisions.db', 'decisions.db-wal', 'decisions.db-shm'];
const losses = [
  { what: 'its log', names: log, codes: [] },
  { what: 'all of its state', names: [...log, 'fleet-epochs.json'], codes: ['epoch_renewed'] },
];

for (const { what, names, codes } of losses) {
  test(`a device without a clock that lost ${what} delivers what it decides from then on`, async (context) => {
    const world = new World(context);
    const before = new Life(world);
    before.end.up();
    const expected = [...(await before.decide(20, 'before'))];
    await world.wait(10_000);
    await before.stop();
    assert.deepEqual(world.seen().requests, expected.toSorted());
    lose(world.place, names);

    const after = new Life(world);
    expected.push(...(await after.decide(5, 'early')));
    after.end.up();
    await world.wait(10_000);
    for (const [n, name] of ['late', 'later', 'latest'].entries()) {
      expected.push(...(await after.decide(10 * (n + 1), name)));
      await world.wait(10_000);
    }
    await world.wait(600_000);
    const { requests, row } = world.seen();
    assert.deepEqual(requests, expected.toSorted());
    assert.deepEqual([row?.conflicts, row?.lost, row?.missing, row?.refused], [0, 0, 0, 0]);
    assert.equal(row?.records, 2 * expected.length);
    assert.deepEqual([after.drain.health().waiting, after.codes], [0, codes]);
    await after.stop();
  });
}

test('a later epoch is heard of when something was sent: what is under way keeps its name', async (context) => {
  const world = new World(context);
  const life = new Life(world);
  life.end.up();
  const epoch = life.epoch() ?? 0;
  // The collector gets none of it yet.
  world.network.weather = { lost: 1, twice: 0, delayMs: 5 };
  const expected = await life.decide(10, 'r');
  await world.wait(5_000);
  assert.ok(life.drain.health().batchesSent > 0);
  world.network.weather = fair;
  for (const ack of [{ epoch: epoch + 9 }, { epoch: epoch + 9 }, { epoch }]) {
    const payload = Buffer.from(JSON.stringify({ ...ack, hw: 500, missing: [] }));
    world.network.carry({ topic: topics.ack, payload }, false);
  }
  await world.wait(600_000);
  assert.equal(life.epoch(), epoch);
  assert.deepEqual([world.seen().requests, world.seen().row?.records], [expected.toSorted(), 20]);
  assert.deepEqual([life.codes, life.drain.health().refused], [['ack_refused'], { ack_refused: 3 }]);
  await life.stop();
});

test('two devices with one name, and a broker that drops a batch in the middle: none explains the other’s hole', async (context) => {
  const world = new World(context);
  const elder = new Life(world);
  world.wallMs = 6_000_000;
  const younger = new Life(world, new Place(context));
  elder.end.up();
  const broker = world.network.end([topics.rec]);
  broker.up();
  let arrived = 0;
  broker.onMessage(() => {
    arrived += 1;
    // The younger one throws it out before it hears of its hole.
    if (arrived !== 2) return undefined;
    elder.end.down();
    younger.end.up();
    return undefined;
  });
  const expected: string[] = [];
  for (const name of ['first', 'dropped', 'third']) {
    world.network.weather = name === 'dropped' ? { lost: 1, twice: 0, delayMs: 5 } : fair;
    expected.push(...(await elder.decide(5, name)));
    await world.wait(3_000);
  }
  assert.deepEqual([arrived, elder.drain.health().batchesSent], [2, 3]);
  assert.equal(world.seen().row?.missing, 10);
  expected.push(...(await younger.decide(5, 'younger')));
  await world.wait(3_000);
  elder.end.up();
  await world.wait(600_000);
  const { requests, row } = world.seen();
  assert.deepEqual(requests, expected.toSorted());
  assert.deepEqual([row?.lost, row?.missing, row?.conflicts], [0, 0, 0]);
  assert.deepEqual([elder.drain.health().waiting, younger.drain.health().waiting], [0, 0]);
  await elder.stop();
  await younger.stop();
});
