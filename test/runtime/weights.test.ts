/** When weights may leave: proved first, once; a disk that is full is asked again, all else is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/errors.ts';
import { notParkable } from '../../agent/runtime/parking/refusal.ts';
import type { Task } from '../../agent/runtime/task.ts';
import { type Claimed, findWeights, Weights } from '../../agent/runtime/weights.ts';

/** Memory that does what it is told, and notes it. */
class Memory implements Claimed {
  readonly told: string[] = [];
  isParked = false;
  full = false;
  /** What it says after it was parked. */
  says = 1;

  async use<T>(work: () => Promise<T>): Promise<T> {
    assert.ok(!this.isParked, 'it is used while it is away');
    return await work();
  }

  async copy(): Promise<void> {
    this.told.push('copy');
    if (this.full) throw notParkable('the disk is full');
  }

  adopt() {
    this.told.push('adopt');
    return { bytes: 1, changedBytes: 0 };
  }

  park() {
    this.told.push('park');
    this.isParked = true;
    return { leftBytes: 1, keptBytes: 0, writtenChunks: 0, lostChunks: 0 };
  }

  async resume() {
    this.told.push('resume');
    await Promise.resolve();
    this.isParked = false;
    return { readBytes: 0, readMs: 0 };
  }

  async release(): Promise<void> {
    this.told.push('release');
  }
}

function made() {
  const memory = new Memory();
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
