import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../agent/errors.ts';
import type { Golden } from '../agent/golden.ts';
import type { Ask } from '../agent/ports.ts';
import { type Run, type SelfTest, selfTest } from '../agent/selftest.ts';

const goldenOf = (input: string, title = input): Golden => ({ input, output: { title } });
const SEA = goldenOf('sea');
const SKY = goldenOf('sky');

/** A retrieval expert that finds what it is asked for. */
class Finder {
  readonly asked: Ask[] = [];
  readonly run: Run = (ask) => {
    this.asked.push(ask);
    assert.ok(ask.kind === 'chat');
    const passage = { title: ask.question, text: '', source: '', score: 1 };
    return Promise.resolve({ answer: { kind: 'passages', passages: [passage], inputTokens: 0 } });
  };

  test(goldens: readonly Golden[], change: Partial<SelfTest> = {}) {
    return selfTest(this.run, {
      task: 'retrieval',
      goldens,
      embed: () => Promise.resolve(null),
      ...change,
    });
  }
}

test('all are asked, in their order', async () => {
  const finder = new Finder();
  assert.deepEqual(await finder.test([SEA, SKY]), { error: null, given: 2, unjudged: [] });
  assert.deepEqual(
    finder.asked.map((ask) => ask.kind === 'chat' && ask.question),
    ['sea', 'sky'],
  );
});

test('the first that differs ends it, with what was asked and what differs', async () => {
  const finder = new Finder();
  const { error, given } = await finder.test([SEA, goldenOf('sky', 'heaven'), SEA]);
  assert.equal(given, 1);
  assert.equal(finder.asked.length, 2);
  assert.equal(error?.code, 'golden_differs');
  assert.equal(error.message, 'asked "sky", it finds "sky" first, where "heaven" is expected');
  assert.equal(error.retryable, false);
  assert.match(error.hint ?? '', /golden/);
});

test('a long input is cut', async () => {
  const { error } = await new Finder().test([goldenOf('sea '.repeat(1_000), 'x')]);
  assert.ok((error?.message.length ?? 0) < 450, error?.message);
});

test('what a run fails with is what the test fails with', async () => {
  const gone = new AgentError('cell_exited', 'it ended', { retryable: true });
  const tested = await selfTest(() => Promise.reject(gone), {
    task: 'text-generation',
    goldens: [SEA, SKY],
    embed: () => Promise.resolve(null),
  });
  assert.deepEqual(tested, { error: gone.toFailure(), given: 0, unjudged: [] });
});

test('what cannot be asked or judged does not count, and is told', async () => {
  const finder = new Finder();
  const tested = await finder.test([{ input: 'sea', output: 'sea' }, SKY]);
  assert.equal(tested.error, null);
  assert.equal(tested.given, 1);
  assert.match(
    tested.unjudged.join(),
    /^its output is of no form that is known here: the output must be an object$/,
  );
  const unasked = await finder.test([SEA], { task: 'tensor' });
  assert.deepEqual([unasked.error, unasked.given, unasked.unjudged.length], [null, 0, 1]);
  assert.equal(finder.asked.length, 2);
});

test('a question is embedded for a retrieval expert alone; without an embedder it has its words', async () => {
  const finder = new Finder();
  const vector = Float32Array.of(1);
  await finder.test([SEA], { embed: () => Promise.resolve(vector) });
  await finder.test([SEA], { embed: () => Promise.reject(new AgentError('cell_exited', 'it ended')) });
  await finder.test([SEA], {
    task: 'token-classification',
    embed: () => assert.fail('only a retrieval expert is given an embedding'),
  });
  assert.deepEqual(
    finder.asked.map((ask) => ask.kind === 'chat' && ask.embedding),
    [vector, null, null],
  );
});
