/** Candidates that come and go: staged again, replaced, removed; and assistants, whose answers two experts give. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expert } from '../../agent/types.ts';
import { expert } from './made.ts';
import {
  answer,
  candidate,
  EVERY,
  NEW,
  onProbation,
  outcomeOf,
  rolloutOf,
  stage,
  whoAnswers,
  working,
} from './rollouts.ts';
import { said, worldOf } from './story.ts';
import type { World } from './world.ts';

/** In the phase that a rollout can be in, by the steps that lead there. */
const PHASES: Readonly<Record<string, (world: World) => void>> = {
  loading: () => undefined,
  testing: (world) => void world.finish(`load ${NEW}`),
  probation: (world) => {
    world.finish(`load ${NEW}`);
    world.finish(`test ${NEW}`);
  },
};

function candidates(world: World): string[] {
  return [...world.state.experts.values()].flatMap(({ expert: { id, candidateOf } }) =>
    candidateOf === null ? [] : [id],
  );
}

test('staged again as it is, only what is asked of it changes', () => {
  const world = onProbation();
  answer(world, 3);
  stage(world, candidate(), { share: 0.5, decisions: 400, ms: null });
  const { phase, canary, fresh } = rolloutOf(world);
  assert.deepEqual([phase, canary?.decisions, fresh.answered], ['probation', 400, 3]);
  assert.deepEqual(world.last.steps, []);
});

test('fewer answers asked than were given end the probation', () => {
  const world = onProbation();
  answer(world, 3);
  stage(world, candidate(), { share: 0.5, decisions: 3, ms: null });
  assert.equal(outcomeOf(world), 'committed');
});

test('without a canary from now on, a probation is over', () => {
  const world = onProbation();
  stage(world, candidate(), null);
  assert.equal(outcomeOf(world), 'committed');
});

for (const [phase, reach] of Object.entries(PHASES)) {
  test(`another content of the same version begins anew (${phase})`, () => {
    const world = working();
    stage(world);
    reach(world);
    stage(world, candidate({ digest: 'another' }));
    assert.equal(outcomeOf(world), 'selfTest');
    world.drain();
    assert.deepEqual(
      [outcomeOf(world), world.state.experts.get(NEW)?.expert.digest],
      ['probation', 'another'],
    );
    assert.deepEqual(whoAnswers(world, 1), [`${NEW} answered`]);
  });

  test(`another version takes the candidate's place, and there is one candidate at most (${phase})`, () => {
    const world = working();
    stage(world);
    reach(world);
    stage(world, candidate({}, 'a', '3.0.0'));
    world.drain();
    assert.deepEqual([candidates(world), rolloutOf(world).candidate], [['a@3.0.0'], 'a@3.0.0']);
    assert.equal(outcomeOf(world), 'probation');
  });

  test(`a candidate that is not wanted any more leaves, and nothing of it stays (${phase})`, () => {
    const world = working();
    stage(world);
    reach(world);
    world.happen({ type: 'removed', expert: NEW });
    world.drain();
    assert.deepEqual([candidates(world), world.state.rollouts.size, world.state.leases.size], [[], 0, 0]);
    assert.deepEqual(whoAnswers(world, 1), ['a answered']);
  });

  test(`its expert leaves, and it with it (${phase})`, () => {
    const world = working();
    stage(world);
    reach(world);
    world.happen({ type: 'removed', expert: 'a' });
    world.drain();
    assert.deepEqual([world.state.experts.size, world.state.rollouts.size], [0, 0]);
  });

  test(`the catalog knows that another version was rolled back: this candidate leaves (${phase})`, () => {
    const world = working();
    stage(world);
    reach(world);
    const why = { code: 'golden_differs', message: 'it says something else', hint: null, retryable: false };
    world.happen({ type: 'rolledBack', expert: 'a', version: '3.0.0', why });
    world.drain();
    assert.deepEqual([candidates(world), outcomeOf(world)], [[], 'rolledBack: golden_differs']);
  });
}

test('who waits for a candidate whose content changes is answered by the old one', () => {
  const world = onProbation();
  world.crash('fast-2', 'killed by SIGKILL');
  world.ask('r1', { model: 'a' });
  stage(world, candidate({ digest: 'another' }));
  assert.ok(said(world.last).includes('grant r1: a in fast-1'));
  world.drain();
  assert.equal(world.endOf('r1'), 'a answered');
});

test('what is tested when it is replaced says nothing of the one that comes', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`);
  stage(world, candidate({ digest: 'another' }));
  world.finish(`test ${NEW}`, 'broken');
  assert.equal(outcomeOf(world), 'selfTest');
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('after it was rolled back and forgotten it is tried again', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`);
  world.finish(`test ${NEW}`, 'broken');
  world.drain();
  stage(world);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('the version before may come back, as a candidate itself', () => {
  const world = onProbation({ canary: null });
  world.drain();
  assert.equal(outcomeOf(world), 'committed');
  stage(world, candidate({}, 'a', '1.0.0'), null);
  world.drain();
  assert.equal(world.state.experts.get('a')?.expert.version, '1.0.0');
});

test('two experts are rolled out beside each other', () => {
  const world = working({ others: [expert('b')] });
  stage(world);
  stage(world, candidate({}, 'b'), null);
  world.drain();
  assert.deepEqual([outcomeOf(world), outcomeOf(world, 'b')], ['probation', 'committed']);
});

// ---- assistants -----------------------------------------------------------------------------------------------

const finds = (change: Partial<Expert> = {}): Partial<Expert> => ({
  task: 'retrieval',
  assistant: { base: 'lm' },
  ...change,
});
const speaks: Partial<Expert> = { task: 'text-generation', lane: 'heavy' };

/** `a` finds and `lm` speaks; a candidate of one of them is on probation. */
function clinic(of: 'a' | 'lm'): World {
  const world = worldOf({ experts: [expert('a', finds()), expert('lm', speaks)] });
  world.ask('first', { model: 'a' });
  world.drain();
  stage(world, candidate(of === 'a' ? finds() : speaks, of), EVERY);
  world.drain();
  assert.equal(outcomeOf(world, of), 'probation');
  return world;
}

/** Who was asked for what, of one request. */
function asked(world: World, request: string): string[] {
  const steps = world.log.flatMap(({ decision }) => decision.steps);
  return steps.flatMap((step) =>
    step.type === 'grant' && step.request === request ? [`${step.expert} ${step.purpose}`] : [],
  );
}

test('a candidate that finds lets the base speak, and counts as one that answered', () => {
  const world = clinic('a');
  world.ask('r1', { model: 'a' });
  world.drain();
  assert.deepEqual(asked(world, 'r1'), [`${NEW} retrieve`, 'lm answer']);
  assert.deepEqual([world.endOf('r1'), rolloutOf(world).fresh.answered], ['lm answered', 1]);
});

test('where it finds nothing for want of its process, the old one finds, and the base speaks', () => {
  const world = clinic('a');
  world.ask('r1', { model: 'a' });
  world.finish('grant r1', 'fail');
  world.drain();
  assert.deepEqual(asked(world, 'r1'), [`${NEW} retrieve`, 'a retrieve', 'lm answer']);
  assert.deepEqual([world.endOf('r1'), rolloutOf(world).fresh.failed], ['lm answered', 1]);
});

test('a base that fails is none of its faults', () => {
  const world = clinic('a');
  world.ask('r1', { model: 'a' });
  world.finish('grant r1');
  world.finish('grant r1', 'fail');
  world.drain();
  assert.deepEqual(asked(world, 'r1'), [`${NEW} retrieve`, 'lm answer']);
  assert.equal(rolloutOf(world).fresh.failed, 0);
});

test('the candidate of a base speaks for an assistant, from its sources; what it fails the base says', () => {
  const world = clinic('lm');
  world.ask('r1', { model: 'a' });
  world.finish('grant r1');
  assert.deepEqual(asked(world, 'r1'), ['a retrieve', 'lm@2.0.0 answer']);
  const [grant] = world.finish('grant r1', 'fail').steps;
  assert.ok(grant?.type === 'grant');
  assert.deepEqual([grant.expert, grant.purpose, grant.assistant], ['lm', 'answer', 'a']);
  world.drain();
  assert.deepEqual([world.endOf('r1'), rolloutOf(world, 'lm').fresh.failed], ['lm answered', 1]);
});

test('an assistant that is the generalist itself, and its candidate, speak for themselves', () => {
  const self: Partial<Expert> = { task: 'text-generation', assistant: { base: null } };
  const world = onProbation({ old: self, fresh: self, settings: { generalist: 'a' } });
  world.ask('r1', { model: 'a' });
  assert.deepEqual(asked(world, 'r1'), [`${NEW} answer`]);
});
