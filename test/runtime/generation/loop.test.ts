/** The loop alone, over a model that only counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Piece } from '../../../agent/generation.ts';
import { PIECE_TOKENS } from '../../../agent/runtime/generation/conversations.ts';
import { generate } from '../../../agent/runtime/generation/loop.ts';
import { Turns } from '../../../agent/runtime/generation/turns.ts';
import { asked, RUN, speak, staged } from './staged.ts';

/** No end and no repetition of a beginning: 0 0 1 0 2 ... in the digits 0 to 8. */
function promptOf(length: number, seed = 0): number[] {
  return Array.from({ length }, (_, at) => (((at * at + seed) * 7 + (at >> 3)) % 9) % 8);
}

test('a prompt goes in in pieces, all of it once, and only the last one is asked for logits', async () => {
  for (const length of [1, PIECE_TOKENS - 1, PIECE_TOKENS, PIECE_TOKENS + 1, 3 * PIECE_TOKENS]) {
    const { model, stage } = staged();
    const prompt = promptOf(length);
    const answer = await speak(stage, { prompt, limit: 1 });
    assert.deepEqual(
      model.steps.flatMap(({ ids }) => ids),
      prompt,
    );
    assert.ok(model.steps.every(({ ids }) => ids.length <= PIECE_TOKENS));
    assert.ok(model.steps.every(({ from }) => from % PIECE_TOKENS === 0));
    assert.deepEqual(model.steps.map(({ kind }) => kind).lastIndexOf('append'), model.steps.length - 2);
    assert.deepEqual([answer.inputTokens, answer.outputTokens, answer.finish], [length, 1, 'length']);
  }
});

test('each token is fed once, and the one that ends the answer is neither said nor counted', async () => {
  const { model, stage } = staged();
  const answer = await speak(stage, { prompt: [3, 4] });
  assert.deepEqual(answer, {
    kind: 'text',
    text: '5678',
    finish: 'stop',
    inputTokens: 2,
    outputTokens: 4,
    cachedTokens: 0,
    tokens: [],
  });
  assert.deepEqual(
    model.steps.map(({ ids }) => ids),
    [[3, 4], [5], [6], [7], [8]],
  );
});

test('a limit of nothing runs nothing, and one of a billion ends where the model ends', async () => {
  const { model, stage } = staged();
  const nothing = await speak(stage, { prompt: [3], limit: 0 });
  assert.deepEqual([nothing.text, nothing.finish, model.steps.length], ['', 'length', 0]);
  const much = await speak(stage, { prompt: [3], limit: 1e9 });
  assert.deepEqual([much.text, much.finish], ['45678', 'stop']);
});

test('a message that arrives while it runs is heard before the next step', async () => {
  const { model, stage } = staged();
  let gone = false;
  setImmediate(() =>
    setImmediate(() => {
      gone = true;
    }),
  );
  const answer = await speak(stage, { prompt: [0], ends: [] }, { cancelled: () => gone });
  assert.equal(answer.finish, 'cancelled');
  assert.ok(model.steps.length <= 3, `${model.steps.length} steps`);
});

test('a cancel ends a prompt after the piece under way, and another run goes on', async () => {
  const { model, stage } = staged();
  let isGone = false;
  model.afterStep = () => {
    if (model.steps.length === 2) isGone = true;
  };
  const [gone, stays] = await Promise.all([
    speak(stage, { prompt: promptOf(2_000) }, { cancelled: () => isGone }),
    speak(stage, { prompt: [3] }),
  ]);
  assert.equal(gone.finish, 'cancelled');
  assert.ok(model.steps.filter(({ ids }) => ids.length > 1).length <= 2);
  assert.equal(stays.text, '45678');
  assert.equal(stage.conversations.usedBytes, model.usedBytes);
});

test('a long prompt does not stall an answer: at most one of its pieces between two tokens', async () => {
  const { model, stage } = staged();
  const order: string[] = [];
  const longs = speak(stage, { prompt: promptOf(3_000), limit: 1 });
  const short = generate(
    stage,
    asked({ prompt: [1], limit: 30, ends: [] }, () => order.push('token')),
    RUN,
  );
  model.afterStep = () => {
    if ((model.steps.at(-1)?.ids.length ?? 0) > 1) order.push('piece');
  };
  await Promise.all([longs, short]);
  assert.doesNotMatch(order.slice(0, order.lastIndexOf('token')).join(' '), /piece piece/);
  assert.ok(order.indexOf('piece') < order.indexOf('token') + 10);
});

test('what a step costs is counted as the time of its stage', async () => {
  const { stage } = staged();
  const stages: string[] = [];
  const prompt = promptOf(PIECE_TOKENS + 1);
  await speak(
    stage,
    { prompt, limit: 3, ends: [] },
    { spent: (name, ms) => stages.push(`${name} ${ms >= 0}`) },
  );
  assert.deepEqual(stages, ['prefill true', 'prefill true', 'decode true', 'decode true']);
});

test('the tokens that are told of go with the text that they complete', async () => {
  const { stage } = staged();
  const pieces: Piece[] = [];
  const what = { prompt: [1], logprobs: 2, stops: ['56', '89'] };
  const answer = await generate(
    stage,
    asked(what, (piece) => pieces.push(piece)),
    RUN,
  );
  assert.equal(answer.text, '234');
  assert.deepEqual(
    answer.tokens.map(({ text, top }) => [text, top.length]),
    [
      ['2', 2],
      ['3', 2],
      ['4', 2],
    ],
  );
  for (const { text, tokens } of pieces) assert.equal(tokens.map((token) => token.text).join(''), text);
  assert.deepEqual(
    pieces.flatMap(({ tokens }) => tokens),
    answer.tokens,
  );
});

test('a constraint says what may come, is told what came, and ends the answer when it is complete', async () => {
  const { stage } = staged();
  const told: number[] = [];
  const lefts: number[] = [];
  let released = 0;
  const constraint = {
    allowed: (left: number) => {
      lefts.push(left);
      // Any even token.
      return Int32Array.of(0b0101010101);
    },
    accept: (id: number) => void told.push(id),
    get complete() {
      return told.length === 3;
    },
    release: () => {
      released += 1;
    },
  };
  const generating = asked({ prompt: [1], limit: 10, constraint });
  const answer = await generate(stage, generating, RUN);
  generating.chooser.release();
  // 2 follows 1; what follows 2 is odd, so the first of the equals that are left comes: 0, twice.
  assert.deepEqual([answer.text, answer.finish, told], ['200', 'stop', [2, 0, 0]]);
  assert.deepEqual([lefts, released], [[10, 9, 8], 1]);
});

test('whoever takes long to choose a token waits for it, and nobody else', async () => {
  const { model, stage } = staged();
  let chosenMs = 0;
  const turns = new Turns(() => 10 * model.steps.length + chosenMs);
  let [quickTokens, masks] = [0, 0];
  const quick = asked({ prompt: [1], limit: 60, ends: [] }, () => {
    quickTokens += 1;
  });
  const constraint = {
    allowed: () => {
      // The second mask comes when the others have had as much time as the first one took.
      if (masks === 1) assert.ok(quickTokens >= 45, `${quickTokens} tokens`);
      masks += 1;
      chosenMs += 500;
      return null;
    },
    accept: () => {},
    complete: false,
    release: () => {},
  };
  const slow = asked({ prompt: [2], limit: 3, ends: [], constraint });
  await Promise.all([slow, quick].map((one) => generate({ ...stage, turns }, one, RUN)));
  assert.equal(masks, 3);
});

test('a run that fails leaves nothing behind', async () => {
  const { model, stage } = staged();
  await speak(stage, { prompt: promptOf(40), limit: 5 });
  model.afterStep = () => {
    throw new Error('the graph failed');
  };
  await assert.rejects(speak(stage, { prompt: promptOf(60, 3) }), /the graph failed/);
  model.afterStep = () => {};
  assert.equal(model.open.size, 1, 'only what the first one keeps');
  assert.equal((await speak(stage, { prompt: [3] })).text, '45678');
});
