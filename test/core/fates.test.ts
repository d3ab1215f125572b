/** Experts that are replaced, removed, or moved by hand, while others use them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expert } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

function second(id: string): Expert {
  return expert(id, { version: '2.0.0', digest: `second-${id}` });
}

test('a new version waits for the leases of the old one, and new requests wait for the new one', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.happen({ type: 'installed', expert: second('a') })), []);
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), [], 'or a busy expert would never be replaced');
  assert.deepEqual(said(world.finish('grant r1')), ['unload a from fast-1']);
  assert.deepEqual(said(world.finish('unload a')), ['load a in fast-1']);
  assert.deepEqual(said(world.finish('load a')), ['grant r2: a in fast-1']);
  assert.equal(world.state.experts.get('a')?.expert.version, '2.0.0');
});

test('a removed expert takes no new request, ends after its leases, and those who wait are told', () => {
  const world = worldOf({ experts: [expert('a')], settings: { cellConcurrency: { fast: 1, heavy: 1 } } });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'a' });
  assert.deepEqual(said(world.happen({ type: 'removed', expert: 'a' })), ['refuse r2: model_not_found']);
  assert.deepEqual(said(world.ask('r3', { model: 'a' })), ['refuse r3: model_not_found']);
  assert.deepEqual(said(world.finish('grant r1')), ['unload a from fast-1']);
  assert.equal(world.finish('unload a').state.experts.size, 0);
});

test('an expert that is removed and comes again unchanged stays where it is', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.happen({ type: 'removed', expert: 'a' });
  world.happen({ type: 'installed', expert: expert('a') });
  assert.deepEqual(said(world.finish('grant r1')), []);
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), ['grant r2: a in fast-1']);
});

test('unload by hand waits for leases', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.happen({ type: 'command', command: 'unload', expert: 'a' })), []);
  assert.deepEqual(said(world.finish('grant r1')), ['unload a from fast-1']);
});

test('load by hand takes back an unload, but neither a removal nor a new version', () => {
  const world = worldOf({ experts: [expert('a'), expert('b'), expert('c')] });
  for (const id of ['a', 'b', 'c']) use(world, id);
  for (const id of ['a', 'b', 'c']) world.ask(`r-${id}`, { model: id });
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  world.happen({ type: 'removed', expert: 'b' });
  world.happen({ type: 'installed', expert: second('c') });
  for (const id of ['a', 'b', 'c']) world.happen({ type: 'command', command: 'load', expert: id });
  assert.deepEqual(said(world.finish('grant r-a')), []);
  assert.deepEqual(said(world.finish('grant r-b')), ['unload b from fast-1']);
  assert.deepEqual(said(world.finish('grant r-c')), ['unload c from fast-1']);
});

test('load by hand may evict, and what was loaded so needs no waiter', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')], settings: { budgetBytes: 130 * MB } });
  use(world, 'a');
  assert.deepEqual(said(world.happen({ type: 'command', command: 'load', expert: 'b' })), [
    'unload a from fast-1',
  ]);
  assert.deepEqual(said(world.finish('unload a')), ['load b in fast-1']);
  assert.deepEqual(said(world.finish('load b')), []);
});

test('a pinned expert is loaded without being asked, beside another pinned one only if both fit', () => {
  const world = worldOf({
    experts: [expert('a', { pinned: true, residentMb: 100 }), expert('b', { pinned: true, residentMb: 120 })],
  });
  assert.deepEqual(world.underWay, ['load a']);
  assert.deepEqual(said(world.finish('load a')), []);
});
