/** What is loaded before anything is known of it, and what comes back by itself or does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

function unknown(id: string, boundMb: number, weightMb: number) {
  const made = expert(id, { residentMb: boundMb, weightBytes: weightMb * MB });
  return { ...made, memory: { ...made.memory, measured: false } };
}

test('a bound that is more than the budget is no reason to refuse weights that are not: the first load tells', () => {
  const world = worldOf({
    experts: [unknown('a', 400, 50), expert('b', { residentMb: 30 })],
    trueMb: { a: 70 },
  });
  use(world, 'b');
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['unload b from fast-1'], 'it is tried alone');
  assert.deepEqual(said(world.finish('unload b')), ['load a in fast-1']);
  assert.deepEqual(said(world.finish('load a')), ['grant r1: a in fast-1']);
  const { memory } = world.state.experts.get('a')?.expert ?? assert.fail();
  assert.deepEqual([memory.residentBytes, memory.measured], [70 * MB, true]);
});

test('weights that are larger than what could ever be free are refused at once', () => {
  const world = worldOf({ experts: [unknown('a', 900, 400)] });
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['refuse r1: too_large']);
});

test('what cannot be released ends with its cell, and nobody is blamed', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')] });
  use(world, 'a');
  use(world, 'b');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  assert.deepEqual(said(world.finish('unload a', 'broken')), ['kill fast-1']);
  world.finish('stop fast-1');
  assert.deepEqual(
    [...world.state.experts.values()].map((entry) => entry.crashesMs.length),
    [0, 0],
  );
  assert.deepEqual(said(world.ask('r1', { model: 'b' })), ['load b in the new fast-2']);
});

test('the embedder comes back by itself, but not at once when its idle cell was killed', () => {
  const embedder = expert('embedder', { task: 'feature-extraction' });
  const world = worldOf({ experts: [embedder], settings: { embedder: 'embedder' } });
  world.finish('load embedder');
  world.kill(0);
  assert.deepEqual(said(world.last), []);
  world.pass(9_999);
  assert.deepEqual(said(world.last), []);
  world.pass(1);
  assert.deepEqual(said(world.last), ['load embedder in the new fast-2']);
});

test('what was unloaded by hand stays away until a request or a hand brings it back, pinned or not', () => {
  const embedder = expert('embedder', { task: 'feature-extraction' });
  const pinned = expert('a', { pinned: true });
  const world = worldOf({ experts: [embedder, pinned], settings: { embedder: 'embedder' } });
  world.finish('load embedder');
  world.finish('load a');
  for (const id of ['embedder', 'a']) {
    world.happen({ type: 'command', command: 'unload', expert: id });
    assert.deepEqual(said(world.finish(`unload ${id}`)), []);
  }
  world.pass(20_000);
  assert.deepEqual(said(world.last), []);
  assert.deepEqual(said(world.happen({ type: 'command', command: 'load', expert: 'embedder' })), [
    'load embedder in fast-1',
  ]);
  world.finish('load embedder');
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['load a in fast-1']);
});

test('a load that seems to take nothing takes its weights: what was measured was the world around it', () => {
  const world = worldOf({ experts: [unknown('a', 40, 8)], trueMb: { a: 0 } });
  use(world, 'a');
  const { memory } = world.state.experts.get('a')?.expert ?? assert.fail();
  assert.deepEqual([memory.residentBytes, memory.measured], [8 * MB, true]);
});
