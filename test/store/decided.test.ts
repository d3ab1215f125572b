/** The store under what the real `decide` makes of random worlds: what is recorded is whole, and replays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../agent/decide.ts';
import type { LogEntry } from '../../agent/ports.ts';
import { committedBytes } from '../../agent/residency.ts';
import type { Records } from '../../agent/store/store.ts';
import type { State } from '../../agent/types.ts';
import { expert, MB, settings } from '../core/made.ts';
import { World } from '../core/world.ts';
import { FakeStore } from '../fakes/log.ts';
import { Place } from './place.ts';

const ids = ['embedder', 'a', 'b', 'c'];
const all = { limit: 10_000, before: null, expert: null };

const action = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('ask' as const), which: fc.integer({ min: -1, max: 4 }) }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('complete' as const), which: fc.nat(9) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('fail', 'kill', 'hangUp', 'pass'), which: fc.nat(9) }),
  },
);

/** A world in which something happened and everything ended; the experts do not all fit. */
function worldAfter(actions: readonly { readonly do: string; readonly which: number }[]): World {
  const experts = ids.map((id) => {
    const task = id === 'embedder' ? 'feature-extraction' : 'text-generation';
    return expert(id, { task, residentMb: 40, loadMb: 50 });
  });
  const sizes = new Map(experts.map(({ id, memory }) => [id, memory]));
  const world = new World(settings({ budgetBytes: 280 * MB, embedder: 'embedder' }), sizes);
  for (const made of experts) world.happen({ type: 'installed', expert: made });
  let requests = 0;
  for (const { do: what, which } of actions) {
    if (what === 'ask') world.request(`r${requests++}`, which < 0 ? null : (ids[which] ?? 'nobody'), 5_000);
    else if (what === 'complete') world.complete(which, 'none');
    else if (what === 'fail') world.complete(which, 'fail');
    else if (what === 'kill') world.kill(which);
    else if (what === 'hangUp') world.hangUp(`r${which % Math.max(1, requests)}`);
    else world.pass(which * 1_000);
  }
  world.drain();
  return world;
}

function entriesOf(world: World): readonly LogEntry[] {
  let before: State = world.initial;
  return world.log.map(({ event, decision }) => {
    const entry = { before, event, decision, asked: null };
    before = decision.state;
    return entry;
  });
}

/** Of several that one decision refuses before any choice, the list has the first. */
function refusedTogether(world: World): ReadonlySet<string> {
  const together = new Set<string>();
  for (const { decision } of world.log) {
    const refused = decision.steps.filter((step) => step.type === 'reject').map(({ request }) => request);
    for (const request of refused.slice(1)) together.add(request);
  }
  return together;
}

/** Every request of the world has one row in the list, ended, and is told from each row of its story. */
function checkStories(store: Records, world: World): void {
  const rows = store.decisions(all);
  const listed = new Set(rows.map(({ request }) => request));
  const together = refusedTogether(world);
  for (const { event } of world.log) {
    if (event.type === 'request' && !together.has(event.request)) assert.ok(listed.has(event.request));
  }
  for (const { id, ok, totalMs } of rows) {
    assert.equal(typeof ok, 'boolean', `decision ${id} never ended`);
    assert.ok((totalMs ?? -1) >= 0);
    const told = store.explain(id);
    assert.ok(told !== null && told.outcome !== null);
    assert.equal(told.outcome.ok, ok);
    assert.ok(ok || told.outcome.failure !== null, `decision ${id} failed without a reason`);
    const numbers = told.timeline.map((line) => line.id);
    assert.ok(numbers.includes(id));
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
  }
}

test('every choice ends in the log, and a replay decides the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 80, size: 'max' }), async (actions) => {
      const world = worldAfter(actions);
      const entries = entriesOf(world);
      const place = new Place(null);
      const store = place.store({ committedBytes });
      const fake = new FakeStore(committedBytes);
      try {
        store.start();
        for (let at = 0; at < entries.length; at += 7) store.append(entries.slice(at, at + 7));
        fake.append(entries);
        checkStories(store, world);
        assert.deepEqual(store.decisions(all), fake.decisions(all));
        let state: State | null = null;
        let decided = 0;
        for (const item of store.replay(0)) {
          if (item.kind === 'state') {
            if (item.continues) assert.deepEqual(state, item.state);
            state = item.state;
            continue;
          }
          assert.ok(state !== null);
          const { state: next, ...decision }: ReturnType<typeof decide> = decide(
            state,
            item.event,
            world.policy,
          );
          assert.deepEqual({ reasons: item.reasons, choice: item.choice, steps: item.steps }, decision);
          state = next;
          decided += 1;
        }
        assert.equal(decided, entries.length);
        assert.deepEqual(state, world.state);
        await store.stop();
      } finally {
        place.remove();
      }
    }),
    { numRuns: 40 },
  );
});
