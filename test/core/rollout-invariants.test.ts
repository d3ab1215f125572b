/** What holds of rollouts whatever happens: they end, leave nothing behind, and cost no client an answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isUnderWay } from '../../agent/proving.ts';
import type { Canary } from '../../agent/rollout.ts';
import type { Step } from '../../agent/types.ts';
import { nextDueMs } from '../../agent/upkeep.ts';
import type { Fault } from './happening.ts';
import { action, newWorld, play } from './histories.ts';
import { MB } from './made.ts';
import { candidate, stage, working } from './rollouts.ts';
import type { World } from './world.ts';

const runs = Number(process.env['EXPERTD_PROPERTY_RUNS'] ?? 400);
/** More rounds than this, in which all goes well and the experts are asked, and a rollout would never end. */
const MOST_ROUNDS = 60;

function underWay(world: World): string[] {
  return [...world.state.rollouts].flatMap(([of, rollout]) => (isUnderWay(rollout) ? [of] : []));
}

/** Goes on well, with requests for the experts that are rolled out, until no rollout is under way. */
function conclude(world: World): void {
  for (let round = 0; underWay(world).length > 0; round++) {
    const said = JSON.stringify(world.last.reasons);
    assert.ok(round < MOST_ROUNDS, `a rollout does not end: ${underWay(world).join()}; ${said}`);
    world.device = null;
    // Bytes that an unload left behind could keep a candidate out as long as they stay.
    for (const cell of world.state.cells.keys()) world.holdExtra(cell, 0);
    world.sample(800 * MB, 0);
    for (const of of underWay(world)) world.ask(`end-${of}-${round}`, { model: of });
    world.drain();
    const dueMs = nextDueMs(world.state);
    world.pass(Math.max(1, Number.isFinite(dueMs) ? dueMs - world.nowMs : 1_000));
    world.drain();
  }
}

test('every rollout ends where requests come, and no candidate stays that is not under way', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(230, 330, 600),
      fc.array(action, { minLength: 5, maxLength: 100, size: 'max' }),
      (budgetMb, actions) => {
        const world = newWorld(budgetMb);
        play(world, actions);
        world.drain();
        conclude(world);
        world.sample(800 * MB, 0);
        world.drain();
        for (const { expert } of world.state.experts.values())
          assert.equal(expert.candidateOf, null, expert.id);
      },
    ),
    { numRuns: runs },
  );
});

// ---- no request is refused because of a rollout ---------------------------------------------------------------

type Turn =
  | { readonly kind: 'ask'; readonly waitMs: number | null }
  | { readonly kind: 'end'; readonly index: number; readonly fault: Fault }
  | { readonly kind: 'crash'; readonly how: 'signal' | 'oom' }
  | { readonly kind: 'overdue' }
  | { readonly kind: 'stage'; readonly version: string; readonly canary: Canary | null }
  | { readonly kind: 'leave' };

const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('ask' as const), waitMs: fc.constantFrom(null, 500) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      index: fc.nat(20),
      fault: fc.constantFrom<Fault>('none', 'none', 'none', 'fail', 'broken'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      how: fc.constantFrom('signal' as const, 'signal' as const, 'oom' as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'overdue' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('stage' as const),
      version: fc.constantFrom('2.0.0', '3.0.0'),
      canary: fc.constantFrom<Canary | null>(
        { share: 0.5, decisions: 20, ms: null },
        { share: 1, decisions: 20, ms: null },
        { share: 1, decisions: 2, ms: null },
        { share: 0.3, decisions: null, ms: 60_000 },
        null,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'leave' as const }) },
);

/** The device has room for both, and all that fails is the candidates': a cell that one of them has for itself. */
function live(world: World, turns: readonly Turn[]): string[] {
  const requests: string[] = [];
  for (const next of turns) {
    switch (next.kind) {
      case 'ask': {
        const request = `r${requests.length}`;
        requests.push(request);
        world.ask(request, { model: 'a', waitMs: next.waitMs });
        break;
      }
      case 'end':
        world.complete(next.index, (step) => (isCandidates(step) ? next.fault : 'none'));
        break;
      case 'crash': {
        const cell = candidateCell(world);
        if (cell !== null) world.kill(cell, next.how);
        break;
      }
      case 'overdue':
        endAllButCandidates(world);
        world.pass(10_000);
        break;
      case 'stage':
        stage(world, candidate({}, 'a', next.version), next.canary);
        break;
      case 'leave': {
        const id = world.state.rollouts.get('a')?.candidate;
        if (id !== undefined) world.happen({ type: 'removed', expert: id });
        break;
      }
    }
  }
  return requests;
}

function candidateCell(world: World): string | null {
  for (const { expert, residency } of world.state.experts.values())
    if (expert.candidateOf !== null && 'cell' in residency) return residency.cell;
  return null;
}

function isCandidates(step: Step): boolean {
  return 'expert' in step && step.type !== 'rollout' && step.expert.includes('@');
}

/** The clock goes on, and only candidates may be late. */
function endAllButCandidates(world: World): void {
  for (let guard = 0; guard < 100; guard++) {
    const index = world.steps.findIndex((step) => !isCandidates(step));
    if (index < 0) return;
    world.complete(index, 'none');
  }
}

test('where only candidates fail, every request is answered, by the old version or by one that took its place', () => {
  fc.assert(
    fc.property(fc.array(turn, { minLength: 5, maxLength: 80, size: 'max' }), (turns) => {
      const world = working({ settings: { budgetBytes: 400 * MB } });
      const requests = live(world, turns);
      world.drain();
      for (const request of requests)
        assert.match(world.endOf(request) ?? 'nothing', /^a(@[\d.]+)? answered$/);
    }),
    { numRuns: runs },
  );
});
