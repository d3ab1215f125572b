/** How long an expert stays, what it keeps for later requests, and requests that only want it in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextDueMs } from '../../agent/upkeep.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

function one(): World {
  return worldOf({ experts: [expert('a'), expert('b')], settings: { idleMs: 60_000 } });
}

function answered(world: World, keepAliveMs: number | null): void {
  const request = `r${world.log.length}`;
  world.ask(request, { model: 'a', keepAliveMs });
  if (world.underWay.includes('load a')) world.finish('load a');
  world.finish(`grant ${request}`);
}

test('0 unloads an expert as soon as it is idle', () => {
  const world = one();
  answered(world, 0);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
});

test('0 waits for those who still wait, and for those who run', () => {
  const world = one();
  use(world, 'a');
  world.ask('r1', { model: 'a', keepAliveMs: 0 });
  world.ask('r2', { model: 'a', keepAliveMs: 0 });
  assert.deepEqual(said(world.finish('grant r1')), []);
  assert.deepEqual(said(world.finish('grant r2')), ['unload a from fast-1']);
});

test('a time counts from the end of the answer, in place of the setting', () => {
  const world = one();
  world.ask('r1', { model: 'a', keepAliveMs: 5_000 });
  world.finish('load a');
  world.pass(4_000);
  world.finish('grant r1');
  world.pass(4_999);
  assert.deepEqual(world.underWay, []);
  world.pass(1);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
});

test('-1 is for ever, and the next client who says nothing takes the setting again', () => {
  const world = one();
  answered(world, -1);
  assert.equal(nextDueMs(world.state), Number.POSITIVE_INFINITY);
  answered(world, null);
  world.pass(60_000);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
});

test('idleness never unloads where the setting says so, unless a client does', () => {
  const world = worldOf({ experts: [expert('a')], settings: { idleMs: 0 } });
  answered(world, null);
  assert.equal(nextDueMs(world.state), Number.POSITIVE_INFINITY);
  answered(world, 10);
  world.pass(10);
  assert.deepEqual(said(world.last), ['unload a from fast-1']);
});

test('the word of the last client ends with what he had loaded: a load by hand stays', () => {
  const world = one();
  answered(world, 0);
  world.finish('unload a');
  world.happen({ type: 'command', command: 'load', expert: 'a' });
  world.finish('load a');
  assert.deepEqual(world.underWay, []);
  assert.equal(world.state.experts.get('a')?.residency.state, 'resident');
  answered(world, 5_000);
  world.happen({ type: 'command', command: 'load', expert: 'a' });
  world.pass(5_000);
  assert.deepEqual(world.underWay, [], 'nor does one that was in memory go');
});

test('a request for a load is answered when the expert is in memory, and holds no lease', () => {
  const world = one();
  assert.deepEqual(said(world.ask('r1', { want: 'load', model: 'a' })), ['load a in the new fast-1']);
  world.ask('r2', { want: 'load', model: 'a', keepAliveMs: 7 });
  assert.deepEqual(said(world.finish('load a')), ['ready r1: a', 'ready r2: a']);
  assert.equal(world.state.leases.size, 0);
  assert.equal(world.state.experts.get('a')?.keepAliveMs, 7);
  assert.deepEqual(said(world.ask('r3', { want: 'load', model: 'a' })), ['ready r3: a']);
});

test('a request for a load must name an expert, of whatever task', () => {
  const world = worldOf({ experts: [expert('e', { task: 'tensor' })] });
  assert.deepEqual(said(world.ask('r1', { want: 'load' })), ['refuse r1: wrong_task']);
  assert.deepEqual(said(world.ask('r2', { want: 'load', model: 'x' })), ['refuse r2: model_not_found']);
  assert.deepEqual(said(world.ask('r3', { want: 'load', model: 'e' })), ['load e in the new fast-1']);
  world.pass(30_000);
  assert.deepEqual(said(world.last), ['refuse r3: loading']);
});

test('what experts keep goes before any of them does, once a look shows that memory is short', () => {
  const world = one();
  world.keptBytes = 20 * MB;
  use(world, 'a');
  world.keptBytes = 0;
  use(world, 'b');
  assert.deepEqual(said(world.sample(45 * MB, null)), ['trim a in fast-1'], 'it is enough for a start');
  assert.deepEqual(said(world.finish('trim a')), []);
  assert.deepEqual(said(world.sample(45 * MB, null)), ['unload a from fast-1'], 'nothing is kept any more');
});

test('a request that fails says nothing of what is kept', () => {
  const world = one();
  world.keptBytes = 20 * MB;
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.finish('grant r1', 'fail');
  assert.deepEqual(said(world.sample(45 * MB, null)), ['trim a in fast-1']);
});

test('what a leased expert keeps is left alone', () => {
  const world = one();
  world.keptBytes = 20 * MB;
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.sample(40 * MB, null)), []);
});

test('an expert that is loaded anew keeps nothing', () => {
  const world = one();
  world.keptBytes = 20 * MB;
  use(world, 'a');
  world.crash('fast-1');
  world.keptBytes = 0;
  world.pass(10_000);
  world.ask('r1', { model: 'a' });
  world.finish('load a');
  assert.equal(world.state.experts.get('a')?.keptBytes, 0);
});
