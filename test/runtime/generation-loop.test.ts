/** The loop alone, over a model that only counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Generation, generate, PREFILL_TOKENS } from '../../agent/runtime/tasks/generation-loop.ts';
import { Sampler } from '../../agent/runtime/tasks/generation-sampler.ts';
import { StopScanner } from '../../agent/runtime/tasks/generation-stop.ts';
import { TextStream } from '../../agent/runtime/tasks/generation-tokens.ts';

const VOCABULARY = 10;
const END = 9;

/** After token n comes n + 1, said as a digit; what it was fed is in `steps`. It never lets the event loop turn. */
function counting(prompt: readonly number[], limit = 100) {
  const steps: (readonly [kind: 'append' | 'predict', ids: readonly number[]])[] = [];
  const generation: Generation = {
    sequence: {
      append: async (ids) => void steps.push(['append', ids]),
      predict: async (ids) => {
        steps.push(['predict', ids]);
        const next = ((ids.at(-1) ?? 0) + 1) % VOCABULARY;
        return Float32Array.from({ length: VOCABULARY }, (_, id) => (id === next ? 1 : 0));
      },
    },
    sampler: new Sampler({ temperature: 0, seed: 0 }),
    text: new TextStream((ids) => ids.join('')),
    stops: new StopScanner([]),
    prompt,
    endIds: new Set([END]),
    limit,
  };
  return { generation, steps };
}

const run = { cancelled: () => false, onDelta: () => {}, spent: () => {} };

test('a prompt goes in in pieces, all of it once, and only the last one is asked for logits', async () => {
  for (const length of [1, PREFILL_TOKENS - 1, PREFILL_TOKENS, PREFILL_TOKENS + 1, 3 * PREFILL_TOKENS]) {
    const prompt = Array.from({ length }, (_, at) => at % 5);
    const { generation, steps } = counting(prompt, 1);
    const answer = await generate(generation, run);
    assert.deepEqual(
      steps.flatMap(([, ids]) => ids),
      prompt,
    );
    assert.ok(steps.every(([, ids]) => ids.length > 0 && ids.length <= PREFILL_TOKENS));
    assert.deepEqual(steps.map(([kind]) => kind).lastIndexOf('append'), steps.length - 2);
    assert.deepEqual([answer.inputTokens, answer.outputTokens, answer.finish], [length, 1, 'length']);
  }
});

test('each token is fed once, and the one that ends the answer is neither said nor counted', async () => {
  const { generation, steps } = counting([3, 4]);
  const answer = await generate(generation, run);
  assert.deepEqual(answer, { kind: 'text', text: '5678', finish: 'stop', inputTokens: 2, outputTokens: 4 });
  assert.deepEqual(
    steps.map(([, ids]) => ids),
    [[3, 4], [5], [6], [7], [8]],
  );
});

test('a message that arrives while it runs is heard before the next step', async () => {
  const { generation } = counting([0]);
  let gone = false;
  setImmediate(() => {
    gone = true;
  });
  const answer = await generate(generation, { ...run, cancelled: () => gone });
  assert.equal(answer.finish, 'cancelled');
});

test('what a step costs is counted as the time of the run', async () => {
  const { generation } = counting([0], 3);
  const stages: string[] = [];
  await generate(generation, { ...run, spent: (stage, ms) => stages.push(`${stage}${ms >= 0}`) });
  assert.deepEqual(stages, ['runtrue', 'runtrue', 'runtrue']);
});
