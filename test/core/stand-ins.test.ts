/** A smaller expert answers where memory is short, and the reply says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expert } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

function both(largeMb: number, change: Partial<Expert> = {}, budgetMb = 200): World {
  return worldOf({
    experts: [expert('large', { residentMb: largeMb, fallback: 'small', ...change }), expert('small')],
    settings: { budgetBytes: budgetMb * MB },
  });
}

function degradedOf(world: World): string | null {
  const [grant] = world.last.steps;
  assert.ok(grant?.type === 'grant', JSON.stringify(world.last.steps));
  return `${grant.expert}: ${grant.degraded}`;
}

test('what can never fit is answered by its stand-in, which is loaded for it', () => {
  const world = both(150);
  const asked = world.ask('r1', { model: 'large' });
  assert.match(asked.reasons.join('; '), /small answers r1 instead: expert "large" needs a budget/);
  assert.deepEqual(world.underWay, ['load small']);
  world.finish('load small');
  assert.equal(degradedOf(world), 'small: smaller-expert');
});

test('under pressure it answers if it is in memory, and is not loaded', () => {
  const there = both(60);
  use(there, 'small');
  there.sample(800 * MB, 30);
  there.ask('r1', { model: 'large' });
  assert.equal(degradedOf(there), 'small: smaller-expert');

  const absent = both(60);
  absent.sample(800 * MB, 30);
  assert.deepEqual(said(absent.ask('r1', { model: 'large' })), ['refuse r1: pressure']);
});

test('where the load does not come in time, too', () => {
  const world = both(60, { lane: 'heavy' }, 300);
  use(world, 'small');
  world.ask('r1', { model: 'large', waitMs: 500 });
  world.pass(500);
  assert.deepEqual(said(world.last), ['grant r1: small in fast-1']);
  assert.equal(degradedOf(world), 'small: smaller-expert');
});

test('a stand-in has none, and answers for nothing but memory', () => {
  const chain = worldOf({
    experts: [
      expert('large', { residentMb: 150, fallback: 'middle' }),
      expert('middle', { residentMb: 140, fallback: 'small' }),
      expert('small'),
    ],
    settings: { budgetBytes: 200 * MB },
  });
  assert.deepEqual(said(chain.ask('r1', { model: 'large' })), ['refuse r1: too_large']);
  const broken = both(60);
  use(broken, 'small');
  broken.ask('r1', { model: 'large' });
  assert.deepEqual(said(broken.finish('load large', 'broken')), ['refuse r1: load_failed']);
  const missing = worldOf({
    experts: [expert('large', { residentMb: 150, fallback: 'nobody' })],
    settings: { budgetBytes: 200 * MB },
  });
  assert.deepEqual(said(missing.ask('r1', { model: 'large' })), ['refuse r1: too_large']);
});
