import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percent, wordAbstention, wordAnswer } from '../../agent/http/wording.ts';
import type { Answer, Label } from '../../agent/ports.ts';
import { FakeService, said } from '../fakes/service.ts';

const labels = (...list: Label[]): Answer => ({ kind: 'labels', labels: list, inputTokens: 1 });

test('language tags get their names, and likely alternatives are mentioned', () => {
  const answer = labels(
    { label: 'pt', score: 0.6 },
    { label: 'gl', score: 0.3 },
    { label: 'es', score: 0.02 },
  );
  assert.equal(wordAnswer(answer, 'text'), 'Portuguese (pt), 60 %; or Galician (gl), 30 %');
});

test('labels that are not language tags stay as they are', () => {
  assert.equal(wordAnswer(labels({ label: 'spam', score: 0.9 }), 'text'), 'spam, 90 %');
  const yesNo = labels({ label: 'no', score: 0.95 }, { label: 'maybe', score: 0.05 });
  assert.equal(wordAnswer(yesNo, 'text'), 'no, 95 %');
});

test('a per cent is never certain unless the score is', () => {
  assert.deepEqual([1, 0.999, 0.994, 0.5, 0.001, 0].map(percent), [
    '100 %',
    'over 99 %',
    '99 %',
    '50 %',
    'under 1 %',
    '0 %',
  ]);
});

test('passages share a list of sources', () => {
  const passage = (title: string, source: string) => ({ title, text: 'text', source, score: 0.5 });
  const passages = [passage('a', 'X'), passage('b', 'Y'), passage('c', 'X')];
  const text = wordAnswer({ kind: 'passages', passages, inputTokens: 1 }, 'text');
  assert.equal(text, 'a: text [1]\n\nb: text [2]\n\nc: text [1]\n\nSources:\n[1] X\n[2] Y');
});

test('rewritten text as JSON is itself where it is an object, else wrapped', () => {
  assert.equal(wordAnswer(said('{"a": 1}'), 'json'), '{"a": 1}');
  assert.equal(wordAnswer(said('[1]'), 'json'), '{"text":"[1]"}');
  assert.equal(wordAnswer(said('so {'), 'json'), '{"text":"so {"}');
});

test('an abstention with nothing installed says so', () => {
  assert.match(wordAbstention([], 'text'), /none is installed/);
  assert.equal(JSON.parse(wordAbstention([], 'json')).abstained, true);
});

test('a request in a language that no expert is made for is answered with just that', () => {
  const service = new FakeService();
  const experts = service.experts().map((one) => ({ ...one, languages: ['en'] }));
  assert.match(wordAbstention(experts, 'text', 'de'), /none is made for German/);
  assert.doesNotMatch(wordAbstention(experts, 'text', 'en-GB'), /is made for/);
  assert.doesNotMatch(wordAbstention(experts, 'text', null), /is made for/);
  assert.equal(JSON.parse(wordAbstention(experts, 'json', 'de')).language, 'de');
});
