/** Parked experts: weights leave memory before experts do, and come back before they are loaded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedBytes } from '../../agent/residency.ts';
import type { Expert } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { type Setting, said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

const model = (id: string, change: Partial<Expert> & { residentMb?: number } = {}): Expert =>
  expert(id, { task: 'text-generation', lane: 'heavy', parkable: true, residentMb: 100, ...change });

/** Two models of 100 MB, of which 20 stay, in a budget that holds one whole and one parked beside agent and cell. */
function two(change: Partial<Setting> = {}): World {
  const world = worldOf({
    experts: [model('a'), model('b')],
    settings: { budgetBytes: 230 * MB },
    ...change,
  });
  use(world, 'a');
  return world;
}

/** Both were in memory; `b` is, and `a` is parked. */
function swapped(): World {
  const world = two();
  world.ask('r1', { model: 'b' });
  world.finish('park a');
  world.finish('load b');
  world.finish('grant r1');
  return world;
}

test('room is made by parking, and the load starts when the bytes were seen to leave', () => {
  const world = two();
  const asked = world.ask('r1', { model: 'b' });
  assert.deepEqual(said(asked), ['park a in heavy-1']);
  assert.match(asked.reasons.join('; '), /park a in heavy-1 \(75\.0 MB leave memory\): gdsf value/);
  const parked = world.finish('park a');
  assert.deepEqual(said(parked), ['load b in heavy-1']);
  assert.equal(world.state.experts.get('a')?.parkedBytes, 20 * MB);
  assert.ok(committedBytes(parked.state) <= 230 * MB);
});

test('a parked expert comes back without a load, and somebody else is parked for it', () => {
  const world = swapped();
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), ['park b in heavy-1']);
  world.pass(5);
  const back = world.finish('park b');
  assert.deepEqual(said(back), ['grant r2: a in heavy-1']);
  assert.match(back.reasons.join('; '), /resume a in heavy-1: needs 80\.0 MB/);
  const [grant] = back.steps;
  assert.ok(grant?.type === 'grant' && !grant.wasResident);
  assert.equal(world.log.filter(({ event }) => event.type === 'loaded').length, 2, 'each was loaded once');
});

test('where there is room, a parked expert answers at once', () => {
  const world = worldOf({ experts: [model('a')], settings: { budgetBytes: 400 * MB } });
  use(world, 'a');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  assert.equal(committedBytes(world.state), (60 + 38 + 20) * MB);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['grant r1: a in heavy-1']);
  assert.equal(committedBytes(world.state), (60 + 38 + 100) * MB);
});

test('a leased expert is parked when its last lease has ended, and not while it runs', () => {
  const world = two();
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b' });
  assert.deepEqual(world.underWay, ['grant r1']);
  assert.deepEqual(said(world.finish('grant r1')), ['park a in heavy-1']);
});

test('an expert that cannot be parked is unloaded instead, and is not asked again', () => {
  const world = two();
  world.ask('r1', { model: 'b' });
  const failed = world.finish('park a', 'broken');
  assert.deepEqual(said(failed), ['unload a from heavy-1']);
  assert.ok(failed.reasons.includes('a cannot be parked: broken file'), failed.reasons.join('; '));
  world.finish('unload a');
  world.finish('load b');
  world.finish('grant r1');
  world.ask('r2', { model: 'a' });
  world.finish('park b');
  world.finish('load a');
  world.finish('grant r2');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  assert.deepEqual(world.underWay, [], 'neither for room nor by hand');
  world.happen({ type: 'command', command: 'clear', expert: 'a' });
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  assert.deepEqual(world.underWay, ['park a'], 'until somebody clears it');
});

test('parking that leaves most of an expert in memory is of no use, and not done again', () => {
  const world = two();
  world.stays = 0.7;
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  assert.equal(world.state.experts.get('a')?.parkFailure?.code, 'not_parkable');
  assert.deepEqual(said(world.ask('r1', { model: 'b' })), ['unload a from heavy-1'], 'what is left goes');
});

test('what is not parkable, what is pinned, and a device that does not park, are as they were', () => {
  const plain = two({ experts: [model('a', { parkable: false }), model('b')] });
  assert.deepEqual(said(plain.ask('r1', { model: 'b' })), ['unload a from heavy-1']);
  const off = two({ settings: { budgetBytes: 230 * MB, parking: false } });
  assert.deepEqual(said(off.ask('r1', { model: 'b' })), ['unload a from heavy-1']);
  const pinned = two({ experts: [model('a', { pinned: true }), model('b')] });
  assert.deepEqual(said(pinned.ask('r1', { model: 'b' })), ['refuse r1: all_pinned']);
});

test('idleness parks first, and unloads what stays parked; 0 unloads at once', () => {
  const world = worldOf({ experts: [model('a')], settings: { idleMs: 10_000 } });
  use(world, 'a');
  world.pass(10_000);
  assert.deepEqual(said(world.last), ['park a in heavy-1']);
  world.finish('park a');
  world.pass(9_999);
  assert.deepEqual(world.underWay, []);
  world.pass(1);
  assert.deepEqual(said(world.last), ['unload a from heavy-1']);
  world.finish('unload a');
  world.ask('r1', { model: 'a', keepAliveMs: 0 });
  world.finish('load a');
  assert.deepEqual(said(world.finish('grant r1')), ['unload a from heavy-1']);
});

test('memory that the device lacks is taken from weights first, then from what is parked', () => {
  const world = worldOf({ experts: [model('a')], settings: { budgetBytes: 400 * MB } });
  use(world, 'a');
  assert.deepEqual(said(world.sample(40 * MB, null)), ['park a in heavy-1']);
  world.finish('park a');
  assert.deepEqual(said(world.sample(40 * MB, null)), ['unload a from heavy-1']);
});

test('a parked expert does not come back under pressure', () => {
  const world = worldOf({ experts: [model('a')], settings: { budgetBytes: 400 * MB } });
  use(world, 'a');
  world.happen({ type: 'command', command: 'park', expert: 'a' });
  world.finish('park a');
  world.sample(800 * MB, 30);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['refuse r1: pressure']);
});

test('a cell that dies takes what is parked in it, and a parking that does not end is ended', () => {
  const world = swapped();
  world.crash('heavy-1');
  assert.deepEqual(
    ['a', 'b'].map((id) => world.state.experts.get(id)?.residency.state),
    ['absent', 'absent'],
  );
  const stuck = two();
  stuck.ask('r1', { model: 'b', waitMs: 1_000_000 });
  stuck.pass(120_000);
  assert.deepEqual(said(stuck.last), ['kill heavy-1']);
});

test('by hand: load brings back, unload and removal end it, parked or not', () => {
  const world = swapped();
  world.happen({ type: 'command', command: 'load', expert: 'a' });
  assert.deepEqual(world.underWay, ['park b']);
  world.finish('park b');
  assert.equal(world.state.experts.get('a')?.residency.state, 'resident');
  world.happen({ type: 'command', command: 'unload', expert: 'b' });
  assert.deepEqual(world.underWay, ['unload b']);
  world.finish('unload b');
  world.happen({ type: 'removed', expert: 'a' });
  assert.deepEqual(world.underWay, ['unload a']);
});

test('an expert that says something else after it was parked is unloaded, whether the trial or a request found it', () => {
  const error = { code: 'weights_changed', message: 'not the same', hint: null, retryable: false };
  const trial = two();
  trial.ask('r1', { model: 'b' });
  const failed = trial.happen({ type: 'parkFailed', expert: 'a', cell: 'heavy-1', error });
  assert.deepEqual(said(failed), ['unload a from heavy-1']);

  const run = two();
  run.ask('r1', { model: 'a' });
  const outcome = { ok: false, error, stages: {}, keptBytes: null, sources: 0 };
  const [lease = 0] = run.state.leases.keys();
  assert.deepEqual(said(run.happen({ type: 'released', lease, outcome })), ['unload a from heavy-1']);
  assert.equal(run.state.experts.get('a')?.parkFailure?.code, 'weights_changed');
});
