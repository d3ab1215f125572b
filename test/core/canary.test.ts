/** Who answers while a candidate is on probation: its share, and the old version for whatever it does not answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, features, MB, names } from './made.ts';
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
import { said } from './story.ts';
import type { World } from './world.ts';

/** Answers and failures of the candidate so far. */
function tallyOf(world: World): readonly [number, number] {
  const { answered, failed } = rolloutOf(world).fresh;
  return [answered, failed];
}

/** Its candidate has left memory; the next request for it waits for its load. */
function withoutCandidate(change: Parameters<typeof onProbation>[0] = {}): World {
  const world = onProbation(change);
  world.crash('fast-2', 'killed by SIGKILL');
  return world;
}

test('a quarter of the requests is exactly every fourth', () => {
  const world = onProbation({ canary: { share: 0.25, decisions: 100, ms: null } });
  const round = ['a answered', 'a answered', 'a answered', `${NEW} answered`];
  assert.deepEqual(whoAnswers(world, 12), [...round, ...round, ...round]);
});

test('a share that is no exact number is as even', () => {
  const world = onProbation({ canary: { share: 0.1, decisions: 100, ms: null } });
  const who = whoAnswers(world, 100);
  const turns = who.flatMap((one, index) => (one === 'a answered' ? [] : [index + 1]));
  assert.deepEqual(turns, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
});

test('nobody may ask for it by its name, and no router finds it', () => {
  const rule = { any: [7], all: [], not: [], code: null };
  const routing = { languages: ['*'], rules: [rule], vocabulary: Uint32Array.of(7), prototypes: [] };
  const world = onProbation({ fresh: { routing, pinned: true }, canary: { ...EVERY, share: 0.01 } });
  world.ask('r1', { model: NEW });
  assert.equal(world.endOf('r1'), 'model_not_found');
  world.ask('r2', { model: NEW, want: 'load' });
  assert.equal(world.endOf('r2'), 'model_not_found');
  world.ask('r3', { features: features({ terms: Uint32Array.of(7), words: Uint32Array.of(7) }) });
  assert.equal(world.endOf('r3'), 'abstained');
});

test('what is chosen by a router goes to it as what is named does, and the choice names the old one', () => {
  const rule = { any: [7], all: [], not: [], code: null };
  const routing = { languages: ['*'], rules: [rule], vocabulary: new Uint32Array(), prototypes: [] };
  const world = onProbation({ old: { routing } });
  const { choice, steps } = world.ask('r1', { features: features({ terms: Uint32Array.of(7) }) });
  assert.equal(choice?.expert, 'a');
  assert.ok(steps[0]?.type === 'grant' && steps[0].expert === NEW && steps[0].revocable);
});

test('a load is asked of the old one, tensors of both', () => {
  const world = onProbation({ old: { task: 'tensor' }, fresh: { task: 'tensor' } });
  world.ask('r1', { model: 'a', want: 'load' });
  assert.equal(world.endOf('r1'), 'ready');
  assert.deepEqual(said(world.ask('r2', { model: 'a', want: 'tensors' })), [`grant r2: ${NEW} in fast-2`]);
});

test('what it fails the old one answers, and that counts against it', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.finish('grant r1', 'fail')), ['grant r1: a in fast-1']);
  assert.deepEqual(tallyOf(world), [0, 0]);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 1]);
});

test('what both fail is told once, as the old one failed it, and does not count', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.finish('grant r1', 'fail');
  world.finish('grant r1', 'fail');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a failed', 0, 0]);
});

test('where its process ends, the old one answers', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.crash('fast-2')).slice(0, 1), ['grant r1: a in fast-1']);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 1]);
});

test('of those that were in its process only the one it worked on counts', () => {
  const world = onProbation();
  for (const request of ['r1', 'r2', 'r3']) world.ask(request, { model: 'a' });
  world.crash('fast-2');
  for (const request of ['r1', 'r2', 'r3']) world.finish(`grant ${request}`);
  assert.deepEqual(tallyOf(world), [0, 1]);
});

test('where it does not end in time, the old one answers; what it says later is nobody’s', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.pass(10_000);
  assert.deepEqual(said(world.last), ['cancel lease 3 in fast-2', 'grant r1: a in fast-1']);
  assert.deepEqual(world.underWay, ['grant r1', 'grant r1']);
  world.finish('grant r1');
  assert.equal(world.endOf('r1'), undefined);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 1]);
});

test('what an earlier candidate fails does not count against the one that has followed it', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.pass(1_000);
  stage(world, candidate({}, 'a', '3.0.0'));
  world.finish('load a@3.0.0');
  world.finish('test a@3.0.0');
  assert.deepEqual([outcomeOf(world), rolloutOf(world).candidate], ['probation', 'a@3.0.0']);
  world.finish('grant r1', 'fail');
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 0]);
});

test('a client that hung up counts for nobody', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.hangUp('r1');
  world.finish('grant r1', 'fail');
  assert.deepEqual(tallyOf(world), [0, 0]);
});

test('while it is not in memory and the device is short of it, the old one answers, and that counts for nobody', () => {
  const world = withoutCandidate();
  world.sample(800 * MB, 40);
  assert.deepEqual(said(world.ask('r1', { model: 'a' })), ['grant r1: a in fast-1']);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 0]);
});

test('where its load comes too late for a client, the old one answers, and that counts for nobody', () => {
  const world = withoutCandidate();
  world.ask('r1', { model: 'a', waitMs: 50 });
  world.pass(50);
  assert.deepEqual(said(world.last), ['grant r1: a in fast-1']);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 0]);
});

test('where its load fails, the old one answers at once', () => {
  const world = withoutCandidate();
  world.ask('r1', { model: 'a' });
  assert.deepEqual(said(world.finish(`load ${NEW}`, 'fail')).slice(0, 1), ['grant r1: a in fast-1']);
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), ...tallyOf(world)], ['a answered', 0, 1]);
});

test('who waits for it when it is rolled back is answered by the old one in the same decision', () => {
  const world = withoutCandidate({ fresh: { residentMb: 60 }, trueMb: { [NEW]: 60 } });
  world.ask('r1', { model: 'a' });
  world.happen({
    type: 'configured',
    settings: { ...world.state.settings, budgetBytes: 120 * MB },
    policies: names,
  });
  assert.equal(outcomeOf(world), 'rolledBack: too_large');
  world.drain();
  assert.equal(world.endOf('r1'), 'a answered');
});

test('who waits for a place in it when it is rolled back goes to the old one in the same decision', () => {
  const world = onProbation({ old: { lane: 'heavy' }, fresh: { lane: 'heavy' } });
  for (const request of ['r1', 'r2', 'r3', 'r4', 'r5']) world.ask(request, { model: 'a' });
  for (const request of ['r1', 'r2']) world.finish(`grant ${request}`, 'fail');
  world.finish('grant r1');
  assert.deepEqual(said(world.finish('grant r2')), [`rolledBack ${NEW}`, 'grant r5: a in heavy-1']);
  world.drain();
  const ends = ['r3', 'r4', 'r5'].map((request) => world.endOf(request));
  assert.deepEqual(ends, [`${NEW} answered`, `${NEW} answered`, 'a answered']);
});

test('who waits for it when it is committed is answered by the version that counts then', () => {
  const world = withoutCandidate({ canary: { share: 1, decisions: null, ms: 10_000 } });
  world.ask('r1', { model: 'a' });
  world.pass(10_000);
  assert.equal(outcomeOf(world), 'committed');
  world.finish('rollout a');
  world.drain();
  assert.equal(world.endOf('r1'), 'a answered');
  assert.equal(world.state.experts.get('a')?.expert.version, '2.0.0');
});

test('what it works on when it is rolled back or committed it may end', () => {
  for (const fault of ['none', 'fail'] as const) {
    const world = onProbation({ canary: { share: 1, decisions: 1, ms: null } });
    for (const request of ['r1', 'r2']) world.ask(request, { model: 'a' });
    world.finish('grant r1', fault);
    if (fault === 'fail') world.finish('grant r1');
    if (fault === 'fail') answer(world);
    assert.equal(outcomeOf(world), fault === 'none' ? 'committed' : 'rolledBack: canary_failed');
    world.finish('rollout a');
    world.finish('grant r2');
    assert.equal(world.endOf('r2'), `${NEW} answered`);
    world.drain();
    assert.ok(!world.state.experts.has(NEW));
  }
});

test('where the old version leaves, what the candidate fails is refused in the name of the old one', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.happen({ type: 'removed', expert: 'a' });
  world.finish('grant r1', 'fail');
  assert.equal(world.endOf('r1'), 'model_not_found');
  world.drain();
  assert.deepEqual([...world.state.experts.keys()], []);
});

test('where the old version is in quarantine, what the candidate fails waits for the version that follows', () => {
  const world = onProbation({ canary: { share: 0.5, decisions: 10, ms: null }, settings: { crashLimit: 1 } });
  answer(world);
  world.ask('r1', { model: 'a' });
  world.ask('r2', { model: 'a' });
  world.crash('fast-1');
  assert.deepEqual([world.endOf('r2'), outcomeOf(world)], ['cell_exited', 'committed']);
  world.finish('grant r1', 'fail');
  assert.equal(world.endOf('r1'), undefined);
  world.drain();
  assert.equal(world.endOf('r1'), 'a answered');
});

test('a neighbour that kills the cell which they share costs the candidate nothing', () => {
  const world = working({
    old: { pinned: true },
    others: [expert('b', { residentMb: 5 })],
    settings: { budgetBytes: 150 * MB },
  });
  stage(world);
  world.drain();
  world.sample(800 * MB, 0);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
  world.ask('r1', { model: 'b' });
  world.finish('load b');
  world.ask('r2', { model: 'a' });
  world.crash('fast-1');
  world.drain();
  assert.deepEqual([world.endOf('r2'), ...tallyOf(world)], ['a answered', 0, 0]);
});

test('commands are not for candidates', () => {
  const world = onProbation();
  for (const command of ['unload', 'park', 'pin', 'unpin', 'load', 'clear'] as const)
    assert.deepEqual(world.happen({ type: 'command', command, expert: NEW }).reasons, []);
  assert.equal(world.state.experts.get(NEW)?.fate, null);
});

test('clear of the expert leaves its rollout as it is', () => {
  const world = onProbation();
  world.happen({ type: 'command', command: 'clear', expert: 'a' });
  assert.equal(outcomeOf(world), 'probation');
});
