/** What keeps a candidate from its turn, and is none of its faults: others at work, a full disk, a device that is switched off. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expert, MB } from './made.ts';
import { candidate, NEW, onProbation, outcomeOf, rolloutOf, stage, working } from './rollouts.ts';
import { said, use } from './story.ts';

const EMBEDDER = expert('e', { task: 'feature-extraction' });

test('one that has no room beside what is at work drives nobody out, and holds nobody back', () => {
  const settings = { budgetBytes: 300 * MB, embedder: 'e' };
  const world = working({ old: { residentMb: 100 }, others: [expert('idle'), EMBEDDER], settings });
  use(world, 'idle');
  world.ask('long', { model: 'a' });
  stage(world, candidate({ residentMb: 120 }));
  assert.deepEqual(said(world.last), []);
  world.happen({ type: 'command', command: 'unload', expert: 'e' });
  world.finish('unload e');
  world.happen({ type: 'command', command: 'load', expert: 'e' });
  assert.deepEqual(said(world.last), ['load e in fast-1']);
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('a full disk, which takes no record of its load, is none of its faults', () => {
  const world = working();
  stage(world);
  for (let time = 0; time < 5; time++) {
    world.finish(`load ${NEW}`, 'full');
    assert.ok(!world.underWay.includes(`load ${NEW}`), 'not again at once');
    world.pass(10_000);
    for (const name of world.underWay) if (name.startsWith('stop ')) world.finish(name);
  }
  world.drain();
  assert.equal(outcomeOf(world), 'probation');
});

test('who waits for it while the disk is full is answered by the old one, and that counts for nobody', () => {
  const world = onProbation();
  world.crash('fast-2');
  world.ask('r1', { model: 'a' });
  world.finish(`load ${NEW}`, 'full');
  world.finish('grant r1');
  assert.deepEqual([world.endOf('r1'), rolloutOf(world).fresh.failed], ['a answered', 0]);
});

test('a device that is switched off every night comes to the end of a probation of a month', () => {
  const canary = { share: 0.1, decisions: null, ms: 30 * 86_400_000 };
  let progress = { answered: 0, elapsedMs: 0 };
  for (let day = 0; day < 61; day++) {
    const world = working();
    stage(world, candidate(), canary, progress);
    world.drain();
    for (let hour = 0; hour < 12 && outcomeOf(world) === 'probation'; hour++) {
      world.pass(3_600_000);
      world.sample(800 * MB, 0);
    }
    const last = world.shelf.told.at(-1);
    if (last?.phase === 'committed') return;
    progress = last?.progress ?? progress;
  }
  assert.fail(`after two months it has come ${progress.elapsedMs} ms far`);
});
