/** Who is refused, with which numbers, and when to come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../agent/decide.ts';
import type { Decision, Step } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';

function refusal({ steps }: Decision): Extract<Step, { type: 'reject' }> {
  const step = steps.find((one) => one.type === 'reject');
  assert.ok(step?.type === 'reject', `nobody was refused: ${JSON.stringify(steps)}`);
  return step;
}

test('an expert that can never fit is refused with what it needs and what there is', () => {
  const world = worldOf({ experts: [expert('huge', { residentMb: 300 })] });
  const { failure, retryAfterMs } = refusal(world.ask('r1', { model: 'huge' }));
  assert.equal(failure.code, 'too_large');
  assert.equal(failure.retryable, false);
  assert.equal(retryAfterMs, null);
  assert.match(failure.message, new RegExp(`${(60 + 38 + 300) * MB} bytes .*${300 * MB} bytes`));
  assert.equal(world.state.requests.size, 0);
});

test('what can never fit is refused at once, even behind a load that waits', () => {
  const world = worldOf({
    experts: [expert('a'), expert('b'), expert('huge', { residentMb: 300 })],
    settings: { budgetBytes: 150 * MB },
  });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b' });
  assert.deepEqual(said(world.ask('r3', { model: 'huge' })), ['refuse r3: too_large']);
});

test('the bytes that an unload left in a cell do not make an expert too large', () => {
  const world = worldOf({
    experts: [
      expert('a', { residentMb: 60 }),
      expert('b', { residentMb: 10 }),
      expert('c', { residentMb: 190 }),
    ],
  });
  use(world, 'a');
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  world.finish('unload a', 'fail');
  use(world, 'b');
  assert.deepEqual(said(world.ask('r1', { model: 'c' })), ['unload b from fast-1']);
});

test('a pinned expert is never evicted: what only fits without it is refused as such', () => {
  const world = worldOf({
    experts: [expert('kept', { residentMb: 100, pinned: true }), expert('b', { residentMb: 120 })],
  });
  world.finish('load kept');
  const { failure } = refusal(world.ask('r1', { model: 'b' }));
  assert.equal(failure.code, 'all_pinned');
  assert.match(failure.message, /318\.0 MB of 300\.0 MB/);
  world.happen({ type: 'command', command: 'unpin', expert: 'kept' });
  assert.deepEqual(said(world.ask('r2', { model: 'b' })), ['unload kept from fast-1']);
});

test('a request too many is refused, and one that ends makes room', () => {
  const world = worldOf({ experts: [expert('a')], settings: { maxQueue: 2 } });
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'a' });
  const { failure, retryAfterMs } = refusal(world.ask('r3', { model: 'a' }));
  assert.equal(failure.code, 'queue_full');
  assert.equal(retryAfterMs, 1_000);
  world.finish('load a');
  world.finish('grant r1');
  assert.deepEqual(said(world.ask('r4', { model: 'a' })), ['grant r4: a in fast-1']);
});

test('a request that does not wait still starts the load, and is told how long it will take', () => {
  const world = worldOf({ experts: [expert('a')] });
  const decision = world.ask('r1', { model: 'a', waitMs: 0 });
  assert.deepEqual(said(decision), ['load a in the new fast-1', 'refuse r1: loading']);
  const { loading, retryAfterMs, failure } = refusal(decision);
  assert.deepEqual(loading, { state: 'loading', progress: 0, etaSeconds: 0.1 });
  assert.equal(retryAfterMs, 1_000);
  assert.match(failure.message, /still being loaded/);
  world.finish('load a');
  assert.deepEqual(said(world.ask('r2', { model: 'a', waitMs: 0 })), ['grant r2: a in fast-1']);
});

test('a request whose wait is over is refused, and the load behind it starts in the same decision', () => {
  const world = worldOf({
    experts: [expert('a'), expert('b'), expert('c')],
    settings: {
      budgetBytes: 155 * MB,
      maxCells: { fast: 1, heavy: 1 },
      cellConcurrency: { fast: 8, heavy: 1 },
    },
  });
  use(world, 'a');
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'b', waitMs: 1_000 });
  world.ask('r3', { model: 'a' });
  world.pass(1_000);
  assert.deepEqual(said(world.last), ['refuse r2: loading', 'grant r3: a in fast-1']);
});

test('an expert that is being fetched is refused with its progress, and one that is unknown by its name', () => {
  const world = worldOf({ experts: [] });
  const pending = { version: null, state: 'fetching', doneBytes: 25, totalBytes: 100, error: null } as const;
  world.happen({ type: 'pending', expert: 'far', pending });
  const fetching = refusal(world.ask('r1', { model: 'far' }));
  assert.equal(fetching.failure.code, 'fetching');
  assert.deepEqual(fetching.loading, { state: 'fetching', progress: 0.25, etaSeconds: null });
  const error = { code: 'bad_expert', message: 'model.onnx is missing', hint: null, retryable: false };
  world.happen({ type: 'pending', expert: 'broken', pending: { ...pending, state: 'failed', error } });
  const broken = refusal(world.ask('r0', { model: 'broken' }));
  assert.deepEqual([broken.failure, broken.loading, broken.retryAfterMs], [error, null, null]);
  assert.equal(refusal(world.ask('r2', { model: 'nobody' })).failure.code, 'model_not_found');
  world.happen({ type: 'removed', expert: 'far' });
  assert.equal(refusal(world.ask('r3', { model: 'far' })).failure.code, 'model_not_found');
});

test('an embedder is not asked to chat, nor a classifier for vectors', () => {
  const world = worldOf({ experts: [expert('words'), expert('vectors', { task: 'feature-extraction' })] });
  assert.equal(refusal(world.ask('r1', { model: 'vectors' })).failure.code, 'wrong_task');
  assert.equal(refusal(world.ask('r2', { model: 'words', want: 'embeddings' })).failure.code, 'wrong_task');
  assert.deepEqual(said(world.ask('r3', { want: 'embeddings' })), ['load vectors in the new fast-1']);
});

test('without an embedder a request for vectors is refused', () => {
  const world = worldOf({ experts: [expert('words')] });
  assert.equal(refusal(world.ask('r1', { want: 'embeddings' })).failure.code, 'model_not_found');
});

test('the same request twice is one request', () => {
  const world = worldOf({ experts: [expert('a')] });
  use(world, 'a');
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['grant r1: a in fast-1']);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), []);
});

test('time never goes back, even if events come out of order', () => {
  const world = worldOf({ experts: [expert('a')] });
  world.pass(5_000);
  world.happen({ type: 'tick' });
  const { state } = decide(world.state, { type: 'tick', atMs: 4_000 }, world.policy);
  assert.equal(state.nowMs, 5_000);
});
