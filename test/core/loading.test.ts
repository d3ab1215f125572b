/** How experts come into memory: one sentence a test, every event by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedBytes } from '../../agent/residency.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

test('a request for a resident expert is granted at once, and says that it was resident', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  world.pass(1);
  const { steps } = world.ask('r1', { model: 'a' });
  assert.deepEqual(steps, [
    {
      type: 'grant',
      request: 'r1',
      lease: 2,
      expert: 'a',
      cell: 'fast-1',
      wasResident: true,
      purpose: 'answer',
      assistant: null,
      degraded: null,
      revocable: false,
    },
  ]);
});

test('one load of an absent expert serves all its waiters, in the order in which they came', () => {
  const world = worldOf({ experts: [expert('a')] });
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['load a in the new fast-1']);
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), []);
  world.pass(40);
  const loaded = world.finish('load a');
  assert.deepEqual(said(loaded), ['grant r1: a in fast-1', 'grant r2: a in fast-1']);
  assert.ok(loaded.steps.every((step) => step.type === 'grant' && !step.wasResident));
});

test('the expert of lowest value is evicted, and the load starts only after its bytes were seen to return', () => {
  const world = worldOf({
    experts: [
      expert('often', { residentMb: 40 }),
      expert('rare', { residentMb: 40 }),
      expert('new', { residentMb: 60 }),
    ],
    settings: { budgetBytes: 200 * MB },
  });
  use(world, 'often');
  use(world, 'often');
  use(world, 'rare');
  assert.deepEqual(said(world.ask('r1', { model: 'new' })), ['unload rare from fast-1']);
  assert.deepEqual(said(world.ask('r2', { model: 'new' })), [], 'enough is on its way');
  assert.deepEqual(said(world.finish('unload rare')), ['load new in fast-1']);
});

test('a victim that a larger one made needless stays', () => {
  const world = worldOf({
    experts: [
      expert('small', { residentMb: 10 }),
      expert('large', { residentMb: 80 }),
      expert('new', { residentMb: 70 }),
    ],
    settings: { budgetBytes: 200 * MB },
    policies: { router: ['rules'], residency: 'lru', combiner: 'best' },
  });
  use(world, 'small');
  world.pass(10);
  use(world, 'large');
  assert.deepEqual(said(world.ask('r1', { model: 'new' })), ['unload large from fast-1']);
});

test('bytes that an unload does not give back stay charged: the next victim goes, and at last the empty cell', () => {
  const world = worldOf({
    experts: [
      expert('a', { residentMb: 40 }),
      expert('b', { residentMb: 40 }),
      expert('c', { residentMb: 40 }),
    ],
    settings: { budgetBytes: 180 * MB },
  });
  use(world, 'a');
  use(world, 'b');
  assert.deepEqual(said(world.ask('r1', { model: 'c' })), ['unload a from fast-1']);
  assert.deepEqual(said(world.finish('unload a', 'fail')), ['unload b from fast-1']);
  assert.equal(committedBytes(world.state), (60 + 38 + 40 + 40) * MB);
  assert.deepEqual(said(world.finish('unload b', 'fail')), ['stop fast-1']);
  assert.deepEqual(said(world.finish('stop fast-1')), ['load c in the new fast-2']);
  assert.deepEqual(said(world.finish('load c')), ['grant r1: c in fast-2']);
});

test('a load gets a new cell while the others work, if there is room for one', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')] });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), ['load b in the new fast-2']);
});

test('without room for a new cell the busy one takes no new work until the load is done', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')], settings: { budgetBytes: 150 * MB } });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  const waiting = world.ask('r2', { model: 'b' });
  assert.deepEqual(said(waiting), []);
  assert.ok(waiting.reasons.includes('fast-1 takes no new work until a load is done'));
  assert.deepEqual(said(world.ask('r3', { model: 'a' })), [], 'r3 came later than the load');
  assert.deepEqual(said(world.finish('grant r1')), ['load b in fast-1']);
  assert.deepEqual(said(world.finish('load b')), ['grant r2: b in fast-1', 'grant r3: a in fast-1']);
});

test('a cell drains only while a load wants it', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')], settings: { budgetBytes: 150 * MB } });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b' });
  world.ask('r3', { model: 'a' });
  world.hangUp('r2');
  assert.deepEqual(said(world.last), ['grant r3: a in fast-1']);
});

test('at the limit of cells a load waits for a busy one even if a new one would fit', () => {
  const world = worldOf({
    experts: [expert('a'), expert('b')],
    settings: { maxCells: { fast: 1, heavy: 1 } },
  });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), []);
});

test('an expert that wants a cell of its own gets one, and its cell ends with it', () => {
  const world = worldOf({ experts: [expert('shared'), expert('own', { isolation: 'own' })] });
  use(world, 'shared');
  assert.deepEqual(said(world.ask('r1', { model: 'own' })), ['load own in the new fast-2']);
  world.finish('load own');
  world.finish('grant r1');
  assert.deepEqual(said(world.happen({ type: 'command', command: 'unload', expert: 'own' })), [
    'stop fast-2',
  ]);
  assert.equal(world.finish('stop fast-2').state.experts.get('own')?.residency.state, 'absent');
});

test('no other expert is loaded into a cell of its own', () => {
  const world = worldOf({ experts: [expert('own', { isolation: 'own' }), expert('shared')] });
  use(world, 'own');
  assert.deepEqual(said(world.ask('r1', { model: 'shared' })), ['load shared in the new fast-2']);
});

test('evicting an expert with a cell of its own counts the cell: nobody else has to go', () => {
  const world = worldOf({
    experts: [
      expert('own', { residentMb: 20, isolation: 'own' }),
      expert('a', { residentMb: 20 }),
      expert('new', { residentMb: 40 }),
    ],
    settings: { budgetBytes: 190 * MB },
  });
  use(world, 'own');
  use(world, 'a');
  assert.deepEqual(said(world.ask('r1', { model: 'new' })), ['stop fast-1']);
});

test('the first load of an unmeasured expert corrects the ledger, and others go if that went over the budget', () => {
  const claimed = expert('new', { residentMb: 30 });
  const world = worldOf({
    experts: [
      expert('old', { residentMb: 40 }),
      { ...claimed, memory: { ...claimed.memory, measured: false } },
    ],
    settings: { budgetBytes: 180 * MB },
    trueMb: { new: 60 },
  });
  use(world, 'old');
  assert.deepEqual(said(world.ask('r1', { model: 'new' })), ['load new in fast-1']);
  const { steps, state } = world.finish('load new');
  assert.deepEqual(state.experts.get('new')?.expert.memory, {
    residentBytes: 60 * MB,
    loadBytes: 60 * MB,
    loadMs: 50,
    measured: true,
  });
  assert.deepEqual(
    steps.map((step) => step.type),
    ['unload', 'grant'],
  );
  assert.equal(state.experts.get('old')?.residency.state, 'unloading', 'not the one that somebody waits for');
});

test('what a load measured inside bytes that an earlier unload left behind is no smaller profile', () => {
  const world = worldOf({ experts: [expert('a', { residentMb: 40 }), expert('b', { residentMb: 40 })] });
  use(world, 'a');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  world.finish('unload a', 'fail');
  world.ask('r1', { model: 'b' });
  const { state } = world.finish('load b');
  assert.equal(world.cellBytes('fast-1'), (38 + 40) * MB, 'it added nothing');
  assert.equal(state.experts.get('b')?.expert.memory.residentBytes, 40 * MB);
  assert.equal(state.cells.get('fast-1')?.baseBytes, 38 * MB, 'nor is what was left the base of a bare cell');
});

test('two loads at once are in two cells, and where there is one cell the second waits', () => {
  const experts = [expert('a'), expert('b')];
  const two = worldOf({ experts });
  two.ask('r1', { model: 'a' });
  assert.deepEqual(said(two.ask('r2', { model: 'b' })), ['load b in the new fast-2']);
  const one = worldOf({ experts, settings: { maxCells: { fast: 1, heavy: 1 } } });
  one.ask('r1', { model: 'a' });
  assert.deepEqual(said(one.ask('r2', { model: 'b' })), []);
  one.finish('load a');
  assert.deepEqual(said(one.finish('grant r1')), ['load b in fast-1']);
});

test('without data of the cells, bytes stay charged until their unload was reported', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 60 }), expert('b', { residentMb: 60, lane: 'heavy' })],
    settings: { budgetBytes: 220 * MB },
  });
  world.ask('r1', { model: 'a' });
  const report = { beforeBytes: null, afterBytes: null, peakBytes: null, loadMs: 50 };
  world.finish('load a', 'none', report);
  world.finish('grant r1');
  assert.equal(world.state.cells.get('fast-1')?.measuredBytes, 0);
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), ['unload a from fast-1']);
  assert.deepEqual(said(world.happen({ type: 'tick' })), []);
  assert.deepEqual(said(world.finish('unload a')), ['load b in the new heavy-2']);
});

test('an eviction raises the age from which later uses count, so that old favourites go in the end', () => {
  const world = worldOf({
    experts: ['a', 'b', 'c'].map((id) => expert(id, { residentMb: 40 })),
    settings: { budgetBytes: 180 * MB },
  });
  use(world, 'a');
  use(world, 'a');
  use(world, 'b');
  world.ask('r1', { model: 'c' });
  assert.equal(world.state.evictionAge, 50 / 40, 'the value of b: one use of 50 ms for 40 MB');
  world.finish('unload b');
  world.finish('load c');
  assert.equal(world.state.experts.get('c')?.ageAtUse, 50 / 40);
});
