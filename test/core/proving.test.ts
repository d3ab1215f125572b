/** How a new version proves itself: its load, its self-test, and how its probation ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedBytes } from '../../agent/residency.ts';
import { nextDueMs } from '../../agent/upkeep.ts';
import { expert, MB } from './made.ts';
import {
  answer,
  candidate,
  EVERY,
  failAtCandidate,
  NEW,
  onProbation,
  outcomeOf,
  rolloutOf,
  stage,
  whoAnswers,
  working,
} from './rollouts.ts';
import { said, use } from './story.ts';

const EMBEDDER = expert('e', { task: 'feature-extraction' });

test('it is loaded into a cell of its own, and asked for its golden answers, while the old one answers', () => {
  const world = working();
  stage(world);
  assert.deepEqual(said(world.last), [`load ${NEW} in the new fast-2`]);
  assert.ok(committedBytes(world.state) <= world.state.settings.budgetBytes);
  answer(world);
  assert.deepEqual(said(world.finish(`load ${NEW}`)), [`test ${NEW} in fast-2`]);
  assert.deepEqual(whoAnswers(world, 1), ['a answered']);
  assert.deepEqual(said(world.finish(`test ${NEW}`)), [`probation ${NEW}`]);
  assert.equal(outcomeOf(world), 'probation');
});

test('where the budget holds no second cell beside what is pinned, it shares one', () => {
  const world = working({ old: { pinned: true }, settings: { budgetBytes: 145 * MB } });
  stage(world);
  assert.deepEqual(said(world.last), [`load ${NEW} in fast-1`]);
});

test('it waits while somebody waits for memory', () => {
  const world = working({ others: [expert('b', { residentMb: 100 })], settings: { budgetBytes: 220 * MB } });
  world.ask('r1', { model: 'b' });
  stage(world);
  assert.ok(!world.underWay.includes(`load ${NEW}`));
  world.drain();
  assert.equal(world.endOf('r1'), 'b answered');
  world.sample(800 * MB, 0);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('it makes room as a request would, and what is pinned stays', () => {
  const kept = expert('kept', { residentMb: 40, pinned: true });
  const world = working({ others: [kept], settings: { budgetBytes: 200 * MB } });
  stage(world, candidate({ residentMb: 30 }));
  world.finish('unload a');
  world.finish('stop fast-2');
  assert.deepEqual(world.underWay, [`load ${NEW}`]);
});

test('a golden answer that is another rolls it back, and the old one answers on', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`);
  assert.deepEqual(said(world.finish(`test ${NEW}`, 'broken')), [`rolledBack ${NEW}`]);
  world.finish('rollout a');
  assert.equal(outcomeOf(world), 'rolledBack: bad_expert');
  world.finish('stop fast-2');
  assert.ok(!world.state.experts.has(NEW));
  assert.deepEqual(whoAnswers(world, 2), ['a answered', 'a answered']);
});

test('a self-test that failed for a reason that passes is tried once more', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`);
  world.finish(`test ${NEW}`, 'fail');
  assert.equal(outcomeOf(world), 'selfTest');
  world.finish(`test ${NEW}`, 'fail');
  assert.equal(outcomeOf(world), 'rolledBack: cell_exited');
});

test('a self-test that does not end is cut off, and twice is enough', () => {
  const world = working();
  stage(world);
  for (const cell of ['fast-2', 'fast-3']) {
    world.pass(30_000);
    world.finish(`load ${NEW}`);
    world.pass(10_000);
    world.pass(2_000);
    world.finish(`stop ${cell}`);
  }
  assert.equal(outcomeOf(world), 'rolledBack: cell_exited');
});

test('without a canary its golden answers are enough', () => {
  const world = working();
  stage(world, candidate(), null);
  world.finish(`load ${NEW}`);
  assert.deepEqual(said(world.finish(`test ${NEW}`)), [`committed ${NEW}`]);
  assert.deepEqual(whoAnswers(world, 1), ['a answered']);
  world.finish('rollout a');
  assert.equal(outcomeOf(world), 'committed');
  world.ask('r1', { model: 'a' });
  world.drain();
  assert.equal(world.endOf('r1'), 'a answered');
  assert.equal(world.state.experts.get('a')?.expert.version, '2.0.0');
  assert.ok(!world.state.experts.has(NEW));
});

test('an embedder has no probation: vectors of two versions do not belong into one index', () => {
  const world = working({ old: { task: 'feature-extraction' } });
  stage(world, candidate({ task: 'feature-extraction' }));
  world.finish(`load ${NEW}`);
  assert.deepEqual(said(world.finish(`test ${NEW}`)), [`committed ${NEW}`]);
});

test('a language detector has no probation: no request asks for it', () => {
  const world = working({ settings: { languageDetector: 'a' } });
  stage(world);
  world.drain();
  assert.equal(outcomeOf(world), 'committed');
});

test('one that reads vectors is tested with the embedder, whose lease ends with the test', () => {
  const world = working({ others: [EMBEDDER], settings: { embedder: 'e' } });
  stage(world, candidate({ needsEmbedding: true, lane: 'heavy' }));
  const decision = world.finish(`load ${NEW}`);
  const [step] = decision.steps;
  assert.ok(step?.type === 'test' && step.embedder?.expert === 'e');
  // The test of a language model may take longer than the embedder has for a run of its own.
  world.pass(60_000);
  world.pass(60_000);
  assert.ok(!world.underWay.some((name) => name.startsWith('stop')), world.underWay.join());
  world.finish(`test ${NEW}`);
  assert.equal(world.state.leases.size, 0);
  assert.equal(outcomeOf(world), 'probation');
});

test('the embedder is not to blame for a candidate that hangs in its self-test', () => {
  const world = working({ others: [EMBEDDER], settings: { embedder: 'e' } });
  stage(world, candidate({ needsEmbedding: true }));
  world.finish(`load ${NEW}`);
  world.pass(10_000);
  world.pass(2_000);
  assert.deepEqual(
    world.underWay.filter((name) => name.startsWith('stop')),
    ['stop fast-3'],
  );
  world.finish('stop fast-3');
  assert.deepEqual(world.state.experts.get('e')?.crashesMs, []);
  assert.equal(world.state.leases.size, 0);
});

test('a load that fails for good rolls it back', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`, 'broken');
  assert.equal(outcomeOf(world), 'rolledBack: bad_expert');
});

test('a load that fails is tried once more, and the second failure rolls it back', () => {
  const world = working();
  stage(world);
  world.finish(`load ${NEW}`, 'fail');
  assert.equal(outcomeOf(world), 'selfTest');
  world.pass(nextDueMs(world.state) - world.nowMs);
  world.finish(`load ${NEW}`, 'fail');
  assert.equal(outcomeOf(world), 'rolledBack: cell_exited');
});

test('one process that ends may have been killed by somebody; the second is the version', () => {
  const world = onProbation();
  for (const [cell, then] of [
    ['fast-2', 'probation'],
    ['fast-3', 'rolledBack: cell_exited'],
  ] as const) {
    world.ask(`in-${cell}`, { model: 'a' });
    if (world.underWay.includes(`load ${NEW}`)) world.finish(`load ${NEW}`);
    world.crash(cell);
    assert.equal(outcomeOf(world), then);
    world.finish(`grant in-${cell}`);
    assert.equal(world.endOf(`in-${cell}`), 'a answered');
    world.pass(1_000);
  }
});

test('one that the kernel kills for want of memory is rolled back at once', () => {
  const world = onProbation();
  world.ask('r1', { model: 'a' });
  world.kill(1, 'oom');
  assert.equal(outcomeOf(world), 'rolledBack: out_of_memory');
  world.finish('grant r1');
  assert.equal(world.endOf('r1'), 'a answered');
});

test('one that cannot fit is rolled back without a load: by what was measured, or by its weights', () => {
  for (const fresh of [candidate({ residentMb: 250 }), bound(250, 250)]) {
    const world = working();
    stage(world, fresh);
    assert.equal(outcomeOf(world), 'rolledBack: too_large');
    assert.deepEqual(world.underWay, ['rollout a']);
  }
});

test('one that does not fit beside what is pinned is rolled back', () => {
  const world = working({ others: [expert('kept', { residentMb: 100, pinned: true })] });
  stage(world, candidate({ residentMb: 120 }));
  assert.equal(outcomeOf(world), 'rolledBack: all_pinned');
});

test('a bound that is more than could ever be free is tried with all that could be', () => {
  const world = working({ settings: { budgetBytes: 200 * MB } });
  stage(world, bound(300, 10));
  world.drain();
  world.sample(800 * MB, 0);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('what is pinned while it waits makes its bound smaller again', () => {
  const other = expert('b', { residentMb: 10 });
  const world = working({ others: [other], settings: { budgetBytes: 300 * MB } });
  use(world, 'b');
  world.ask('r1', { model: 'b' });
  world.ask('r2', { model: 'a' });
  stage(world, bound(400, 10));
  world.happen({ type: 'command', command: 'pin', expert: 'b' });
  world.finish('grant r1');
  world.finish('grant r2');
  world.drain();
  world.sample(800 * MB, 0);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('a first load that shows that it does not fit rolls it back', () => {
  const world = working({
    others: [expert('kept', { residentMb: 30, pinned: true })],
    settings: { budgetBytes: 260 * MB },
    trueMb: { [NEW]: 120 },
  });
  stage(world, bound(40, 10));
  world.drain();
  assert.equal(outcomeOf(world), 'rolledBack: all_pinned');
});

test('one in quarantine is rolled back', () => {
  const world = onProbation({ settings: { crashLimit: 1 } });
  world.ask('r1', { model: 'a' });
  world.crash('fast-2');
  assert.match(outcomeOf(world), /^rolledBack: cell_exited/);
  world.finish('grant r1');
  assert.equal(world.endOf('r1'), 'a answered');
});

test('where the old version is in quarantine, a candidate that gave its golden answers takes the place at once', () => {
  for (const then of ['committed', 'rolledBack: bad_expert']) {
    const world = working({ settings: { crashLimit: 1 } });
    stage(world);
    world.finish(`load ${NEW}`);
    world.ask('r1', { model: 'a' });
    world.crash('fast-1');
    assert.equal(world.endOf('r1'), 'cell_exited');
    assert.equal(outcomeOf(world), 'selfTest');
    world.finish(`test ${NEW}`, then === 'committed' ? 'none' : 'broken');
    assert.equal(outcomeOf(world), then);
    world.finish('rollout a');
    world.ask('r2', { model: 'a' });
    world.drain();
    assert.equal(world.endOf('r2'), then === 'committed' ? 'a answered' : 'quarantined');
  }
});

test('a probation of so many answers ends with the last of them', () => {
  const world = onProbation({ canary: { share: 0.5, decisions: 3, ms: null } });
  answer(world, 5);
  assert.equal(outcomeOf(world), 'probation');
  answer(world);
  assert.equal(outcomeOf(world), 'committed');
});

test('a probation of so much time ends though nobody asks', () => {
  const world = onProbation({ canary: { share: 0.5, decisions: null, ms: 600_000 } });
  assert.ok(nextDueMs(world.state) <= world.nowMs + 600_000);
  for (let guard = 0; outcomeOf(world) === 'probation'; guard++) {
    assert.ok(guard < 20 && world.nowMs < 600_000, 'it does not end');
    world.pass(nextDueMs(world.state) - world.nowMs);
  }
  assert.deepEqual([outcomeOf(world), world.nowMs], ['committed', 600_000]);
});

test('what an earlier process saw of a probation counts', () => {
  const world = working();
  stage(world, candidate(), { share: 1, decisions: 10, ms: null }, { answered: 8, elapsedMs: 5 });
  world.finish(`load ${NEW}`);
  world.finish(`test ${NEW}`);
  answer(world);
  assert.equal(outcomeOf(world), 'probation');
  answer(world);
  assert.equal(outcomeOf(world), 'committed');
  assert.equal(world.shelf.told.at(-1)?.progress.answered, 10);
});

test('the catalog is told of a probation when it begins, and at each tenth of it', () => {
  const world = onProbation({ canary: { share: 1, decisions: 40, ms: null } });
  answer(world, 40);
  const told = world.shelf.told.map(({ progress }) => progress.answered);
  assert.deepEqual([told[0], told.at(-1), world.shelf.told.at(-1)?.phase], [0, 40, 'committed']);
  const gaps = told.slice(1, -1).map((count, index) => count - (told[index] ?? 0));
  assert.ok(gaps.length >= 8 && gaps.every((gap) => gap === 4 || gap === 5), gaps.join());
});

test('two failures in more than 2 % of its requests roll it back, one does not', () => {
  const world = onProbation();
  answer(world, 9);
  failAtCandidate(world);
  assert.equal(outcomeOf(world), 'probation');
  failAtCandidate(world);
  assert.equal(outcomeOf(world), 'rolledBack: canary_failed');
});

test('two failures of a hundred and more do not', () => {
  const world = onProbation();
  answer(world, 100);
  failAtCandidate(world, 2);
  assert.equal(outcomeOf(world), 'probation');
});

test('one failure alone counts when a small probation ends', () => {
  const world = onProbation({ canary: { share: 1, decisions: 5, ms: null } });
  failAtCandidate(world);
  answer(world, 4);
  assert.equal(outcomeOf(world), 'probation');
  answer(world);
  assert.equal(outcomeOf(world), 'rolledBack: canary_failed');
});

test('one that is slower than the old one is rolled back at the end, one that is as fast is not', () => {
  for (const [freshMs, then] of [
    [171, 'rolledBack: canary_slow'],
    [170, 'committed'],
  ] as const) {
    const world = onProbation({ canary: { share: 0.5, decisions: 20, ms: null } });
    for (let turn = 0; turn < 40; turn++) {
      world.runMs = turn % 2 === 0 ? 100 : freshMs;
      answer(world);
    }
    assert.equal(outcomeOf(world), then);
  }
});

test('of less than 20 answers of each nothing is said of their speed', () => {
  const world = onProbation({ canary: { share: 0.5, decisions: 19, ms: null } });
  for (let turn = 0; turn < 38; turn++) {
    world.runMs = turn % 2 === 0 ? 1 : 1_000;
    answer(world);
  }
  assert.equal(outcomeOf(world), 'committed');
});

test('its rollout stays to be seen when it is over, and the next one takes its place', () => {
  const world = onProbation({ canary: { share: 1, decisions: 1, ms: null } });
  answer(world);
  world.drain();
  assert.equal(rolloutOf(world).phase, 'committed');
  stage(world, candidate({}, 'a', '3.0.0'), EVERY);
  assert.equal(rolloutOf(world).candidate, 'a@3.0.0');
});

/** Nothing was measured of it: it may take so much, and cannot take less than its weights. */
function bound(mb: number, weightMb: number): ReturnType<typeof candidate> {
  const fresh = candidate({ residentMb: mb, weightBytes: weightMb * MB });
  return { ...fresh, memory: { ...fresh.memory, measured: false } };
}
