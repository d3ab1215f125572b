/** What is kept of conversations, and what is given up for others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contextWithin, PIECE_TOKENS } from '../../../agent/runtime/generation/conversations.ts';
import { BUCKET_TOKENS, CountingModel } from './counting-model.ts';
import { type Asked, speak, staged } from './staged.ts';

/** Tokens that begin like those of no other seed. */
function text(length: number, seed: number): number[] {
  return Array.from({ length }, (_, at) => (at === 0 ? seed % 9 : (at * (seed + 3) + (at >> 2) * seed) % 9));
}

async function tokensRun(given: ReturnType<typeof staged>, what: Asked): Promise<number> {
  const before = given.model.steps.length;
  await speak(given.stage, { limit: 1, ends: [], ...what });
  return given.model.steps.slice(before).reduce((sum, { ids }) => sum + ids.length, 0);
}

test('a follow-up prefills only what is new', async () => {
  const given = staged();
  const first = text(400, 1);
  const answer = await speak(given.stage, { prompt: first, limit: 50, ends: [] });
  assert.deepEqual([answer.cachedTokens, answer.outputTokens], [0, 50]);
  // The last token was said and not run: nobody knew that it would be needed.
  const followUp = [...first, ...[...answer.text].map(Number), ...text(20, 2)];
  const second = await speak(given.stage, { prompt: followUp, limit: 1, ends: [] });
  assert.deepEqual([second.cachedTokens, second.inputTokens], [449, 470]);
  assert.equal(given.model.open.size, 1, 'it is the same conversation that goes on');
});

test('the same prompt again runs one token, and its answer is forgotten', async () => {
  const given = staged();
  const prompt = text(200, 1);
  await speak(given.stage, { prompt, limit: 150, ends: [] });
  assert.equal(await tokensRun(given, { prompt }), 1);
  assert.equal(given.model.open.size, 1);
});

test('two that share a system prompt keep what is their own', async () => {
  const given = staged();
  const system = text(300, 1);
  const [one, two] = [
    [...system, ...text(200, 2)],
    [...system, ...text(200, 3)],
  ];
  await speak(given.stage, { prompt: one, limit: 50, ends: [] });
  const other = await speak(given.stage, { prompt: two, limit: 50, ends: [] });
  assert.equal(other.cachedTokens, 300);
  assert.equal(given.model.open.size, 2);
  for (const prompt of [one, two]) assert.equal(await tokensRun(given, { prompt }), 1);
});

test('a beginning is shared with one that is still under way', async () => {
  const given = staged();
  const system = text(300, 1);
  const ask = (seed: number) =>
    speak(given.stage, { prompt: [...system, ...text(100, seed)], limit: 40, ends: [] });
  const first = ask(2);
  while (given.model.steps.length < 6) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await ask(3)).cachedTokens, 300);
  await first;
});

test('an answer that must be alike takes whole pieces of prompts only, and goes in as it did the first time', async () => {
  const given = staged();
  const prompt = text(3 * PIECE_TOKENS + 40, 1);
  const steps = async (what: Partial<Asked>) => {
    const before = given.model.steps.length;
    await speak(given.stage, { prompt, limit: 20, ends: [], alike: true, ...what });
    return given.model.steps.slice(before).map(({ from, ids }) => `${from}+${ids.length}`);
  };
  const fresh = await steps({});
  assert.deepEqual(fresh.slice(0, 4), ['0+128', '128+128', '256+128', '384+40']);
  assert.deepEqual(await steps({}), fresh.slice(3));
  // One that stopped within a piece leaves that piece, and what follows it, of no use.
  given.stage.conversations.trim();
  await steps({ prompt: prompt.slice(0, PIECE_TOKENS + 20), alike: false });
  await steps({ alike: false });
  assert.deepEqual(await steps({}), fresh.slice(1));
  given.stage.conversations.trim();
  assert.deepEqual(await steps({}), fresh);
});

test('the least recently used are given up first, and all of it when it is told so', async () => {
  const given = staged(3 * 256);
  const prompts = [1, 2, 3, 4].map((seed) => text(200, seed));
  for (const prompt of prompts.slice(0, 3)) await tokensRun(given, { prompt });
  assert.equal(given.stage.conversations.keptBytes, given.model.usedBytes);
  await tokensRun(given, { prompt: prompts[0] ?? [] });
  await tokensRun(given, { prompt: prompts[3] ?? [] });
  assert.equal(await tokensRun(given, { prompt: prompts[0] ?? [] }), 1);
  assert.equal(await tokensRun(given, { prompt: prompts[1] ?? [] }), 200);
  given.stage.conversations.trim();
  assert.deepEqual([given.stage.conversations.keptBytes, given.model.open.size], [0, 0]);
});

test('the youngest gives way, is computed again, and both say what they would have said alone', async () => {
  for (const alike of [false, true]) {
    const given = staged(640);
    const what = (seed: number): Asked => ({ prompt: text(40, seed), limit: 300, ends: [], alike });
    const alone = await Promise.all([1, 2, 3].map(async (seed) => speak(staged().stage, what(seed))));
    const together = await Promise.all([1, 2, 3].map((seed) => speak(given.stage, what(seed))));
    assert.deepEqual(
      together.map((answer) => answer.text),
      alone.map((answer) => answer.text),
    );
    const tokens = given.model.steps.reduce((sum, { ids }) => sum + ids.length, 0);
    assert.ok(tokens > 3 * 339, `${tokens} tokens: nobody gave way`);
  }
});

test('whatever is asked at once: never beyond the bytes, and all of it ends', async () => {
  const one = fc.record({
    seed: fc.nat(3),
    shared: fc.nat(200),
    own: fc.integer({ min: 1, max: 250 }),
    limit: fc.nat(150),
    alike: fc.boolean(),
    cancelAfter: fc.option(fc.nat(60)),
    startAfter: fc.nat(20),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(one, { maxLength: 8 }),
      fc.integer({ min: 20, max: 60 }),
      async (all, buckets) => {
        const given = staged(BUCKET_TOKENS * buckets);
        const { model, stage } = given;
        model.afterStep = () => {
          assert.ok(model.usedBytes <= BUCKET_TOKENS * buckets, `${model.usedBytes} bytes`);
          assert.ok(model.usedBytes <= stage.conversations.usedBytes);
        };
        const answers = await Promise.all(
          all.map(async ({ seed, shared, own, limit, alike, cancelAfter, startAfter }) => {
            for (let turn = 0; turn < startAfter; turn += 1) await new Promise((next) => setImmediate(next));
            const prompt = [...text(shared, 0), ...text(own, seed)];
            const room = stage.contextTokens - prompt.length;
            const from = model.steps.length;
            const cancelled = () => cancelAfter !== null && model.steps.length > from + cancelAfter;
            const what = { prompt, limit: Math.min(limit, room), ends: [], alike };
            return { what, answer: await speak(stage, what, { cancelled }) };
          }),
        );
        for (const { what, answer } of answers) {
          assert.ok(answer.finish === 'cancelled' || answer.outputTokens === what.limit);
          const next = (what.prompt.at(-1) ?? 0) + 1;
          const said = Array.from({ length: answer.outputTokens }, (_, at) => (next + at) % 10).join('');
          assert.equal(answer.text, said);
        }
        assert.equal(stage.conversations.usedBytes, model.usedBytes);
        assert.equal(stage.conversations.keptBytes, model.usedBytes);
      },
    ),
    { numRuns: 150 },
  );
});

test('a context is as long as its memory allows', () => {
  const model = new CountingModel();
  assert.equal(contextWithin(model, 10 * BUCKET_TOKENS, 1_000), 10 * BUCKET_TOKENS);
  assert.equal(contextWithin(model, 10 * BUCKET_TOKENS + 31, 1_000), 10 * BUCKET_TOKENS);
  assert.equal(contextWithin(model, 1e9, 1_000), 1_000);
  assert.equal(contextWithin(model, 10, 1_000), 0);
});
