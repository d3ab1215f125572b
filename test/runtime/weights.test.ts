/** When weights may leave: proved first, once; a disk that is full is asked again, all else is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { findWeights, Weights } from '../../agent/runtime/weights.ts';
import { ToldMemory } from './told-memory.ts';

function made() {
  const memory = new ToldMemory();
  let adopted = false;
  const recite = async (which: 0 | 1) => {
    adopted ||= memory.told.includes('adopt');
    return Float32Array.of(which, adopted ? memory.says : 1);
  };
  return { memory, weights: new Weights(memory, recite, '/nowhere') };
}

const code = (error: unknown) => (error instanceof AgentError ? error.code : String(error));

test('the first time it is copied and tried, from then on it only leaves', async () => {
  const { memory, weights } = made();
  await weights.park();
  assert.deepEqual(memory.told.slice(0, 2), ['copy', 'adopt']);
  assert.ok(memory.isParked);
  await weights.park();
  await weights.use(async () => {});
  const before = memory.told.length;
  await weights.park();
  assert.deepEqual(memory.told.slice(before), ['park']);
});

test('several runs at once bring it back once', async () => {
  const { memory, weights } = made();
  await weights.park();
  const before = memory.told.length;
  await Promise.all([1, 2, 3].map(() => weights.use(async () => assert.ok(!memory.isParked))));
  assert.deepEqual(memory.told.slice(before), ['resume']);
});

test('parked, it is chilled and warmed; otherwise it is refused', async () => {
  const { memory, weights } = made();
  const refuses = async () => {
    assert.throws(() => weights.chill(), { code: 'not_parked' });
    assert.equal(await weights.warm(() => false).catch(code), 'not_parked');
    assert.equal(weights.residency(), null);
  };
  await refuses();
  await weights.park();
  weights.chill();
  assert.deepEqual(weights.residency(), { bytes: 100, coldBytes: 100 });
  await weights.warm(() => false);
  assert.deepEqual(weights.residency(), { bytes: 100, coldBytes: 0 });
  assert.ok(weights.isParked && memory.isParked);
  await weights.use(async () => {});
  await refuses();
});

test('who needs it while it is being read waits for that, and is told for how long', async () => {
  const { memory, weights } = made();
  await weights.park();
  const read = Promise.withResolvers<void>();
  memory.reading = read.promise;
  const warming = weights.warm(() => false);
  const waits: number[] = [];
  const run = weights.use(
    async () => memory.told.push('run'),
    (ms) => waits.push(ms),
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(memory.told.at(-1), 'warm');
  read.resolve();
  await Promise.all([warming, run]);
  assert.deepEqual(memory.told.slice(-3), ['warm', 'resume', 'run']);
  await weights.use(
    async () => {},
    (ms) => waits.push(ms),
  );
  assert.equal(waits.length, 1);
  assert.ok((waits[0] ?? -1) >= 0);
});

test('a reading that failed is no reason not to resume', async () => {
  const { memory, weights } = made();
  await weights.park();
  const read = Promise.withResolvers<void>();
  memory.reading = read.promise;
  const warming = weights.warm(() => false).then(() => 'warmed', String);
  const run = weights.use(async () => 'said');
  read.reject(new Error('the card is loose'));
  assert.match(await warming, /the card is loose/);
  assert.equal(await run, 'said');
});

test('what says something else is never trusted again, and not tried again', async () => {
  const { memory, weights } = made();
  memory.says = 2;
  const first = await weights.park().catch(code);
  const told = memory.told.length;
  assert.equal(first, 'weights_changed');
  assert.equal(await weights.park().catch(code), first);
  assert.equal(memory.told.length, told);
});

test('a disk that was full may have room the next time', async () => {
  const { memory, weights } = made();
  memory.full = true;
  assert.equal(await weights.park().catch(code), 'not_parkable');
  memory.full = false;
  await weights.park();
  assert.ok(memory.isParked);
});

test('without a way to park, and without words to recite, an expert is loaded all the same', async () => {
  const task: Task = { run: async () => assert.fail('nobody asks'), release: async () => {} };
  const plain = await findWeights(null, [], async () => task);
  assert.equal(plain.task, task);
  assert.equal(code(plain.weights), 'not_parkable');
  let ended = 0;
  const watch = { end: () => ended++, claim: () => assert.fail('there is nothing to claim') } as never;
  const parker = { folder: '/nowhere', watch: () => watch };
  assert.equal(code((await findWeights(parker, [], async () => task)).weights), 'not_parkable');
  const broken = findWeights(parker, [], () => Promise.reject(new Error('no such file')));
  await assert.rejects(broken, /no such file/);
  assert.equal(ended, 2, 'what watched was ended each time');
});
