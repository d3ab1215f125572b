import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialState } from '../agent/decide.ts';
import type { Event } from '../agent/events.ts';
import { Loop } from '../agent/loop.ts';
import type { Clock, Log, LogEntry } from '../agent/ports.ts';
import { policyOf } from '../policies/index.ts';
import { expert, features, MB, names, settings } from './core/made.ts';

/** A clock that a test moves. */
class ManualClock implements Clock {
  now = 1_000;
  readonly #alarms = new Set<{ atMs: number; callback: () => void }>();

  nowMs(): number {
    return this.now;
  }

  at(atMs: number, callback: () => void): () => void {
    const alarm = { atMs, callback };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  get alarms(): number[] {
    return [...this.#alarms].map((alarm) => alarm.atMs);
  }

  advance(ms: number): void {
    this.now += ms;
    for (const alarm of [...this.#alarms]) {
      if (alarm.atMs > this.now) continue;
      this.#alarms.delete(alarm);
      alarm.callback();
    }
  }
}

class ListedLog implements Log {
  readonly batches: LogEntry[][] = [];
  #last = 0;

  append(entries: readonly LogEntry[]): readonly number[] {
    if (entries.length > 0) this.batches.push([...entries]);
    return entries.map(() => ++this.#last);
  }

  synced(): number {
    return this.#last;
  }
}

function setUp(options: { budgetMb?: number; onDecision?: (event: Event) => void } = {}) {
  const clock = new ManualClock();
  const log = new ListedLog();
  const acted: { event: Event; sequence: number; recorded: number }[] = [];
  const faults: Event[] = [];
  const loop = new Loop({
    state: initialState(settings({ budgetBytes: (options.budgetMb ?? 300) * MB, idleMs: 0 }), 60 * MB),
    policy: policyOf(names),
    log,
    clock,
    onDecision: (event, _decision, sequence) => {
      acted.push({ event, sequence, recorded: log.batches.flat().length });
      options.onDecision?.(event);
    },
    onFault: (event) => faults.push(event),
  });
  return { clock, log, loop, acted, faults };
}

const request = {
  type: 'request',
  want: 'chat',
  model: null,
  features: features(),
  waitMs: null,
  keepAliveMs: null,
} as const;

test('events that come together are decided in order and recorded in one batch', async () => {
  const { loop, log, acted } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  loop.push({ ...request, request: 'r1', model: 'a' });
  loop.push({ ...request, request: 'r2', model: 'a' });
  assert.equal(log.batches.length, 0, 'nothing is decided while it is pushed');
  await loop.decided();
  assert.equal(log.batches.length, 1);
  assert.deepEqual(
    log.batches[0]?.map((entry) => entry.event.type),
    ['installed', 'request', 'request'],
  );
  assert.deepEqual(
    acted.map((one) => one.sequence),
    [1, 2, 3],
  );
});

test('no decision acts before it is recorded', async () => {
  const { loop, acted } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  loop.push({ ...request, request: 'r1', model: 'a' });
  await loop.decided();
  for (const { sequence, recorded } of acted) assert.ok(recorded >= sequence);
  assert.equal(acted.length, 2);
});

test('each entry holds the state before and after, and they join', async () => {
  const { loop, log } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  loop.push({ ...request, request: 'r1', model: 'a' });
  await loop.decided();
  const [first, second] = log.batches.flat();
  assert.equal(first?.decision.state, second?.before);
  assert.equal(loop.state, second?.decision.state);
});

test('what becomes due by time alone gets a tick, and there is one alarm at most', async () => {
  const { loop, clock, log } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  loop.push({ ...request, request: 'r1', model: 'a', waitMs: 5_000 });
  await loop.decided();
  assert.deepEqual(clock.alarms, [6_000]);
  clock.advance(5_000);
  await loop.decided();
  const last = log.batches.flat().at(-1);
  assert.equal(last?.event.type, 'tick');
  assert.equal(last?.decision.steps.find((step) => step.type === 'reject')?.type, 'reject');
  assert.ok(clock.alarms.length <= 1);
});

test('a bug in deciding drops the event, is told, and the loop goes on', async () => {
  const { loop, faults, acted } = setUp();
  loop.push({ type: 'installed', expert: undefined as never });
  loop.push({ type: 'installed', expert: expert('a') });
  await loop.decided();
  assert.equal(faults.length, 1);
  assert.deepEqual(
    acted.map((one) => one.event.type),
    ['installed'],
  );
  assert.ok(loop.state.experts.has('a'));
});

test('after it was stopped nothing is decided', async () => {
  const { loop, acted, clock } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  loop.stop();
  loop.push({ type: 'tick' });
  await new Promise(setImmediate);
  assert.equal(acted.length, 0);
  assert.equal(clock.alarms.length, 0);
});

test('whoever waits for a decision when it is stopped is woken, and nobody waits afterwards', async () => {
  const { loop } = setUp();
  loop.push({ type: 'installed', expert: expert('a') });
  const waiting = [loop.decided(), loop.nextDecision(Number.MAX_SAFE_INTEGER)];
  loop.stop();
  await Promise.all(waiting);
  await Promise.all([loop.decided(), loop.nextDecision(Number.MAX_SAFE_INTEGER)]);
});

test('a decision that cannot be carried out takes none of its turn with it', async () => {
  const { loop, faults, acted } = setUp({
    onDecision: (event) => {
      if (event.type === 'installed' && event.expert.id === 'a') throw new Error('a listener that throws');
    },
  });
  loop.push({ type: 'installed', expert: expert('a') });
  loop.push({ type: 'installed', expert: expert('b') });
  await loop.decided();
  assert.deepEqual(
    acted.map((one) => one.sequence),
    [1, 2],
  );
  assert.deepEqual(
    faults.map((event) => event.type === 'installed' && event.expert.id),
    ['a'],
  );
  assert.ok(loop.state.experts.has('a') && loop.state.experts.has('b'));
});

test('a bug in what is due does not keep the device busy: it is tried again after a rest', async () => {
  const { loop, faults, clock, log } = setUp();
  const { memory, ...rest } = expert('a');
  let broken = false;
  loop.push({
    type: 'installed',
    expert: {
      ...rest,
      get memory() {
        if (broken) throw new Error('a bug');
        return memory;
      },
    },
  });
  loop.push({ ...request, request: 'r1', model: 'a', waitMs: 5_000 });
  await loop.decided();
  broken = true;
  clock.advance(5_000);
  await loop.decided();
  assert.deepEqual(
    faults.map((event) => event.type),
    ['tick'],
  );
  assert.deepEqual(clock.alarms, [clock.now + 1_000]);
  broken = false;
  clock.advance(1_000);
  await loop.decided();
  assert.ok(log.batches.flat().some(({ decision }) => decision.steps.some(({ type }) => type === 'reject')));
});
