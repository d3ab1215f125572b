/** Memory that the device lacks, and bytes over the budget: admission closes, experts go in steps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedBytes } from '../../agent/residency.ts';
import type { Decision } from '../../agent/types.ts';
import { expert, MB, settings } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

/** Three idle experts of 20 MB; the low watermark of the device is at 50 MB, left again at 62.5 MB. */
function idleThree(): World {
  const world = worldOf({ experts: [expert('a'), expert('b'), expert('c'), expert('d')] });
  for (const id of ['a', 'b', 'c']) {
    use(world, id);
    world.pass(1);
  }
  return world;
}

test('below the low watermark nothing is loaded, and waiters are told at once', () => {
  const world = idleThree();
  const { state } = world.sample(49 * MB, null);
  assert.equal(state.pressure.level, 'high');
  const refused = world.ask('r1', { model: 'd' });
  assert.deepEqual(said(refused), ['refuse r1: pressure']);
  const [step] = refused.steps;
  assert.ok(step?.type === 'reject' && step.failure.retryable && step.retryAfterMs === 5_000);
  assert.deepEqual(
    said(world.ask('r2', { model: 'b' })),
    ['grant r2: b in fast-1'],
    'residents still answer',
  );
});

test('pressure takes back what is missing, no more, and waits for the next look before it takes again', () => {
  const world = idleThree();
  assert.deepEqual(said(world.sample(30 * MB, null)), ['unload a from fast-1', 'unload b from fast-1']);
  assert.deepEqual(said(world.sample(30 * MB, null)), [], 'two are on their way');
  assert.deepEqual(said(world.finish('unload a')), []);
  assert.deepEqual(said(world.finish('unload b')), [], 'nobody looked since');
  assert.deepEqual(
    said(world.sample(61 * MB, null)),
    ['unload c from fast-1'],
    'still below the recovery mark',
  );
});

test('admission opens again only clearly above the watermark', () => {
  const world = idleThree();
  world.sample(49 * MB, null);
  assert.equal(world.sample(62 * MB, null).state.pressure.level, 'high');
  assert.equal(world.sample(63 * MB, null).state.pressure.level, 'ok');
  assert.equal(world.sample(51 * MB, null).state.pressure.level, 'ok', 'and closes only below the watermark');
});

test('stall shares close admission too, with hysteresis, and without data they have no say', () => {
  const world = idleThree();
  assert.equal(world.sample(800 * MB, 21).state.pressure.level, 'high');
  assert.deepEqual(said(world.ask('r1', { model: 'd' })), ['refuse r1: pressure']);
  assert.equal(world.sample(800 * MB, 11).state.pressure.level, 'high');
  assert.equal(world.sample(800 * MB, 10).state.pressure.level, 'ok');
  world.sample(800 * MB, 21);
  assert.equal(world.sample(null, null).state.pressure.level, 'ok');
});

test('a device in which all tasks stall for memory is under pressure at a lower share', () => {
  const world = idleThree();
  assert.equal(world.sample(800 * MB, 4, 4).state.pressure.level, 'ok');
  const { pressure } = world.sample(800 * MB, 6, 6).state;
  assert.deepEqual(pressure, { level: 'high', why: 'memory PSI full avg10 6 %, watermark 5 %' });
  assert.equal(world.sample(800 * MB, 3, 3).state.pressure.level, 'high');
  assert.equal(world.sample(800 * MB, 2, 2).state.pressure.level, 'ok');
});

test('leased and pinned experts stay under pressure, and the reasons say that nothing can be evicted', () => {
  const world = worldOf({ experts: [expert('kept', { pinned: true }), expert('busy')] });
  world.finish('load kept');
  world.ask('r1', { model: 'busy' });
  world.finish('load busy');
  const { steps, reasons } = world.sample(10 * MB, null);
  assert.deepEqual(steps, []);
  assert.ok(reasons.some((reason) => /nothing can be evicted/.test(reason)));
  assert.deepEqual(
    world.ask('r2', { model: 'busy' }).reasons.filter((reason) => /evicted/.test(reason)),
    [],
  );
});

test('a lower budget takes experts back until it is met', () => {
  const world = idleThree();
  const policies = world.policy.names;
  const lower = settings({ budgetBytes: 140 * MB, cellBaseBytes: 38 * MB });
  assert.deepEqual(said(world.happen({ type: 'configured', settings: lower, policies })), [
    'unload a from fast-1',
  ]);
});

test('growth of a cell beyond the budget is taken back, empty cells first', () => {
  const world = worldOf({
    experts: [expert('a'), expert('b', { lane: 'heavy' })],
    settings: { budgetBytes: 180 * MB },
  });
  use(world, 'a');
  use(world, 'b');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  world.finish('unload a');
  world.holdExtra('heavy-2', 40 * MB);
  assert.deepEqual(said(world.sample(800 * MB, null)), ['stop fast-1']);
});

test('an expert that somebody waits for is taken back last', () => {
  const world = worldOf({
    experts: [expert('needed'), expert('busy'), expert('idle')],
    settings: { cellConcurrency: { fast: 1, heavy: 1 }, budgetBytes: 160 * MB },
  });
  for (const id of ['needed', 'busy', 'idle']) use(world, id);
  use(world, 'idle');
  world.ask('r1', { model: 'busy' });
  world.ask('r2', { model: 'needed' });
  world.holdExtra('fast-1', 10 * MB);
  assert.deepEqual(said(world.sample(800 * MB, null)), ['unload idle from fast-1']);
  world.holdExtra('fast-1', 40 * MB);
  assert.deepEqual(said(world.sample(800 * MB, null)), ['unload needed from fast-1']);
});

test('the embedder comes back by itself only where the device has room for it above the watermark', () => {
  const world = worldOf({
    experts: [expert('embedder', { task: 'feature-extraction' })],
    settings: { embedder: 'embedder' },
  });
  world.finish('load embedder');
  assert.deepEqual(said(world.sample(49 * MB, null)), ['unload embedder from fast-1']);
  world.finish('unload embedder');
  assert.deepEqual(said(world.sample(69 * MB, null)), [], 'it would take the device below 62.5 MB again');
  assert.deepEqual(said(world.sample(90 * MB, null)), ['load embedder in fast-1']);
});

test('a sample during a load charges its bytes once, and does not hide what a bare cell costs', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 100 })],
    settings: { budgetBytes: 205 * MB, cellBaseBytes: 45 * MB },
  });
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(lookAt(world, 'fast-1', 130)), []);
  assert.equal(committedBytes(world.state), 205 * MB);
  assert.equal(world.finish('load a').state.cells.get('fast-1')?.baseBytes, 38 * MB);
});

test('what a load takes beyond its reservation is charged while it still loads', () => {
  const world = worldOf({ experts: [expert('a', { residentMb: 100 })] });
  world.ask('r1', { model: 'a' });
  lookAt(world, 'fast-1', 150);
  assert.equal(committedBytes(world.state), (60 + 150) * MB);
});

test('what a cell measures at an unload, while something loads in it, is not charged beside the reservation', () => {
  const world = worldOf({ experts: [expert('a'), expert('b', { residentMb: 60 })] });
  use(world, 'a');
  world.ask('r1', { model: 'b' });
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  const cellBytes = (38 + 50) * MB;
  world.happen({ type: 'unloaded', expert: 'a', cell: 'fast-1', cellBytes });
  assert.equal(
    committedBytes(world.state),
    (60 + 38 + 20 + 60) * MB,
    'the old measure holds until the load is done',
  );
});

test('the agent itself counts: what it grew by is taken back', () => {
  const world = idleThree();
  const nothing = {
    availableBytes: null,
    totalBytes: null,
    psiSomeAvg10: null,
    psiFullAvg10: null,
    device: null,
  };
  const sample = { ...nothing, agentBytes: 210 * MB, cellBytes: new Map(), cellFileBytes: new Map() };
  assert.deepEqual(said(world.happen({ type: 'sample', sample })), ['unload a from fast-1']);
});

/** A sample that saw so many MB in a cell. */
function lookAt(world: World, cell: string, mb: number): Decision {
  const nothing = {
    availableBytes: null,
    totalBytes: null,
    psiSomeAvg10: null,
    psiFullAvg10: null,
    device: null,
  };
  const sample = {
    ...nothing,
    agentBytes: 60 * MB,
    cellBytes: new Map([[cell, mb * MB]]),
    cellFileBytes: new Map(),
  };
  return world.happen({ type: 'sample', sample });
}
