/** Assistants through the executor: what their base is told, and what is answered where it cannot speak. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../agent/errors.ts';
import type { Answer, Passage } from '../agent/ports.ts';
import type { Reply } from '../agent/service.ts';
import type { Expert } from '../agent/types.ts';
import { expert } from './core/made.ts';
import { type Caller, Engine, WORDS } from './engine.ts';

const medical = expert('medical', { task: 'retrieval', assistant: { base: 'lm' } });
const model = expert('lm', { task: 'text-generation', lane: 'heavy' });
const fever: Passage = { title: 'fever', text: 'a rise in temperature', source: 'WordNet', score: 0.9 };
const found: Answer = { kind: 'passages', passages: [fever], inputTokens: 3 };

function replyOf(caller: Caller): Reply {
  const [told, ...more] = caller.told;
  assert.ok(told !== undefined && 'reply' in told, JSON.stringify(told));
  assert.deepEqual(more, [], 'told once');
  return told.reply;
}

async function asked(experts = [medical, model], waitMs: number | null = null) {
  const engine = new Engine({ experts, eager: ['lm'] });
  const caller = engine.ask('what is a fever?', 'medical', waitMs);
  for (const kind of ['verify', 'load'] as const) {
    await engine.settled();
    engine.work(kind, 'medical').end();
  }
  await engine.settled();
  return { engine, caller, retrieve: engine.work('run', 'medical') };
}

test('the base speaks from the sources, and the reply names the assistant and holds them', async () => {
  const { engine, caller, retrieve } = await asked();
  retrieve.end(found);
  await engine.settled();
  const { expert: by, answer, sources, degraded } = replyOf(caller);
  assert.deepEqual([by, answer, sources, degraded], ['medical', WORDS, [fever], undefined]);
  const told = engine.asks.at(-1);
  assert.ok(told?.kind === 'chat');
  assert.equal(told.messages[0]?.content, 'I am medical.');
  assert.match(told.messages[1]?.content ?? '', /\[1\] fever: a rise in temperature\n\nwhat is a fever\?$/);
});

test('an assistant that leaves while its base is awaited is spoken for in its own words', async () => {
  const { engine, caller, retrieve } = await asked();
  engine.gone.add('medical');
  retrieve.end(found);
  await engine.settled();
  assert.deepEqual(replyOf(caller).answer, WORDS);
  const told = engine.asks.at(-1);
  assert.ok(told?.kind === 'chat');
  assert.equal(told.messages[0]?.content, 'I am medical.');
});

test('a base that is not there leaves the answer to the assistant, and the reply says so', async () => {
  const { engine, caller, retrieve } = await asked([medical]);
  retrieve.end(found);
  await engine.settled();
  const { answer, degraded, sources } = replyOf(caller);
  assert.deepEqual([answer, degraded, sources], [found, 'base-not-installed', undefined]);
});

test('nothing found is the whole answer', async () => {
  const { engine, caller, retrieve } = await asked();
  const nothing: Answer = { ...found, passages: [] };
  retrieve.end(nothing);
  await engine.settled();
  assert.deepEqual([replyOf(caller).answer, replyOf(caller).degraded], [nothing, undefined]);
});

/** With the base running, before it has said anything. */
async function speaking() {
  const engine = new Engine({ experts: [medical, model] });
  const caller = engine.ask('what is a fever?', 'medical');
  for (const [kind, id] of [
    ['verify', 'medical'],
    ['load', 'medical'],
    ['run', 'medical'],
    ['verify', 'lm'],
    ['load', 'lm'],
  ] as const) {
    await engine.settled();
    engine.work(kind, id).end(kind === 'run' ? found : undefined);
  }
  await engine.settled();
  return { engine, caller, run: engine.work('run', 'lm') };
}

test('a base that fails before it spoke leaves the answer to the sources', async () => {
  const { engine, caller, run } = await speaking();
  run.fail(new AgentError('context_overflow', 'too long'));
  await engine.settled();
  assert.deepEqual([replyOf(caller).answer, replyOf(caller).degraded], [found, 'base-failed']);
  assert.equal(engine.loop.state.leases.size, 0);
});

test('a base that fails while it speaks, or is asked what cannot be, is told as it is', async () => {
  const half = await speaking();
  half.run.onDelta('a rise');
  half.run.fail(new AgentError('bad_logits', 'NaN'));
  await half.engine.settled();
  assert.deepEqual(
    half.caller.told.map((told) => 'refusal' in told && told.refusal.failure.code),
    ['bad_logits'],
  );
  const wrong = await speaking();
  wrong.run.fail(new AgentError('bad_input', 'no such schema'));
  await wrong.engine.settled();
  assert.deepEqual(
    wrong.caller.told.map((told) => 'refusal' in told && told.refusal.failure.code),
    ['bad_input'],
  );
});

test('a base that is late leaves the answer to the sources', async () => {
  const engine = new Engine({ experts: [medical, model] });
  const caller = engine.ask('what is a fever?', 'medical', 5_000);
  for (const kind of ['verify', 'load', 'run'] as const) {
    await engine.settled();
    engine.work(kind, 'medical').end(kind === 'run' ? found : undefined);
  }
  await engine.settled();
  await engine.pass(5_000);
  assert.deepEqual([replyOf(caller).answer, replyOf(caller).degraded], [found, 'base-loading']);
});

/** With a version of one of them on probation that is to take its place. */
async function withCandidate(of: Expert, experts = [medical, model]): Promise<Engine> {
  const fresh = { ...of, id: `${of.id}@2`, candidateOf: of.id };
  const engine = new Engine({ experts, later: [fresh], eager: ['medical'] });
  await engine.settled();
  const canary = { share: 1, decisions: 100, ms: null };
  const progress = { answered: 0, elapsedMs: 0 };
  engine.loop.push({ type: 'staged', expert: fresh, of: of.id, canary, progress });
  for (const kind of ['verify', 'load'] as const) {
    await engine.settled();
    engine.work(kind, fresh.id).end();
  }
  await engine.settled();
  return engine;
}

test('of what the candidate of a base said and took back, nothing goes out with what was found', async () => {
  const engine = await withCandidate(model);
  engine.answers.set('medical', found);
  const caller = engine.ask('what is a fever?', 'medical');
  await engine.settled();
  engine.work('run', 'lm@2').onDelta('half of');
  engine.work('run', 'lm@2').fail(new AgentError('run_failed', 'it broke'));
  await engine.settled();
  // The load of the base itself does not end.
  await engine.pass(30_000);
  const { answer, degraded } = replyOf(caller);
  assert.deepEqual([caller.deltas, answer, degraded], [[], found, 'base-loading']);
});

test('a candidate without its base answers in the name of the expert', async () => {
  const engine = await withCandidate(medical, [medical]);
  const caller = engine.ask('what is a fever?', 'medical');
  await engine.settled();
  engine.work('run', 'medical@2').end(found);
  await engine.settled();
  const { expert: by, degraded } = replyOf(caller);
  assert.deepEqual([by, degraded], ['medical', 'base-not-installed']);
});
