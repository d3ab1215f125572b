import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitMessage } from '../agent/words.ts';

const FOCUS: readonly (readonly [message: string, focus: string])[] = [
  ['in which language is this: ¿dónde está la biblioteca?', '¿dónde está la biblioteca?'],
  ['in which language is this:¿dónde está?', '¿dónde está?'],
  ['Which language is “où est la gare” please?', 'où est la gare'],
  ['Which language is „wo ist der Bahnhof“?', 'wo ist der Bahnhof'],
  ['Quelle langue : « wo ist der Bahnhof »', 'wo ist der Bahnhof'],
  ['language of `ceci n’est pas une pipe`?', 'ceci n’est pas une pipe'],
  ['language of "ceci n\'est pas une pipe"?', "ceci n'est pas une pipe"],
  ["language of 'ceci n'est pas une pipe'?", "ceci n'est pas une pipe"],
  ['language of ‘ceci n’est pas une pipe’?', 'ceci n’est pas une pipe'],
  ['what is this?\n```python\nprint("hello")\n```', 'print("hello")'],
  ['what is this? ```hola mundo```', 'hola mundo'],
  ['what is this?\n```\nnever closed', 'never closed'],
  ['compare "hola" with "bonjour mes amis"', 'bonjour mes amis'],
  ["don't the dogs' bones hurt?", "don't the dogs' bones hurt?"],
  ['a 5" disk and a 3" disk', 'a 5" disk and a 3" disk'],
  ['see https://example.org/a at 10:30 in C:\\dir', 'see https://example.org/a at 10:30 in C:\\dir'],
  ['std::map of key:value', 'std::map of key:value'],
  ['mixed in a ratio of 3 : 4', 'mixed in a ratio of 3 : 4'],
  ['which language at https://example.org/x: hola amigos', 'hola amigos'],
  ['what is ""?', 'what is ""?'],
  ['nothing after this:', 'nothing after this:'],
  ['言語は：こんにちは', 'こんにちは'],
  ['  what is tachycardia?  ', 'what is tachycardia?'],
];

for (const [message, focus] of FOCUS) {
  test(`the focus of ${JSON.stringify(message)}`, () => {
    assert.equal(splitMessage(message).focus, focus);
  });
}

test('a long quotation leaves the question, a term stays in it', () => {
  const long = splitMessage('Which language is "the patient has a fever" in?');
  assert.equal(long.question.replace(/ +/g, ' '), 'Which language is in?');
  assert.equal(splitMessage('What does "tachycardia" mean?').question, 'What does "tachycardia" mean?');
});

test('what follows the colon leaves the question, unless it is a term or the instruction is one word', () => {
  assert.equal(
    splitMessage('which language is this: el perro es muy grande').question,
    'which language is this',
  );
  assert.equal(splitMessage('please define this: tachycardia').question, 'please define this: tachycardia');
  assert.equal(splitMessage('Note: my heart beats fast').question, 'Note: my heart beats fast');
});

test('prose before a colon is not an instruction', () => {
  const prose = `${'it was a long day and '.repeat(20)}he said: go home now please`;
  assert.equal(splitMessage(prose).focus, prose);
});

test('a message that is all quotation is its own question', () => {
  assert.deepEqual(splitMessage('"donde esta la biblioteca"'), {
    question: '"donde esta la biblioteca"',
    focus: 'donde esta la biblioteca',
  });
});

const marks = fc.constantFrom(
  '"',
  "'",
  '“',
  '”',
  '„',
  '«',
  '»',
  '‘',
  '’',
  '`',
  '```',
  ':',
  ' ',
  '\n',
  'a',
  'é',
  '7',
  '/',
);
const message = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.array(marks).map((parts) => parts.join('')),
);

test('the focus is a piece of the message, and neither part is empty where the message is not', () => {
  fc.assert(
    fc.property(message, (text) => {
      const { question, focus } = splitMessage(text);
      assert.ok(text.includes(focus));
      assert.equal(focus === '', text.trim() === '');
      assert.equal(question === '', text.trim() === '');
    }),
  );
});

test('quoting any words makes them the focus', () => {
  const words = fc.stringMatching(/^[a-z]{1,8}( [a-z]{1,8}){3,8}$/);
  const pair = fc.constantFrom(
    ['"', '"'],
    ['“', '”'],
    ['«', '»'],
    ['„', '“'],
    ['`', '`'],
    ['‘', '’'],
    ["'", "'"],
  );
  fc.assert(
    fc.property(words, pair, (text, [open, close]) => {
      const { question, focus } = splitMessage(`in which language is ${open}${text}${close}?`);
      assert.equal(focus, text);
      assert.ok(!question.includes(text));
    }),
  );
});

test('100,000 hostile characters take a moment, not minutes', () => {
  const size = 100_000;
  const units = [...'"\'“”„«»‘’`:', '```', ' "', " 'a", 'a: ', '“a ', '\n\n', ': ', '"a" ', 'a', 'x:'];
  for (const unit of units) {
    const text = unit.repeat(Math.ceil(size / unit.length));
    const sinceMs = performance.now();
    splitMessage(text);
    const tookMs = performance.now() - sinceMs;
    assert.ok(tookMs < 2_000, `${JSON.stringify(unit)} repeated took ${tookMs} ms`);
  }
});
