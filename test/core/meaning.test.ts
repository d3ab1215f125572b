/** From a request to its expert: words, meaning, the embedder that comes and goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expert } from '../../agent/types.ts';
import { axis, expert, features, MB } from './made.ts';
import { said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

const FEVER = 7;

function embedder(): Expert {
  return expert('embedder', { task: 'feature-extraction' });
}

/** Knows the word "fever", and what lies along the first axis. */
function medical(change: Partial<Expert> = {}): Expert {
  const routing = { languages: ['*'], rules: [], vocabulary: Uint32Array.of(FEVER), prototypes: [axis(1)] };
  return expert('medical', { routing, ...change });
}

function aboutFever(): { features: ReturnType<typeof features> } {
  return { features: features({ terms: Uint32Array.of(FEVER), words: Uint32Array.of(FEVER) }) };
}

function withEmbedder(experts: readonly Expert[], settings = {}): World {
  const world = worldOf({
    experts: [embedder(), ...experts],
    settings: { embedder: 'embedder', ...settings },
  });
  world.finish('load embedder');
  return world;
}

test('a request is embedded first, and then its meaning chooses', () => {
  const world = withEmbedder([medical()]);
  assert.deepEqual(said(world.ask('r1')), ['embed r1 with embedder in fast-1']);
  const chosen = world.finish('embed r1');
  assert.equal(chosen.choice?.expert, 'medical');
  assert.equal(chosen.choice?.router, 'nearest');
  assert.match(chosen.choice?.candidates[0]?.why ?? '', /closeness 1\.00/);
});

test('while the embedder is absent, words decide at once', () => {
  const world = worldOf({ experts: [medical()], settings: { embedder: 'embedder' } });
  const { choice, steps } = world.ask('r1', aboutFever());
  assert.equal(choice?.expert, 'medical');
  assert.equal(choice?.candidates[0]?.why, 'one of its words');
  assert.deepEqual(
    steps.map((step) => step.type),
    ['load'],
  );
});

test('an embedder that leaves while a request waits for it is not waited for: words decide, as a step of its own', () => {
  const world = withEmbedder([medical()], { cellConcurrency: { fast: 1, heavy: 1 } });
  world.ask('r1', aboutFever());
  assert.deepEqual(said(world.ask('r2', aboutFever())), [], 'r2 waits for a place');
  const { steps, reasons } = world.crash('fast-1');
  assert.deepEqual(
    steps.map((step) => step.type),
    ['route', 'route'],
  );
  assert.ok(reasons.some((reason) => /the embedder left while r2 waited/.test(reason)));
  assert.equal(world.finish('route r2').choice?.expert, 'medical');
});

test('an embedder that fails leaves the choice to words', () => {
  const world = withEmbedder([medical()]);
  world.ask('r1', aboutFever());
  const error = { code: 'tokenizer', message: 'cannot read it', hint: null, retryable: false };
  const happening = {
    type: 'features',
    request: 'r1',
    lease: 1,
    language: null,
    embedding: null,
    error,
  } as const;
  const { choice, reasons } = world.happen(happening);
  assert.equal(choice?.expert, 'medical');
  assert.ok(reasons.includes('the embedder failed, words alone decide: cannot read it'));
});

test('features that come late, for a lease that ended, change nothing', () => {
  const world = withEmbedder([medical()]);
  world.ask('r1', aboutFever());
  world.crash('fast-1');
  world.finish('route r1');
  const error = { code: 'cell_exited', message: 'gone', hint: null, retryable: true };
  const late = { type: 'features', request: 'r1', lease: 1, language: null, embedding: null, error } as const;
  assert.equal(world.happen(late).choice, null);
  while (world.underWay.some((name) => name.startsWith('load'))) {
    world.finish(world.underWay.find((name) => name.startsWith('load')) ?? '');
  }
  const before = world.state;
  assert.equal(before.requests.get('r1')?.phase.name, 'leased');
  const { state, steps } = world.happen(late);
  assert.deepEqual(steps, []);
  assert.deepEqual(state, before);
});

test('a named expert that needs the embedding gets it first, and goes without it if there is no embedder', () => {
  const world = withEmbedder([medical({ needsEmbedding: true })]);
  assert.deepEqual(said(world.ask('r1', { model: 'medical' })), ['embed r1 with embedder in fast-1']);
  assert.equal(world.finish('embed r1').choice?.router, 'named');
  world.finish('load medical');
  world.finish('grant r1');
  world.crash('fast-1');
  const { choice } = world.ask('r2', { model: 'medical' });
  assert.equal(choice?.expert, 'medical');
});

test('a specialist chosen by a rule gets the embedding first if it needs it', () => {
  const rule = { any: [FEVER], all: [], not: [], code: null };
  const routing = { languages: ['*'], rules: [rule], vocabulary: new Uint32Array(), prototypes: [] };
  const world = withEmbedder([expert('ruled', { needsEmbedding: true, routing })]);
  assert.deepEqual(said(world.ask('r1', aboutFever())), ['embed r1 with embedder in fast-1']);
  assert.equal(world.finish('embed r1').choice?.router, 'rules');
});

test('a generalist takes what no specialist claims, with the embedding if it needs it', () => {
  const world = withEmbedder([medical(), expert('general', { needsEmbedding: true })], {
    generalist: 'general',
  });
  const asked = world.ask('r1');
  assert.deepEqual(said(asked), ['embed r1 with embedder in fast-1']);
  const features = {
    type: 'features',
    request: 'r1',
    lease: 1,
    language: null,
    embedding: axis(5),
    error: null,
  } as const;
  const { choice } = world.happen(features);
  assert.deepEqual([choice?.expert, choice?.router, choice?.confidence], ['general', 'generalist', 0]);
});

test('rules alone do not keep a generalist from the embedding that it needs', () => {
  const world = worldOf({
    experts: [embedder(), expert('general', { needsEmbedding: true })],
    settings: { embedder: 'embedder', generalist: 'general' },
    policies: { router: ['rules'], residency: 'gdsf', combiner: 'best' },
  });
  world.finish('load embedder');
  assert.deepEqual(said(world.ask('r1')), ['embed r1 with embedder in fast-1']);
});

test('without a generalist nobody is better than a guess: the request ends with an abstention that says why', () => {
  const world = worldOf({ experts: [medical()] });
  const { choice, steps, reasons, state } = world.ask('r1');
  assert.deepEqual(steps, [{ type: 'abstain', request: 'r1' }]);
  assert.equal(choice?.expert, null);
  assert.deepEqual(reasons, ['abstained: no expert claims it']);
  assert.equal(state.requests.size, 0);
});

test('an abstention names the best that was not good enough', () => {
  const world = withEmbedder([medical()]);
  world.ask('r1');
  const far = Int8Array.of(120, 40, 0, 0, 0, 0, 0, 0);
  const { reasons } = world.happen({
    type: 'features',
    request: 'r1',
    lease: 1,
    language: null,
    embedding: far,
    error: null,
  });
  assert.deepEqual(reasons, ['abstained: the best is medical with 0.25']);
});

test('a resident expert wins over an absent one that is better by less than the margin', () => {
  const near = Int8Array.of(0, 126, 16, 0, 0, 0, 0, 0);
  const routing = { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [near] };
  const world = withEmbedder([medical(), expert('resident', { routing })]);
  use(world, 'resident');
  world.ask('r1');
  const ask = (embedding: Int8Array): string | null | undefined => {
    const lease = [...world.state.leases.keys()].at(-1) ?? null;
    return world.happen({ type: 'features', request: 'r1', lease, language: null, embedding, error: null })
      .choice?.expert;
  };
  assert.equal(ask(axis(1)), 'resident');
});

test('without room in the margin the better one is loaded', () => {
  const near = Int8Array.of(0, 120, 41, 0, 0, 0, 0, 0);
  const routing = { languages: ['*'], rules: [], vocabulary: new Uint32Array(), prototypes: [near] };
  const world = withEmbedder([medical(), expert('resident', { routing })]);
  use(world, 'resident');
  world.ask('r1');
  const lease = [...world.state.leases.keys()].at(-1) ?? null;
  const { choice } = world.happen({
    type: 'features',
    request: 'r1',
    lease,
    language: null,
    embedding: axis(1),
    error: null,
  });
  assert.equal(choice?.expert, 'medical');
});

test('an expert in quarantine is no candidate', () => {
  const world = worldOf({ experts: [medical()] });
  world.ask('r1', { model: 'medical' });
  world.finish('load medical', 'broken');
  assert.deepEqual(said(world.ask('r2', aboutFever())), ['abstain r2']);
});

test('embedding counts as use: an embedder that serves every request is not the first victim', () => {
  const world = withEmbedder([medical(), expert('rare'), expert('new')], { budgetBytes: 160 * MB });
  use(world, 'rare');
  use(world, 'medical');
  world.pass(1);
  world.ask('r1', aboutFever());
  world.finish('embed r1', 'fail');
  world.finish('grant r1');
  assert.deepEqual(said(world.ask('r2', { model: 'new' })), ['unload rare from fast-1']);
});

test('the embedder takes room that is free, and evicts nobody', () => {
  const world = worldOf({
    experts: [expert('a', { residentMb: 30 }), expert('b')],
    settings: { budgetBytes: 150 * MB, embedder: 'embedder' },
  });
  use(world, 'a');
  use(world, 'b');
  assert.deepEqual(said(world.happen({ type: 'installed', expert: embedder() })), []);
  world.happen({ type: 'command', command: 'unload', expert: 'a' });
  assert.deepEqual(said(world.finish('unload a')), ['load embedder in fast-1']);
});
