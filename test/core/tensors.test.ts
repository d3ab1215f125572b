/** Experts that take tensors: asked by name alone, never chosen by words, never taught to the router. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../agent/types.ts';
import { expert } from './made.ts';
import { said, worldOf } from './story.ts';

const graph = (id: string) => expert(id, { task: 'tensor' });

function refusedWith({ steps }: Decision): string {
  const step = steps.find((one) => one.type === 'reject');
  assert.ok(step?.type === 'reject', `nobody was refused: ${JSON.stringify(steps)}`);
  return `${step.failure.code}: ${step.failure.message} ${step.failure.hint}`;
}

test('tensors are granted by the expert that the request names', () => {
  const world = worldOf({ experts: [graph('sum')] });
  const asked = world.ask('r1', { model: 'sum', want: 'tensors' });
  assert.deepEqual(said(asked), ['load sum in the new fast-1']);
  assert.equal(asked.choice?.router, 'named');
});

test('a request for tensors without a name is refused', () => {
  const world = worldOf({ experts: [graph('sum')] });
  assert.match(refusedWith(world.ask('r1', { want: 'tensors' })), /^wrong_task: .*must name its expert/);
  assert.equal(world.state.requests.size, 0);
});

test('each kind of request is refused by the experts of the others, with the way to ask them', () => {
  const world = worldOf({
    experts: [graph('sum'), expert('words'), expert('vectors', { task: 'feature-extraction' })],
  });
  const ask = (id: string, model: string, want: 'chat' | 'embeddings' | 'tensors') =>
    refusedWith(world.ask(id, { model, want }));
  assert.match(ask('r1', 'sum', 'chat'), /^wrong_task: .*\/v2\/models\/sum\/infer/);
  assert.match(ask('r2', 'sum', 'embeddings'), /^wrong_task: .*feature-extraction/);
  assert.match(ask('r3', 'words', 'tensors'), /^wrong_task: .*\/v1/);
  assert.match(ask('r4', 'vectors', 'tensors'), /^wrong_task: .*\/v1/);
  assert.match(ask('r5', 'vectors', 'chat'), /^wrong_task: .*\/v1\/embeddings/);
});

test('words never lead to an expert that takes tensors, not even as the generalist', () => {
  const world = worldOf({ experts: [graph('sum')], settings: { generalist: 'sum' } });
  world.ask('r1', { model: 'sum', want: 'tensors' });
  world.finish('load sum');
  world.finish('grant r1');
  assert.deepEqual(said(world.ask('r2')), ['abstain r2']);
});

test('its examples are not learned, those of others are', () => {
  const taught = (task: 'tensor' | 'text-classification') => {
    const pupil = expert('pupil', { task });
    const world = worldOf({
      experts: [
        expert('embedder', { task: 'feature-extraction' }),
        { ...pupil, routing: { ...pupil.routing, prototypes: null } },
      ],
      settings: { embedder: 'embedder' },
    });
    if (world.underWay.includes('load embedder')) world.finish('load embedder');
    return world.log.flatMap(({ decision }) => said(decision)).filter((step) => step.startsWith('learn'));
  };
  assert.deepEqual(taught('tensor'), []);
  assert.equal(taught('text-classification').length, 1);
});
