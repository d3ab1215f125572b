/** A rollout as it is carried out: what a client sees of a candidate, and what the catalog is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../agent/errors.ts';
import type { Answer } from '../agent/ports.ts';
import { expert } from './core/made.ts';
import { type Caller, Engine, WORDS } from './engine.ts';

const a = expert('a', { task: 'text-generation' });
const fresh = { ...expert('a@2', { task: 'text-generation' }), version: '2', candidateOf: 'a' };

function said(text: string): Answer {
  const nothing = { finish: 'stop', inputTokens: 1, outputTokens: 1, cachedTokens: 0, tokens: [] } as const;
  return { kind: 'text', text, ...nothing };
}

/** The only thing that the client was told. */
function toldTo({ told }: Caller): string {
  assert.equal(told.length, 1, JSON.stringify(told));
  const [only] = told;
  if (only === undefined) return 'nothing';
  if ('refusal' in only) return only.refusal.failure.code;
  const { answer, expert: by } = only.reply;
  return `${by}: ${answer?.kind === 'text' ? answer.text : answer?.kind}`;
}

async function engineWith(share: number): Promise<Engine> {
  const engine = new Engine({ experts: [a], later: [fresh] });
  engine.goldens = [{ input: 'what is asked', output: { text: 'words' } }];
  await engine.settled();
  engine.ask('first', 'a');
  await loaded(engine, 'a');
  engine.work('run', 'a').end();
  await engine.settled();
  const canary = { share, decisions: 100, ms: null };
  const progress = { answered: 0, elapsedMs: 0 };
  engine.loop.push({ type: 'staged', expert: fresh, of: 'a', canary, progress });
  await loaded(engine, 'a@2');
  return engine;
}

async function loaded(engine: Engine, id: string): Promise<void> {
  await engine.settled();
  for (const kind of ['verify', 'load'] as const) {
    engine.work(kind, id).end();
    await engine.settled();
  }
}

/** Its golden answer was given: every request goes to it first. */
async function onProbation(): Promise<Engine> {
  const engine = await engineWith(1);
  engine.work('run', 'a@2').end(WORDS);
  await engine.settled();
  assert.deepEqual(
    engine.rollouts.map(({ phase }) => phase),
    ['probation'],
  );
  return engine;
}

test('its load is counted before it begins, and its golden answers are compared', async () => {
  const engine = await engineWith(1);
  assert.deepEqual(engine.attempts, ['a', 'a@2']);
  engine.work('run', 'a@2').end(said('something else'));
  await engine.settled();
  assert.deepEqual(
    engine.rollouts.map(({ phase, why }) => [phase, why?.code]),
    [['rolledBack', 'golden_differs']],
  );
});

test('what it says goes out when it has ended well', async () => {
  const engine = await onProbation();
  const caller = engine.ask('alpha', 'a');
  await engine.settled();
  const run = engine.work('run', 'a@2');
  run.onDelta('wo');
  run.onDelta('rds');
  await engine.settled();
  assert.deepEqual(caller.deltas, []);
  run.end(said('words'));
  await engine.settled();
  assert.deepEqual(caller.deltas, ['wo', 'rds']);
  assert.equal(toldTo(caller), 'a: words');
});

test('of what it fails nothing goes out: the client reads the answer of the old one', async () => {
  const engine = await onProbation();
  const caller = engine.ask('alpha', 'a');
  await engine.settled();
  const run = engine.work('run', 'a@2');
  run.onDelta('no');
  run.fail(new AgentError('run_failed', 'it broke'));
  await engine.settled();
  const old = engine.work('run', 'a');
  old.onDelta('yes');
  old.end(said('yes'));
  await engine.settled();
  assert.deepEqual([caller.deltas, toldTo(caller)], [['yes'], 'a: yes']);
});

test('what both fail is told by the failure of the old one', async () => {
  const engine = await onProbation();
  const caller = engine.ask('alpha', 'a');
  await engine.settled();
  engine.work('run', 'a@2').fail(new AgentError('run_failed', 'it broke'));
  await engine.settled();
  engine.work('run', 'a').fail(new AgentError('context_overflow', 'too long'));
  await engine.settled();
  assert.equal(toldTo(caller), 'context_overflow');
});

test('where its process ends in mid-answer, the old one answers from the beginning', async () => {
  const engine = await onProbation();
  const caller = engine.ask('alpha', 'a');
  await engine.settled();
  engine.work('run', 'a@2').onDelta('no');
  engine.runtime.crash('fast-2');
  await engine.settled();
  engine.work('run', 'a').end(said('yes'));
  await engine.settled();
  assert.deepEqual([caller.deltas, toldTo(caller)], [[], 'a: yes']);
});

for (const how of ['it answers then', 'it fails then', 'its process is killed'] as const) {
  test(`one that is too late says nothing any more, and breaks nothing (${how})`, async () => {
    const engine = await onProbation();
    const caller = engine.ask('alpha', 'a');
    await engine.settled();
    const late = engine.work('run', 'a@2');
    await engine.pass(10_000);
    const old = engine.work('run', 'a');
    old.onDelta('ye');
    late.onDelta('no');
    if (how === 'it answers then') late.end(said('no'));
    if (how === 'it fails then') late.fail(new AgentError('run_failed', 'it broke'));
    if (how === 'its process is killed') await engine.pass(2_000);
    await engine.settled();
    assert.deepEqual(caller.told, []);
    old.onDelta('s');
    old.end(said('yes'));
    await engine.settled();
    assert.deepEqual([caller.deltas, toldTo(caller)], [['ye', 's'], 'a: yes']);
  });
}
