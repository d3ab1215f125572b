/** Nobody waits for ever: neither behind a large load, nor for memory that a busy expert never lets go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

test('a load that waits for a place in one lane does not hold back loads of the other', () => {
  const world = worldOf({
    experts: [
      expert('running', { lane: 'heavy', residentMb: 60 }),
      expert('next', { lane: 'heavy', residentMb: 80 }),
      expert('quick', { residentMb: 10 }),
    ],
    settings: { budgetBytes: 250 * MB },
  });
  use(world, 'running');
  world.ask('r1', { model: 'running' });
  world.ask('r2', { model: 'next' });
  assert.deepEqual(said(world.ask('r3', { model: 'quick' })), ['load quick in the new fast-2']);
});

test('a busy expert whose bytes an older request waits for takes no new work, in whatever cell it is', () => {
  const world = worldOf({
    experts: [expert('busy', { residentMb: 60 }), expert('heavy', { lane: 'heavy', residentMb: 60 })],
    settings: { budgetBytes: 230 * MB },
  });
  use(world, 'busy');
  world.ask('r1', { model: 'busy' });
  world.ask('r2', { model: 'heavy' });
  world.pass(1);
  assert.deepEqual(said(world.ask('r3', { model: 'busy' })), [], 'r3 came after r2');
  assert.deepEqual(said(world.finish('grant r1')), ['unload busy from fast-1']);
  assert.deepEqual(said(world.finish('unload busy')), ['load heavy in the new heavy-2']);
});

test('under overlapping requests for two experts of which one fits, everybody is answered', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 60 }), expert('b', { residentMb: 60, lane: 'heavy' })],
    settings: { budgetBytes: 220 * MB },
  });
  const granted = new Set<string>();
  for (let round = 0; round < 60; round++) {
    world.ask(`a${round}`, { model: 'a' });
    if (round % 10 === 5) world.ask(`b${round}`, { model: 'b' });
    const [first] = world.underWay;
    if (first !== undefined) {
      world.finish(first);
      if (first.startsWith('grant')) granted.add(first.slice('grant '.length));
    }
    world.pass(100);
  }
  assert.ok(granted.has('b5'), [...granted].join(' '));
  world.drain();
  const refused = world.log
    .flatMap(({ decision }) => decision.steps)
    .filter((step) => step.type === 'reject');
  assert.deepEqual(refused, []);
});

test('an older request for a resident expert is served before its expert goes', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 60 }), expert('b', { residentMb: 60 })],
    settings: { budgetBytes: 170 * MB, cellConcurrency: { fast: 1, heavy: 1 } },
  });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'a' });
  world.pass(1);
  world.ask('r3', { model: 'b' });
  assert.deepEqual(said(world.finish('grant r1')), ['grant r2: a in fast-1']);
  assert.deepEqual(said(world.finish('grant r2')), ['unload a from fast-1']);
});

test('a load starts only after an unload in the same cell was seen to end, so that each is measured alone', () => {
  const world = worldOf({ experts: [expert('a'), expert('b')] });
  use(world, 'a');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  assert.deepEqual(said(world.ask('r1', { model: 'b' })), []);
  assert.deepEqual(said(world.finish('unload a')), ['load b in fast-1']);
});

test('an older load that waits for bytes holds back younger ones, or they would take them', () => {
  const world = worldOf({
    experts: [
      expert('busy', { residentMb: 60 }),
      expert('large', { lane: 'heavy', residentMb: 60 }),
      expert('small'),
    ],
    settings: { budgetBytes: 230 * MB },
  });
  use(world, 'busy');
  world.ask('r1', { model: 'busy' });
  world.ask('r2', { model: 'large' });
  assert.deepEqual(said(world.ask('r3', { model: 'small' })), [], '72 MB are free');
});

test('while a load waits for a cell, the bytes that it will need are freed of work too', () => {
  const world = worldOf({
    experts: [
      expert('long', { lane: 'heavy', residentMb: 60 }),
      expert('quick', { residentMb: 10 }),
      expert('large', { residentMb: 70 }),
    ],
    settings: { budgetBytes: 220 * MB },
  });
  use(world, 'long');
  use(world, 'quick');
  world.ask('r1', { model: 'long' });
  world.ask('r2', { model: 'quick' });
  world.pass(1);
  world.ask('r3', { model: 'large' });
  world.pass(1);
  assert.deepEqual(said(world.ask('r4', { model: 'long' })), []);
  assert.deepEqual(said(world.ask('r5', { model: 'quick' })), []);
  assert.deepEqual(said(world.finish('grant r1')), [], 'the other cell still works');
  assert.deepEqual(said(world.finish('grant r2')), ['unload long from heavy-1', 'grant r5: quick in fast-2']);
  assert.deepEqual(said(world.finish('unload long')), [], 'r4 is younger, and must not take them back');
  world.hangUp('r4');
  assert.deepEqual(said(world.finish('grant r5')), ['load large in fast-2']);
});

test('no busy expert is kept from work for bytes that an idle one can give', () => {
  const world = worldOf({
    experts: [
      expert('busy', { lane: 'heavy', residentMb: 60 }),
      expert('idle', { isolation: 'own', residentMb: 60 }),
      expert('quick', { residentMb: 10 }),
      expert('large', { residentMb: 70 }),
    ],
    settings: { budgetBytes: 310 * MB },
  });
  for (const id of ['busy', 'quick', 'idle', 'idle']) use(world, id);
  world.ask('r1', { model: 'busy' });
  world.ask('r2', { model: 'quick' });
  world.pass(1);
  assert.deepEqual(said(world.ask('r3', { model: 'large' })), []);
  world.pass(1);
  assert.deepEqual(said(world.ask('r4', { model: 'busy' })), ['grant r4: busy in heavy-1']);
  assert.deepEqual(said(world.finish('grant r2')), ['stop fast-3']);
});
