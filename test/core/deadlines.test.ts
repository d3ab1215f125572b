/** Runs that take too long, and clients that go away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

test('past its deadline a run is told to end and its client is told; after the grace its cell is killed', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.pass(10_000);
  assert.deepEqual(said(world.last), ['cancel lease 2 in fast-1', 'refuse r1: deadline']);
  world.pass(1_999);
  assert.equal(world.state.cells.get('fast-1')?.stopping, false);
  world.pass(1);
  assert.deepEqual(said(world.last), ['kill fast-1']);
  assert.equal(world.finish('stop fast-1').state.experts.get('a')?.crashesMs.length, 1);
  assert.equal(world.state.leases.size, 0);
});

test('a run that ends within the grace costs nothing', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.pass(10_000);
  const { state } = world.finish('grant r1', 'fail');
  assert.equal(state.leases.size, 0);
  world.pass(100_000);
  assert.equal(state.cells.get('fast-1')?.stopping, false);
  assert.equal(state.experts.get('a')?.crashesMs.length, 0);
});

test('a client that hangs up while it waits is forgotten, and the next one is served', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'a' });
  world.hangUp('r1');
  assert.deepEqual(said(world.finish('load a')), ['grant r2: a in fast-1']);
});

test('a load that nobody waits for any more finishes, and its expert is the first victim', () => {
  const world = worldOf({
    experts: [expert('used'), expert('orphan'), expert('new')],
    settings: { budgetBytes: 140 * MB },
  });
  use(world, 'used');
  world.ask('r1', { model: 'orphan' });
  world.hangUp('r1');
  assert.deepEqual(said(world.finish('load orphan')), []);
  assert.deepEqual(said(world.ask('r2', { model: 'new' })), ['unload orphan from fast-1']);
});

test('a client that hangs up while its request is embedded ends there', () => {
  const world = worldOf({
    experts: [expert('embedder', { task: 'feature-extraction' }), expert('a')],
    settings: { embedder: 'embedder' },
  });
  world.finish('load embedder');
  assert.deepEqual(said(world.ask('r1')), ['embed r1 with embedder in fast-1']);
  world.hangUp('r1');
  assert.deepEqual(said(world.last), ['cancel lease 1 in fast-1']);
  const { state, steps } = world.finish('embed r1');
  assert.deepEqual(steps, []);
  assert.deepEqual([state.leases.size, state.requests.size], [0, 0]);
});

test('a run whose client hung up is told to end, and has the rest of its time for it: slowness is no crash', () => {
  const world = worldOf({ experts: [expert('slow')] });
  use(world, 'slow');
  world.ask('r1', { model: 'slow' });
  world.pass(500);
  world.hangUp('r1');
  assert.deepEqual(said(world.last), ['cancel lease 2 in fast-1']);
  world.pass(5_000);
  assert.equal(world.state.cells.get('fast-1')?.stopping, false);
  assert.equal(world.finish('grant r1').state.leases.size, 0);
  assert.equal(world.state.experts.get('slow')?.crashesMs.length, 0);
});

test('a run whose client hung up and that never ends goes with its cell at its deadline', () => {
  const world = worldOf({ experts: [expert('stuck')] });
  use(world, 'stuck');
  world.ask('r1', { model: 'stuck' });
  world.hangUp('r1');
  world.pass(10_000);
  assert.deepEqual(said(world.last), ['kill fast-1']);
});

test('who queues behind a run that does not end is not blamed for it', () => {
  const world = worldOf({ experts: [expert('first'), expert('second')] });
  use(world, 'first');
  use(world, 'second');
  world.ask('r1', { model: 'first' });
  world.ask('r2', { model: 'second' });
  world.pass(10_000);
  world.pass(2_000);
  assert.deepEqual(said(world.last), ['kill fast-1']);
  const { state } = world.finish('stop fast-1');
  assert.equal(state.experts.get('first')?.crashesMs.length, 1);
  assert.equal(state.experts.get('second')?.crashesMs.length, 0);
});

test('an unused expert leaves after a while, and so does an empty cell', () => {
  const world = worldOf({
    experts: [expert('a'), expert('kept', { pinned: true })],
    settings: { budgetBytes: 400 * MB },
  });
  world.finish('load kept');
  world.ask('r1', { model: 'a' });
  world.finish('load a');
  world.finish('grant r1');
  world.pass(900_000);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
  world.finish('unload a');
  world.happen({ type: 'command', command: 'unpin', expert: 'kept' });
  assert.deepEqual(said(world.last), ['unload kept from fast-1'], 'it was pinned, not used');
  world.finish('unload kept');
  world.pass(30_000);
  assert.deepEqual(said(world.last), ['stop fast-1']);
});

test('a cell that is ending takes no load and no lease, and nothing in it is evicted', () => {
  const world = worldOf({ experts: [expert('stuck'), expert('a'), expert('b')] });
  use(world, 'stuck');
  use(world, 'a');
  world.ask('r1', { model: 'stuck' });
  world.pass(10_000);
  world.pass(2_000);
  assert.deepEqual(said(world.last), ['kill fast-1']);
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), [], 'a is in the cell that ends');
  assert.deepEqual(said(world.ask('r3', { model: 'b' })), ['load b in the new fast-2']);
  assert.deepEqual(said(world.sample(49 * MB, null)), [], 'its bytes are on their way already');
  world.sample(800 * MB, null);
  world.finish('load b');
  world.finish('grant r3');
  world.finish('stop fast-1');
  assert.deepEqual(said(world.last), ['load a in fast-2']);
});

test('a client that hung up behind a slow run costs nobody a cell', () => {
  const world = worldOf({ experts: [expert('slow'), expert('quick')] });
  use(world, 'slow');
  use(world, 'quick');
  world.ask('r1', { model: 'slow' });
  world.pass(500);
  world.ask('r2', { model: 'quick' });
  world.hangUp('r2');
  world.pass(9_500);
  assert.deepEqual(said(world.last), ['cancel lease 3 in fast-1', 'refuse r1: deadline']);
  world.pass(500);
  assert.deepEqual(said(world.last), [], 'r2 is past its deadline, but it never had its turn');
  world.pass(1_500);
  assert.deepEqual(said(world.last), ['kill fast-1']);
  const { experts } = world.finish('stop fast-1').state;
  assert.deepEqual([experts.get('slow')?.crashesMs.length, experts.get('quick')?.crashesMs.length], [1, 0]);
});

test('the embedder is never idle, and with an idle time of 0 nobody is', () => {
  const embedder = expert('embedder', { task: 'feature-extraction' });
  const world = worldOf({ experts: [embedder, expert('a')], settings: { embedder: 'embedder' } });
  world.finish('load embedder');
  use(world, 'a');
  world.pass(900_000);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
  const lasting = worldOf({ experts: [expert('a')], settings: { idleMs: 0 } });
  use(lasting, 'a');
  lasting.pass(10_000_000);
  assert.equal(lasting.state.experts.get('a')?.residency.state, 'resident');
});

test('an expert in a cell that is ending is no victim: its bytes are counted already', () => {
  const world = worldOf({
    experts: [
      expert('stuck'),
      expert('a'),
      expert('busy', { lane: 'heavy' }),
      expert('large', { isolation: 'own', residentMb: 180 }),
    ],
  });
  for (const id of ['stuck', 'a', 'busy']) use(world, id);
  world.ask('r1', { model: 'busy' });
  world.ask('r2', { model: 'stuck' });
  world.pass(10_000);
  world.pass(2_000);
  assert.deepEqual(said(world.ask('r3', { model: 'large' })), []);
  assert.deepEqual(said(world.finish('stop fast-1')), []);
  assert.deepEqual(said(world.finish('grant r1')), ['unload busy from heavy-2']);
});

test('a cell that was told to stop takes no load: there will be another', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  world.finish('unload a');
  world.pass(30_000);
  assert.deepEqual(world.underWay, ['stop fast-1']);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['load a in the new fast-2']);
});
