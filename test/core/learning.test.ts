/** How the router learns the examples of experts: once, when idle, in the space of the embedder that is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expert, State } from '../../agent/types.ts';
import { axis, expert, settings } from './made.ts';
import { said, worldOf } from './story.ts';
import type { World } from './world.ts';

function unlearned(id: string, change: Partial<Expert> = {}): Expert {
  const made = expert(id, change);
  return { ...made, routing: { ...made.routing, prototypes: null } };
}

function withEmbedder(...experts: Expert[]): World {
  const embedder = expert('embedder', { task: 'feature-extraction' });
  return worldOf({ experts: [embedder, ...experts], settings: { embedder: 'embedder' } });
}

function prototypes(state: State, id: string): readonly Int8Array[] | null | undefined {
  return state.experts.get(id)?.expert.routing.prototypes;
}

test('examples are learned one expert after the other, once the embedder is there', () => {
  const world = withEmbedder(unlearned('a'), unlearned('b'));
  assert.deepEqual(said(world.finish('load embedder')), ['learn a with embedder in fast-1']);
  assert.deepEqual(said(world.finish('learn a')), ['learn b with embedder in fast-1']);
  assert.deepEqual(said(world.finish('learn b')), []);
  assert.equal(prototypes(world.state, 'a')?.length, 1);
  assert.equal(world.state.leases.size, 0);
});

test('learning waits until no request is under way', () => {
  const world = withEmbedder(unlearned('a'));
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.finish('load embedder')), []);
  world.finish('load a');
  assert.deepEqual(said(world.finish('grant r1')), ['learn a with embedder in fast-1']);
});

test('a lesson that failed is not begun again at once: the router goes on with words', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  for (const retryable of [true, false]) {
    const error = { code: 'timeout', message: 'it took too long', hint: null, retryable };
    const learned = { type: 'learned', lease: 1, expert: 'a', prototypes: null, error } as const;
    const { steps, state } = world.happen(learned);
    assert.deepEqual(steps, [], `retryable: ${retryable}`);
    assert.deepEqual(prototypes(state, 'a'), []);
  }
});

test('a lesson that ended with its cell is begun again with the next one', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  world.crash('fast-1');
  world.pass(1_000);
  assert.deepEqual(said(world.finish('load embedder')), ['learn a with embedder in fast-2']);
});

test('what was learned of an old version is not taken for the new one', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  world.happen({ type: 'installed', expert: unlearned('a', { version: '2.0.0', digest: 'another' }) });
  assert.deepEqual(said(world.finish('learn a')), ['learn a with embedder in fast-1']);
});

test('another embedder has another space: everything is learned again', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  world.finish('learn a');
  const next = expert('embedder', { task: 'feature-extraction', version: '2.0.0', digest: 'another' });
  world.happen({ type: 'installed', expert: next });
  world.finish('unload embedder');
  assert.equal(prototypes(world.state, 'a'), null);
  assert.deepEqual(said(world.finish('load embedder')), ['learn a with embedder in fast-1']);
});

test('so it is when the configuration names another embedder, or none', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  world.finish('learn a');
  const configured = { type: 'configured', policies: world.policy.names } as const;
  world.happen({ ...configured, settings: settings({ embedder: null }) });
  assert.equal(prototypes(world.state, 'a'), null);
});

test('an expert that comes again unchanged keeps what was learned', () => {
  const world = withEmbedder(unlearned('a'));
  world.finish('load embedder');
  world.finish('learn a');
  assert.deepEqual(said(world.happen({ type: 'installed', expert: unlearned('a') })), []);
  assert.deepEqual(prototypes(world.state, 'a'), [axis(1)]);
});

test('an embedder has no examples to learn', () => {
  const embedder = unlearned('embedder', { task: 'feature-extraction' });
  const world = worldOf({ experts: [embedder], settings: { embedder: 'embedder' } });
  assert.deepEqual(said(world.finish('load embedder')), []);
});

test('one lesson at a time, and none for an expert in quarantine', () => {
  const world = withEmbedder(unlearned('a'), unlearned('b'));
  world.ask('r1', { model: 'b' });
  world.finish('load b', 'broken');
  world.finish('load embedder');
  assert.deepEqual(world.underWay, ['learn a']);
  assert.deepEqual(said(world.happen({ type: 'tick' })), []);
  assert.deepEqual(said(world.finish('learn a')), []);
  assert.deepEqual(said(world.happen({ type: 'command', command: 'clear', expert: 'b' })), [
    'learn b with embedder in fast-1',
  ]);
});
