import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedOf } from '../agent/asked.ts';
import { chatAbout } from '../agent/asks.ts';
import type { NamedTensor } from '../agent/ports.ts';

const hash = (text: string) => `hash of ${text}`;
const numbers: NamedTensor = { name: 'a', type: 'float32', shape: [2], data: Float32Array.of(1, 2) };
const words: NamedTensor = { name: 'w', type: 'string', shape: [2], data: ['secret', ''] };
const ask = (...inputs: NamedTensor[]) => ({ kind: 'tensors', inputs, outputs: null }) as const;

test('of tensors the record keeps names and shapes, never elements', () => {
  const { text, chars } = askedOf(ask(numbers, words), () => 'x', true);
  assert.equal(text, 'a: float32[2]\nw: string[2]');
  assert.equal(chars, 26);
  assert.equal(askedOf(ask(numbers), () => 'x', false).text, null);
});

test('the hash of tensors tells apart what differs in anything', () => {
  const different = [
    ask(numbers),
    ask({ ...numbers, name: 'b' }),
    ask({ ...numbers, shape: [1, 2] }),
    ask({ ...numbers, data: Float32Array.of(1, 3) }),
    ask({ ...numbers, type: 'int32', data: Int32Array.of(1, 2) }),
    ask(words),
    ask({ ...words, data: ['', 'secret'] }),
    ask({ ...words, data: ['secret","', ''] }),
    ask(numbers, words),
    ask(words, numbers),
  ];
  assert.equal(new Set(different.map((one) => askedOf(one, hash, false).sha256)).size, different.length);
  // A view into a larger buffer is the same tensor as an array of its own.
  const view = { ...numbers, data: Float32Array.of(0, 1, 2).subarray(1) };
  assert.equal(askedOf(ask(view), hash, false).sha256, askedOf(ask(numbers), hash, false).sha256);
});

test('of words it keeps what it kept', () => {
  const texts = { kind: 'embeddings', texts: ['one', 'two'] } as const;
  assert.deepEqual(askedOf(texts, hash, true), { sha256: 'hash of one\ntwo', chars: 7, text: 'one\ntwo' });
  const chat = chatAbout('hi');
  assert.equal(askedOf(chat, hash, true).text, 'user: hi');
  const raw = { ...chat, messages: [], raw: 'Once upon' };
  assert.deepEqual(askedOf(raw, hash, true), { sha256: 'hash of Once upon', chars: 9, text: 'Once upon' });
});
