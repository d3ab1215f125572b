import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatAbout } from '../agent/asks.ts';
import { AS_MADE } from '../agent/generation.ts';
import type { ChatMessage, Passage } from '../agent/ports.ts';
import { askForAssistant, sourcesOf } from '../agent/speaking.ts';

const passage = (title: string, score: number, text = `about ${title}`): Passage => ({
  title,
  text,
  source: 'a book',
  score,
});

test('sources are what is nearly as good as the best, and three at most', () => {
  const all = [passage('a', 0.8), passage('b', 0.5), passage('c', 0.39), passage('d', 0.7)];
  assert.deepEqual(
    sourcesOf(all).map(({ title }) => title),
    ['a', 'b', 'd'],
  );
  assert.equal(sourcesOf(Array.from({ length: 9 }, () => passage('x', 0.5))).length, 3);
  assert.deepEqual(sourcesOf([]), []);
});

test('the words of the assistant come first and never change, the sources right before the question', () => {
  const history: ChatMessage[] = [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: 'hello' },
    { role: 'assistant', content: 'hi' },
    { role: 'user', content: 'what is a fever?' },
  ];
  const ask = chatAbout('what is a fever?', { messages: history });
  const told = askForAssistant(ask, 'You explain.', [passage('fever', 0.9), passage('', 0.8, 'hot')]);
  assert.deepEqual(told.messages, [
    { role: 'system', content: 'You explain.\n\nBe short.' },
    { role: 'user', content: 'hello' },
    { role: 'assistant', content: 'hi' },
    { role: 'user', content: 'Sources:\n[1] fever: about fever\n[2] hot\n\nwhat is a fever?' },
  ]);
  assert.deepEqual(ask.messages, history, 'the request stays as it came');
});

test('what the client leaves open is one paragraph of the likeliest words; what he says counts', () => {
  const open = askForAssistant(chatAbout('x'), 'You explain.', []).generation;
  assert.deepEqual([open.temperature, open.stop, (open.maxTokens ?? 0) > 0], [0, ['\n\n'], true]);
  const generation = { ...AS_MADE, temperature: 0.7, stop: ['END'], maxTokens: 9 };
  assert.deepEqual(
    askForAssistant(chatAbout('x', { generation }), 'You explain.', []).generation,
    generation,
  );
  const json = { ...AS_MADE, format: { kind: 'json-object' } } as const;
  assert.deepEqual(askForAssistant(chatAbout('x', { generation: json }), 'X.', []).generation.stop, []);
});

test('a raw prompt is the question, and a long source is cut', () => {
  const ask = chatAbout('', { raw: 'define fever', messages: [] });
  const { messages, raw } = askForAssistant(ask, 'You explain.', [passage('x', 1, 'y'.repeat(5_000))]);
  assert.equal(raw, null);
  assert.equal(messages.length, 2);
  assert.match(messages[1]?.content ?? '', /^Sources:\n\[1\] x: y{600,700}\.\.\.\n\ndefine fever$/);
});
