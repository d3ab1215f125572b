/** The invariants of ARCHITECTURE.md over random histories. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../agent/decide.ts';
import { action, newWorld, play } from './histories.ts';

const runs = Number(process.env['EXPERTD_PROPERTY_RUNS'] ?? 400);

test('invariants 1, 2, 3 and 5 hold, and everything ends, over random event sequences', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(150, 230, 330, 600),
      fc.constantFrom(0, 100, 2_000),
      fc.array(action, { minLength: 5, maxLength: 120, size: 'max' }),
      (budgetMb, swapDelayMs, actions) => {
        const world = newWorld(budgetMb, swapDelayMs);
        play(world, actions);
        world.drain();
      },
    ),
    {
      numRuns: runs,
      ...(process.env['SEED'] ? { seed: Number(process.env['SEED']), path: process.env['PATHX'] ?? '' } : {}),
    },
  );
});

test('invariant 6: the logged events, decided again, give the same decisions', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 60, size: 'max' }), (actions) => {
      const world = newWorld(230);
      play(world, actions);
      let state = world.initial;
      for (const { event, decision } of world.log) {
        const again = decide(state, event, world.policy);
        assert.deepEqual(again, decision);
        state = again.state;
      }
    }),
    { numRuns: Math.ceil(runs / 4) },
  );
});

test('a decision never changes the state that it was given', () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 40, size: 'max' }), (actions) => {
      const world = newWorld(330);
      play(world, actions);
      const before = structuredClone(world.state);
      decide(world.state, { type: 'tick', atMs: world.nowMs + 200_000 }, world.policy);
      assert.deepEqual(world.state, before);
    }),
    { numRuns: Math.ceil(runs / 4) },
  );
});
