import assert from 'node:assert/strict';
import { test } from 'node:test';
import { story } from '../../agent/cli/explain.ts';
import type { Explanation } from '../../agent/service.ts';
import { FakeService } from '../fakes/service.ts';

const plain = { bold: (text: string) => text, dim: (text: string) => text };

function told(id: number, change: Partial<Explanation>): string {
  const explanation = new FakeService().explain(id);
  assert.ok(explanation !== null);
  return story({ ...explanation, ...change }, plain);
}

test('an abstention says that nobody was confident', () => {
  const text = told(43, {});
  assert.match(text, /Nobody: no expert was confident, so the agent abstained\./);
  assert.match(text, /Answered that nobody knows\./);
});

test('a failure says why and what to do', () => {
  const failure = { code: 'deadline', message: 'too slow', hint: 'Ask for less.', retryable: true };
  const outcome = { ok: false, failure, stages: {}, language: null, predictedLoadMs: null, loadMs: null };
  assert.match(told(42, { outcome }), /Failed: too slow \(deadline\)\.\n {2}Ask for less\./);
});

test('an entry that is no request tells what happened, and no more', () => {
  const { decision } = new FakeService().explain(43) as Explanation;
  const nothing = { asked: null, choice: null, memory: null, residencyBefore: null, residencyAfter: null };
  const text = story({ ...nothing, decision, policies: null, outcome: null, timeline: [] }, plain);
  assert.match(text, /^Decision 43, [0-9: -]+\n$/);
});

test('a request that is still under way has no outcome yet', () => {
  assert.match(told(42, { outcome: null }), /Outcome\n {2}Not known yet\./);
});

test('a named expert had no rivals', () => {
  const choice = {
    request: 'r',
    expert: 'lang-id',
    confidence: 1,
    candidates: [],
    router: 'named',
    language: null,
    predictedLoadMs: 0,
    residency: 'resident' as const,
  };
  const text = told(42, { choice });
  assert.match(text, /Nobody else: the request named its expert\./);
  assert.doesNotMatch(text, /by the router/);
});

test('heat is told where it is known, and what it did where it did something', () => {
  const memory = new FakeService().explain(42)?.memory;
  assert.ok(memory !== null && memory !== undefined);
  assert.doesNotMatch(told(42, {}), /The device:/, 'rows of early versions know nothing of it');
  const cool = { ...memory, temperatureCelsius: 45, throttled: [], loadCost: 1 };
  assert.match(told(42, { memory: cool }), /^ {2}The device: 45\.0 C\.$/m);
  const hot = { ...memory, temperatureCelsius: 79, throttled: ['under-voltage'], loadCost: 2.8 };
  assert.match(
    told(42, { memory: hot }),
    /^ {2}The device: 79\.0 C, under-voltage, loads cost 2\.8 times as much\.$/m,
  );
});
