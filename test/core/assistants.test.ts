/** Assistants: who finds, who speaks, and what is answered where the language model does not come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedBytes } from '../../agent/residency.ts';
import type { Expert } from '../../agent/types.ts';
import { expert, MB } from './made.ts';
import { type Setting, said, use, worldOf } from './story.ts';
import type { World } from './world.ts';

const model = (change: Partial<Expert> = {}): Expert =>
  expert('lm', { task: 'text-generation', lane: 'heavy', residentMb: 60, ...change });
const assistant = (id: string, base: string | null = 'lm'): Expert =>
  expert(id, { task: 'retrieval', residentMb: 10, assistant: { base } });

function clinic(change: Partial<Setting> = {}): World {
  return worldOf({ experts: [assistant('medical'), assistant('legal'), model()], ...change });
}

/** Both are in memory. */
function warm(world: World): World {
  world.ask('r0', { model: 'medical' });
  world.finish('load medical');
  world.finish('grant r0');
  world.finish('load lm');
  world.finish('grant r0');
  return world;
}

test('the assistant finds, then its base is loaded and speaks', () => {
  const world = clinic();
  assert.deepEqual(said(world.ask('r1', { model: 'medical' })), ['load medical in the new fast-1']);
  assert.deepEqual(said(world.finish('load medical')), ['find sources for r1: medical in fast-1']);
  const { steps, reasons } = world.finish('grant r1');
  assert.deepEqual(said(world.last), ['load lm in the new heavy-2']);
  assert.ok(reasons.includes('lm is to speak for medical, from 2 sources'), reasons.join('; '));
  assert.equal(steps.length, 1);
  const [grant] = world.finish('load lm').steps;
  assert.ok(grant?.type === 'grant' && grant.expert === 'lm');
  assert.deepEqual([grant.purpose, grant.assistant, grant.degraded], ['answer', 'medical', null]);
  world.finish('grant r1');
  assert.equal(world.state.requests.size, 0);
});

test('another assistant loads no other model', () => {
  const world = warm(clinic());
  world.ask('r1', { model: 'legal' });
  world.finish('load legal');
  const spoken = world.finish('grant r1');
  assert.deepEqual(said(spoken), ['grant r1: lm in heavy-2']);
  assert.equal(world.state.experts.get('lm')?.uses, 2);
});

test('without a source the assistant has said it all', () => {
  const world = clinic();
  world.sources = 0;
  use(world, 'medical');
  assert.equal(world.state.requests.size, 0);
  assert.equal(world.state.experts.get('lm')?.uses, 0);
});

test('a base that is not installed leaves the answer to the assistant, and the grant says so', () => {
  const world = worldOf({ experts: [assistant('medical')] });
  world.ask('r1', { model: 'medical' });
  const [grant] = world.finish('load medical').steps;
  assert.ok(grant?.type === 'grant');
  assert.deepEqual([grant.purpose, grant.degraded], ['answer', 'base-not-installed']);
});

test('without a base of its own the generalist speaks, and with none it is an expert like any other', () => {
  const experts = [assistant('medical', null), model()];
  const world = worldOf({ experts, settings: { generalist: 'lm' } });
  world.ask('r1', { model: 'medical' });
  assert.deepEqual(said(world.finish('load medical')), ['find sources for r1: medical in fast-1']);

  const alone = worldOf({ experts });
  alone.ask('r1', { model: 'medical' });
  const [grant] = alone.finish('load medical').steps;
  assert.ok(grant?.type === 'grant');
  assert.deepEqual([grant.purpose, grant.degraded], ['answer', null]);
});

test('a generalist that is no language model, or the assistant itself, does not speak for others', () => {
  for (const generalist of ['spam', 'medical']) {
    const experts = [assistant('medical', null), expert('spam')];
    const world = worldOf({ experts, settings: { generalist } });
    world.ask('r1', { model: 'medical' });
    const [grant] = world.finish('load medical').steps;
    assert.ok(grant?.type === 'grant');
    assert.deepEqual([grant.purpose, grant.degraded], ['answer', null]);
  }
});

test('a base that misses the wait, or cannot fit, or breaks, leaves the answer to what was found', () => {
  const late = clinic();
  late.ask('r1', { model: 'medical', waitMs: 1_000 });
  late.finish('load medical');
  late.finish('grant r1');
  late.pass(1_000);
  assert.deepEqual(said(late.last), ['fall back r1: base-loading']);

  const huge = worldOf({ experts: [assistant('medical'), model({ memory: LARGE })] });
  huge.ask('r1', { model: 'medical' });
  huge.finish('load medical');
  assert.deepEqual(said(huge.finish('grant r1')), ['fall back r1: base-too-large']);

  const broken = clinic();
  broken.ask('r1', { model: 'medical' });
  broken.finish('load medical');
  broken.finish('grant r1');
  assert.deepEqual(said(broken.finish('load lm', 'broken')), ['fall back r1: base-failed']);
  broken.ask('r2', { model: 'medical' });
  const grant = broken.last.steps.find((step) => step.type === 'grant');
  assert.equal(grant?.degraded, 'base-failed', 'it is in quarantine and not asked again');
});

const LARGE = { residentBytes: 900 * MB, loadBytes: 900 * MB, loadMs: 100, measured: true };

test('a base that is removed meanwhile leaves the answer to what was found', () => {
  const world = clinic();
  world.ask('r1', { model: 'medical' });
  world.finish('load medical');
  world.happen({ type: 'removed', expert: 'lm' });
  assert.deepEqual(said(world.finish('grant r1')), ['fall back r1: base-not-installed']);
});

test('a cell that dies while it finds, or while it speaks, is tried once more', () => {
  const world = warm(clinic());
  world.ask('r1', { model: 'medical' });
  world.crash('fast-1');
  world.pass(2_000);
  assert.deepEqual(world.underWay, ['load medical']);
  world.finish('load medical');
  assert.deepEqual(said(world.finish('grant r1')), ['grant r1: lm in heavy-2']);

  const speaks = warm(clinic());
  speaks.ask('r1', { model: 'medical' });
  speaks.finish('grant r1');
  speaks.crash('heavy-2');
  speaks.pass(2_000);
  const [grant] = speaks.finish('load lm').steps;
  assert.ok(grant?.type === 'grant');
  assert.deepEqual([grant.expert, grant.purpose, grant.assistant], ['lm', 'answer', 'medical']);
});

test('an assistant that cannot find is refused as any expert is', () => {
  const world = warm(clinic());
  world.ask('r1', { model: 'medical' });
  assert.deepEqual(said(world.finish('grant r1', 'broken')), ['refuse r1: bad_expert']);
});

test('whoever hangs up between finding and speaking is forgotten', () => {
  const world = warm(clinic());
  world.ask('r1', { model: 'medical' });
  world.hangUp('r1');
  assert.deepEqual(said(world.finish('grant r1')), []);
  assert.equal(world.state.leases.size, 0);
});

test('room for keys and values is charged with the model, and what does not fit with it is refused', () => {
  const cache = { cacheBytes: 50 * MB };
  const world = clinic({ experts: [model(cache)] });
  world.ask('r1', { model: 'lm' });
  assert.equal(committedBytes(world.state), (60 + 38 + 60 + 50) * MB, 'while it loads');
  world.finish('load lm');
  assert.equal(committedBytes(world.state), (60 + 38 + 60 + 50) * MB, 'and after');

  const tight = worldOf({ experts: [model(cache)], settings: { budgetBytes: 200 * MB } });
  assert.deepEqual(said(tight.ask('r1', { model: 'lm' })), ['refuse r1: too_large']);
});

test('another size of the cache counts from the next load on', () => {
  const world = warm(clinic());
  const grown = model({ cacheBytes: 20 * MB });
  assert.deepEqual(said(world.happen({ type: 'installed', expert: grown })), ['unload lm from heavy-2']);
  world.finish('unload lm');
  assert.equal(world.state.experts.get('lm')?.expert.cacheBytes, 20 * MB);
});
