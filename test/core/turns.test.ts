/** Who leaves for whom: batches instead of a change of places for each request, and nobody waits beyond his turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

/** `a` and `b` do not fit beside each other; a load takes 50 ms. */
function two(swapDelayMs = 2_000): World {
  const world = worldOf({
    experts: [expert('a', { residentMb: 60 }), expert('b', { residentMb: 60 })],
    settings: { budgetBytes: 170 * MB, swapDelayMs },
  });
  use(world, 'a');
  world.pass(1_000);
  return world;
}

test('an idle expert leaves at once for a request', () => {
  assert.deepEqual(said(two().ask('r1', { model: 'b' })), ['unload a from fast-1']);
});

test('a busy expert goes on taking requests until the one that waits has waited its part', () => {
  const world = two();
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), []);
  world.pass(1_000);
  assert.deepEqual(
    said(world.ask('r3', { model: 'a' })),
    ['grant r3: a in fast-1'],
    'r3 came later, and is answered',
  );
  world.finish('grant r1');
  world.pass(1_000);
  assert.deepEqual(said(world.ask('r4', { model: 'a' })), [], 'now it is the turn of r2');
  assert.deepEqual(said(world.finish('grant r3')), ['unload a from fast-1']);
  assert.deepEqual(said(world.finish('unload a')), ['load b in fast-1']);
});

test('a client that waits for less gets his turn sooner: half of his time is for the load', () => {
  const world = two();
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b', waitMs: 600 });
  world.pass(300);
  assert.deepEqual(said(world.ask('r3', { model: 'a' })), []);
});

test('an expert that just came stays as long as bringing it back would take', () => {
  const world = two();
  world.ask('r1', { model: 'b' });
  world.finish('unload a');
  world.finish('load b');
  world.finish('grant r1');
  assert.deepEqual(said(world.ask('r2', { model: 'a' })), [], 'b came just now');
  world.pass(49);
  assert.deepEqual(world.underWay, []);
  world.pass(1);
  assert.deepEqual(world.underWay, ['unload b'], 'and nobody had to ask again');
});

test('two busy experts that do not fit together change places in batches', () => {
  const loads = (swapDelayMs: number): number => {
    const world = two(swapDelayMs);
    for (let round = 0; round < 40; round++) {
      const begun = world.underWay;
      world.ask(`a${round}`, { model: 'a' });
      world.ask(`b${round}`, { model: 'b' });
      for (const name of begun) world.finish(name);
      world.pass(100);
    }
    world.drain();
    assert.ok(world.log.every(({ decision }) => decision.steps.every(({ type }) => type !== 'reject')));
    return world.log.filter(({ event }) => event.type === 'loaded').length;
  };
  const [one, batched] = [loads(0), loads(2_000)];
  assert.ok(batched * 3 <= one, `${batched} loads with batches, ${one} without`);
});

test('where a load takes longer than a turn, what came stays as long as bringing it back would take', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 60 }), expert('b', { residentMb: 60 })],
    settings: { budgetBytes: 170 * MB, swapDelayMs: 2_000, loadWaitMs: 60_000 },
  });
  const load = (id: string): void => {
    world.finish(`load ${id}`, 'none', {
      beforeBytes: 0,
      afterBytes: 60 * MB,
      peakBytes: 60 * MB,
      loadMs: 10_000,
    });
  };
  world.ask('first', { model: 'a' });
  load('a');
  world.finish('grant first');
  world.pass(20_000);
  world.ask('r1', { model: 'b' });
  world.finish('unload a');
  world.ask('r2', { model: 'a' });
  world.pass(10_000);
  load('b');
  assert.deepEqual(
    said(world.ask('r3', { model: 'b' })),
    ['grant r3: b in fast-1'],
    'r2 has waited five times its part, and b came just now',
  );
  world.finish('grant r1');
  world.pass(9_999);
  assert.deepEqual(said(world.ask('r4', { model: 'b' })), ['grant r4: b in fast-1']);
  world.pass(1);
  assert.deepEqual(said(world.ask('r5', { model: 'b' })), [], 'it has stayed');
  world.finish('grant r3');
  assert.deepEqual(said(world.finish('grant r4')), ['unload b from fast-1']);
});

test('an idle expert leaves for whoever has waited his part, and a busy one within half of what a client gives', () => {
  const world = worldOf({
    experts: [
      expert('a', { residentMb: 60 }),
      expert('b', {
        residentMb: 60,
        memory: { residentBytes: 60 * MB, loadBytes: 60 * MB, loadMs: 50_000, measured: true },
      }),
    ],
    settings: { budgetBytes: 170 * MB, swapDelayMs: 2_000, loadWaitMs: 60_000 },
  });
  world.ask('r1', { model: 'b' });
  world.finish('load b', 'none', { beforeBytes: 0, afterBytes: 60 * MB, peakBytes: 60 * MB, loadMs: 50_000 });
  world.finish('grant r1');
  world.ask('r2', { model: 'a', waitMs: 20_000 });
  world.ask('r3', { model: 'b' });
  world.pass(9_999);
  assert.deepEqual(said(world.ask('r4', { model: 'b' })), ['grant r4: b in fast-1']);
  world.pass(1);
  assert.deepEqual(said(world.ask('r5', { model: 'b' })), []);
  world.finish('grant r3');
  assert.deepEqual(said(world.finish('grant r4')), ['unload b from fast-1']);

  const idle = two();
  idle.ask('r1', { model: 'b' });
  idle.finish('unload a');
  idle.finish('load b', 'none', { beforeBytes: 0, afterBytes: 60 * MB, peakBytes: 60 * MB, loadMs: 50_000 });
  idle.finish('grant r1');
  idle.ask('r2', { model: 'a' });
  idle.pass(2_000);
  assert.deepEqual(idle.underWay, ['unload b']);
});

test('two busy experts whose loads take far longer than a turn answer everybody', () => {
  const memory = { residentBytes: 60 * MB, loadBytes: 60 * MB, loadMs: 10_000, measured: true };
  const world = worldOf({
    experts: [expert('a', { memory }), expert('b', { memory })],
    settings: { budgetBytes: 170 * MB, swapDelayMs: 2_000, loadWaitMs: 60_000 },
  });
  const report = { beforeBytes: 38 * MB, afterBytes: 98 * MB, peakBytes: 60 * MB, loadMs: 10_000 };
  const dueMs = new Map<string, number>();
  const work = (): void => {
    for (const name of world.underWay) {
      if (!dueMs.has(name)) dueMs.set(name, world.nowMs + (name.startsWith('load') ? 10_000 : 500));
    }
    for (const [name, atMs] of [...dueMs]) {
      if (atMs > world.nowMs) continue;
      dueMs.delete(name);
      if (world.underWay.includes(name)) world.finish(name, 'none', report);
    }
    world.pass(500);
  };
  for (let second = 0; second < 300; second++) {
    for (const model of ['a', 'b']) world.ask(`${model}${second}`, { model });
    work();
    work();
  }
  world.drain();
  assert.deepEqual(
    world.log.flatMap(({ decision }) => decision.steps).filter(({ type }) => type === 'reject'),
    [],
  );
});
