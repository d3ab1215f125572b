import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SaidToken } from '../agent/generation.ts';
import { askForGolden, askOfGolden, goldenOutput, judgeGolden } from '../agent/golden.ts';
import type { Answer } from '../agent/ports.ts';
import type { Task } from '../agent/types.ts';

const TEXTS = ['text-classification', 'token-classification', 'retrieval', 'text-generation'] as const;

const labels = (...scores: readonly (readonly [string, number])[]): Answer => ({
  kind: 'labels',
  labels: scores.map(([label, score]) => ({ label, score })),
  inputTokens: 1,
});
const passages = (...titles: readonly string[]): Answer => ({
  kind: 'passages',
  passages: titles.map((title) => ({ title, text: '', source: '', score: 1 })),
  inputTokens: 0,
});
const vectors = (...numbers: readonly number[]): Answer => ({
  kind: 'embeddings',
  vectors: [Float32Array.from(numbers)],
  inputTokens: 1,
});
const text = (
  said: string,
  finish: 'stop' | 'length' = 'stop',
  tokens: readonly SaidToken[] = [],
): Extract<Answer, { kind: 'text' }> => ({
  ...{ kind: 'text', text: said, finish, inputTokens: 1, outputTokens: 1, cachedTokens: 0 },
  tokens,
});

function isSame(task: Task, expected: unknown, answer: Answer): void {
  assert.deepEqual(judgeGolden(task, expected, answer), { kind: 'same' });
}

function differs(task: Task, expected: unknown, answer: Answer, how: string | RegExp): void {
  const verdict = judgeGolden(task, expected, answer);
  assert.equal(verdict.kind, 'different');
  if (typeof how === 'string') assert.equal(verdict.difference, how);
  else assert.match(verdict.difference, how);
}

describe('what is asked', () => {
  test('a text is asked for its likeliest answer, which ends soon; a question takes its embedding along', () => {
    const embedding = Float32Array.of(1);
    for (const task of TEXTS) {
      const ask = askOfGolden(task, 'what "is" it?', embedding);
      assert.ok(ask.kind === 'chat');
      assert.deepEqual(ask.messages, [{ role: 'user', content: 'what "is" it?' }]);
      assert.deepEqual([ask.question, ask.focus, ask.raw], ['what "is" it?', 'what "is" it?', null]);
      assert.equal(ask.embedding, embedding);
      const { temperature, maxTokens, logprobs } = ask.generation;
      assert.deepEqual([temperature, maxTokens, logprobs], [0, 16, null]);
    }
  });

  test('a vector is asked for as such', () => {
    assert.deepEqual(askOfGolden('feature-extraction', 'x', null), { kind: 'embeddings', texts: ['x'] });
  });

  test('whoever writes one asks the same, and how sure it was', () => {
    const asked = askOfGolden('text-generation', 'x', null);
    const told = askForGolden('text-generation', 'x');
    assert.ok(asked.kind === 'chat' && told.kind === 'chat');
    assert.deepEqual(told, { ...asked, generation: { ...asked.generation, logprobs: 2 } });
  });
});

describe('vectors', () => {
  const expected = { first: [0.5, -0.25], tolerance: 0.01 };

  test('the first numbers count, each within the tolerance', () => {
    isSame('feature-extraction', expected, vectors(0.505, -0.255, 9, 9));
    isSame('feature-extraction', { first: [0.5] }, vectors(0.515));
    differs(
      'feature-extraction',
      expected,
      vectors(0.5, 0.25, 9),
      'number 1 of its vector is 0.25, where -0.25 is expected (within 0.01)',
    );
    differs('feature-extraction', { first: [0.5] }, vectors(0.525), /\(within 0\.02\)/);
  });

  test('what is not there, or no number, is not near', () => {
    differs('feature-extraction', expected, vectors(0.5), 'its vector has 1 numbers, where 2 are expected');
    differs('feature-extraction', expected, { kind: 'embeddings', vectors: [], inputTokens: 0 }, /has 0/);
    differs('feature-extraction', expected, vectors(Number.NaN, -0.25), /is NaN, where 0\.5/);
  });
});

describe('labels', () => {
  const expected = { label: 'spam', score: 0.9, tolerance: 0.02 };

  test('the first label and its score count', () => {
    isSame('text-classification', expected, labels(['spam', 0.915], ['ham', 0.085]));
    isSame('text-classification', { label: 'spam' }, labels(['spam', 0.4], ['ham', 0.3]));
    differs(
      'text-classification',
      expected,
      labels(['ham', 0.9], ['spam', 0.1]),
      'its label is "ham" (0.9), where "spam" is expected',
    );
    differs(
      'text-classification',
      expected,
      labels(['spam', 0.8], ['ham', 0.2]),
      'the score of "spam" is 0.8, where 0.9 is expected (within 0.02)',
    );
    differs('text-classification', expected, labels(), 'its label is nothing, where "spam" is expected');
    differs('text-classification', expected, labels(['spam', Number.NaN]), /is NaN/);
  });

  test('of two that are as likely, either may come first', () => {
    const even = { label: 'spam', score: 0.505, tolerance: 0.02 };
    isSame('text-classification', even, labels(['ham', 0.505], ['spam', 0.495]));
    differs('text-classification', even, labels(['ham', 0.515], ['spam', 0.485]), /its label is "ham"/);
  });
});

describe('passages and texts', () => {
  test('the first passage is the one', () => {
    isSame('retrieval', { title: 'gout' }, passages('gout', 'arthritis'));
    differs(
      'retrieval',
      { title: 'gout' },
      passages('arthritis', 'gout'),
      'it finds "arthritis" first, where "gout" is expected',
    );
    differs('retrieval', { title: 'gout' }, passages(), 'it finds nothing, where "gout" is expected');
  });

  test('a text that becomes another is compared whole', () => {
    isSame('token-classification', 'été', text('été'));
    differs('token-classification', 'été', text('été.'), 'it says "été.", where "été" is expected');
    differs('token-classification', 'été', text('ét'), /^it says "ét"/);
  });

  test('an answer is compared as far as both go, if it did not end by itself', () => {
    const expected = { text: 'Paris is the capital' };
    isSame('text-generation', expected, text('Paris is the capital of France.'));
    isSame('text-generation', expected, text('Paris is', 'length'));
    differs(
      'text-generation',
      expected,
      text('Paris'),
      'it says "Paris", where "Paris is the capital" is expected',
    );
    differs('text-generation', expected, text('', 'length'), /^it says ""/);
    differs('text-generation', expected, text('Paris was the', 'length'), /^it says "Paris was the"/);
  });

  test('of long texts, what is around the first difference is shown, and no more', () => {
    const same = 'all is the same here; '.repeat(50);
    const verdict = judgeGolden('token-classification', `${same}A${same}`, text(`${same}B${same}`));
    assert.ok(verdict.kind === 'different');
    assert.match(
      verdict.difference,
      /"\.\.\..*same here; B.*\.\.\.", where "\.\.\..*same here; A.*\.\.\." is expected/,
    );
    assert.ok(verdict.difference.length < 400, verdict.difference);
  });
});

describe('what nobody can judge', () => {
  test('an output of no known form is no pass', () => {
    const odd: readonly (readonly [Task, unknown, Answer])[] = [
      ['feature-extraction', { first: [] }, vectors(1)],
      ['feature-extraction', { first: [1], tolerance: -1 }, vectors(1)],
      ['feature-extraction', [1], vectors(1)],
      ['text-classification', { score: 1 }, labels(['a', 1])],
      ['text-classification', 'a', labels(['a', 1])],
      ['retrieval', { text: 'a' }, passages('a')],
      ['token-classification', { text: 'a' }, text('a')],
      ['text-generation', { text: '' }, text('a')],
      ['text-generation', null, text('a')],
      ['tensor', { outputs: [] }, { kind: 'tensors', outputs: [], inputTokens: 0 }],
    ];
    for (const [task, output, answer] of odd) {
      const verdict = judgeGolden(task, output, answer);
      assert.equal(verdict.kind, 'unjudged', `${task} ${JSON.stringify(output)}`);
      assert.match(verdict.why, /^its output is of no form that is known here: /);
    }
  });

  test('an answer of another kind is another answer', () => {
    differs('retrieval', { title: 'a' }, text('a'), 'it answers with text');
  });
});

describe('what is kept of an answer', () => {
  const token = (said: string | Uint8Array, gap: number, id = 1): SaidToken => {
    const bytes = Buffer.from(said);
    const chance = (one: number, logprob: number) => ({ id: one, text: bytes.toString(), bytes, logprob });
    return { ...chance(id, -0.1), top: [chance(id, -0.1), chance(id + 1, -0.1 - gap)] };
  };
  const kept = (said: string, ...tokens: readonly SaidToken[]) => goldenOutput(text(said, 'length', tokens));

  test('a text as far as it is sure', () => {
    const [sure, more, unsure] = [token('Paris', 9), token(' is', 1.5), token(' the', 0.3)];
    assert.deepEqual(kept('Paris is', sure, more), { text: 'Paris is' });
    assert.deepEqual(kept('Paris is the', sure, more, unsure), { text: 'Paris is' });
    assert.equal(kept(' the is', unsure, more), null);
    // As a tokenizer has it that writes a space before the first word.
    assert.deepEqual(kept('Paris the', token(' Paris', 9), unsure), { text: 'Paris' });
  });

  test('a token that another was likelier than is not sure', () => {
    const pushed: SaidToken = { ...token('b', 9), id: 7, logprob: -5 };
    assert.deepEqual(kept('ab', token('a', 9), pushed), { text: 'a' });
  });

  test('half a character is none', () => {
    const [one, two] = [Buffer.from('aé').subarray(0, 2), Buffer.from('é').subarray(1)];
    assert.deepEqual(kept('aé', token(one, 9), token(two, 0)), { text: 'a' });
  });

  test('a passage and tensors are for the maker to write', () => {
    assert.equal(goldenOutput(passages('a')), null);
    assert.equal(goldenOutput({ kind: 'tensors', outputs: [], inputTokens: 0 }), null);
  });

  test('property: an expert that says the same again has given its golden answer', () => {
    const score = fc.float({ min: 0, max: 1, noNaN: true });
    const answers = fc.oneof(
      fc
        .array(fc.tuple(fc.string({ minLength: 1 }), score), { minLength: 1, maxLength: 5 })
        .map((all) => ['text-classification', labels(...all.toSorted((a, b) => b[1] - a[1]))] as const),
      fc
        .array(fc.float({ min: -1, max: 1, noNaN: true }), { minLength: 1 })
        .map((all) => ['feature-extraction', vectors(...all)] as const),
      fc
        .tuple(fc.string({ minLength: 1, unit: 'binary' }), fc.constantFrom('stop', 'length'))
        .map(([said, finish]) => ['text-generation', text(said, finish)] as const),
    );
    fc.assert(
      fc.property(answers, ([task, answer]) => {
        // As it comes back from expert.json.
        const output: unknown = JSON.parse(JSON.stringify(goldenOutput(answer)));
        isSame(task, output, answer);
      }),
    );
  });
});
