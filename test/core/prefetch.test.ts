/** Loads that nobody asked for: what follows what, into what is free, and never at anybody's cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { afterChoice, likelyNext, NO_HABITS, without } from '../../agent/habits.ts';
import type { Expert, Habits } from '../../agent/types.ts';
import { coolDevice } from '../fakes/survey.ts';
import { expert, MB, names } from './made.ts';
import { lookAt, said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

const learn = (sequence: readonly string[]): Habits => sequence.reduce(afterChoice, NO_HABITS);

test('what came after what is likely to come again, and old habits fade', () => {
  assert.deepEqual(likelyNext(learn([])), []);
  assert.deepEqual(likelyNext(learn(['a', 'b', 'a', 'b', 'a'])), [], 'twice is no habit');
  const [guess, ...others] = likelyNext(learn(['a', 'b', 'a', 'b', 'a', 'b', 'a']));
  assert.deepEqual([guess?.expert, others], ['b', []]);
  const often = Array.from({ length: 20 }, () => ['a', 'b']).flat();
  const lately = Array.from({ length: 12 }, () => ['a', 'c']).flat();
  assert.deepEqual(
    likelyNext(learn([...often, ...lately, 'a'])).map((one) => one.expert),
    ['c'],
  );
  assert.deepEqual(likelyNext(learn(['a', 'a', 'a', 'a', 'a'])), [], 'it is here already');
});

test('habits stay small, shares are shares, and a forgotten expert is nowhere', () => {
  const ids = fc.array(
    fc.integer({ min: 0, max: 200 }).map((id) => `e${id}`),
    { maxLength: 400 },
  );
  fc.assert(
    fc.property(ids, (sequence) => {
      const habits = learn(sequence);
      assert.ok(habits.after.size <= 64);
      for (const nexts of habits.after.values()) assert.ok(nexts.size <= 8);
      for (const { share } of likelyNext(habits)) assert.ok(share > 0 && share <= 1);
      const gone = without(habits, 'e1');
      assert.ok(gone.last !== 'e1' && !gone.after.has('e1'));
      for (const nexts of gone.after.values()) assert.ok(!nexts.has('e1'));
    }),
    { numRuns: 100 },
  );
});

/** `b` was asked after `a` four times of late; both are absent. */
function habitual(change: { b?: Partial<Expert>; budgetMb?: number } = {}): World {
  const world = worldOf({
    experts: [expert('a'), expert('b', change.b ?? {})],
    settings: { prefetch: true, budgetBytes: (change.budgetMb ?? 300) * MB },
  });
  // What comes after `b` is not on this device.
  world.happen({ type: 'remembered', sequence: ['a', 'b', 'x', 'a', 'b', 'x', 'a', 'b', 'x', 'a', 'b'] });
  return world;
}

test('the next expert is loaded once the first is there, and its use is a hit', () => {
  const world = habitual();
  world.ask('r1', { model: 'a' });
  world.finish('load a');
  assert.deepEqual(world.underWay, ['grant r1'], 'no load in a cell that works, and no cell for a guess');
  const done = world.finish('grant r1');
  assert.deepEqual(said(done), ['load b in fast-1']);
  assert.match(done.reasons.join('; '), /b was not asked for: in 100 of 100 cases it follows a/);
  world.finish('load b');
  assert.deepEqual(world.state.guesses, { loads: 1, hits: 0, wastedBytes: 0 });
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), ['grant r2: b in fast-1']);
  assert.deepEqual(world.state.guesses, { loads: 1, hits: 1, wastedBytes: 0 });
});

test('nothing leaves for a guess, and a guess leaves first', () => {
  const full = habitual({
    b: { memory: { residentBytes: 190 * MB, loadBytes: 190 * MB, loadMs: 1, measured: true } },
  });
  use(full, 'a');
  assert.deepEqual(full.underWay, [], 'there is no room beside a');
  assert.equal(full.state.experts.get('a')?.residency.state, 'resident');

  const wasted = habitual();
  use(wasted, 'a');
  wasted.finish('load b');
  wasted.happen({ type: 'command', command: 'unload', expert: 'b' });
  wasted.finish('unload b');
  assert.deepEqual(wasted.state.guesses, { loads: 1, hits: 0, wastedBytes: 20 * MB });
  assert.deepEqual(wasted.underWay, [], 'what was unloaded by hand is not guessed again');
});

test('one guess a choice; none on a hot device, under pressure, while somebody waits, or where it is switched off', () => {
  const once = habitual();
  use(once, 'a');
  once.finish('load b', 'fail');
  once.pass(5_000);
  assert.deepEqual(once.underWay, []);

  const hot = habitual();
  lookAt(hot, coolDevice({ thermal: { zone: 'cpu', celsius: 85, slowCelsius: 80 } }));
  use(hot, 'a');
  assert.deepEqual(hot.underWay, []);
  lookAt(hot, coolDevice());
  assert.deepEqual(hot.underWay, ['load b'], 'as soon as it has cooled down');

  const short = habitual();
  short.sample(70 * MB, null);
  use(short, 'a');
  assert.deepEqual(short.underWay, [], 'the device itself has no room');

  const off = worldOf({ experts: [expert('a'), expert('b')], settings: { prefetch: false } });
  off.happen({ type: 'remembered', sequence: ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'] });
  use(off, 'a');
  assert.deepEqual(off.underWay, []);
});

test('a parked expert whose pages are forgotten is read ahead, and one whose pages are there is left alone', () => {
  const world = habitual({ b: { parkable: true } });
  use(world, 'b');
  world.happen({ type: 'command', command: 'park', expert: 'b' });
  world.finish('park b');
  world.tellCached('b', 15 * MB);
  const done = world.ask('r1', { model: 'a' });
  assert.ok(!said(done).includes('warm b in fast-1'), 'a is being loaded');
  assert.deepEqual(said(world.finish('load a')), ['grant r1: a in fast-1', 'warm b in fast-1']);
  world.finish('grant r1');
  world.ask('r2', { model: 'a' });
  assert.deepEqual(said(world.finish('grant r2')), [], 'it is here');
});

test('a guess is about now: memory that comes free later, or that somebody frees by hand, stays free', () => {
  const big = { memory: { residentBytes: 190 * MB, loadBytes: 190 * MB, loadMs: 1, measured: true } };
  const freed = habitual({ b: big });
  use(freed, 'a');
  freed.happen({ type: 'command', command: 'unload', expert: 'a' });
  freed.finish('unload a');
  assert.deepEqual(freed.underWay, [], 'a was unloaded to have room');

  const late = habitual({ b: big });
  use(late, 'a');
  late.pass(60_000);
  late.happen({
    type: 'configured',
    settings: { ...late.state.settings, budgetBytes: 500 * MB },
    policies: names,
  });
  assert.deepEqual(late.underWay, [], 'it was a minute ago');
});

test('a guess that failed to load is no hit when it is asked for afterwards', () => {
  const world = habitual();
  use(world, 'a');
  world.finish('load b', 'fail');
  world.pass(5_000);
  use(world, 'b');
  assert.deepEqual(world.state.guesses, { loads: 1, hits: 0, wastedBytes: 20 * MB });
});

test('a load would keep others of its cell from answering: it is not begun where they are as likely to be asked', () => {
  const world = worldOf({
    experts: [expert('a'), expert('b')],
    settings: { prefetch: true, budgetBytes: 300 * MB },
  });
  world.happen({
    type: 'remembered',
    sequence: ['a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'a', 'a', 'b', 'a', 'a'],
  });
  use(world, 'a');
  assert.ok(likelyNext(world.state.habits).some(({ expert: id }) => id === 'b'));
  assert.deepEqual(world.underWay, [], 'a itself is as likely');
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['grant r1: a in fast-1']);
});
