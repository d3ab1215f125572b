import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Turn, Turns } from '../../../agent/runtime/generation/turns.ts';

/** Turns on a clock that only steps move. */
function onAClock() {
  let nowMs = 0;
  const turns = new Turns(() => nowMs);
  const order: string[] = [];
  const stay = () => false;
  /** Does `steps` steps of `ms` each, one right after the other. */
  const work = async (name: string, steps: number, ms: number, turn: Turn = turns.join(stay)) => {
    for (let step = 0; step < steps; step += 1)
      await turn.step(async () => {
        order.push(name);
        await Promise.resolve();
        nowMs += ms;
      });
    turn.leave();
  };
  return { turns, order, work };
}

test('steps of two never overlap, and both get half of the time', async () => {
  const { order, work } = onAClock();
  await Promise.all([work('prompt', 4, 100), work('answer', 40, 10)]);
  // Ten short steps for one long one, from the beginning.
  const runs =
    order
      .join(' ')
      .match(/(answer ?)+/g)
      ?.map((run) => run.trim().split(' ').length) ?? [];
  assert.ok(
    runs.every((length) => length <= 11),
    order.join(' '),
  );
  assert.ok(order.lastIndexOf('prompt') > 30, order.join(' '));
});

test('a newcomer counts as one who has used what the least of those present has', async () => {
  const { order, work } = onAClock();
  const old = work('old', 20, 10);
  while (order.length < 10) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([old, work('new', 10, 10)]);
  const first = order.indexOf('new');
  const between = order.slice(first, first + 10).filter((name) => name === 'old').length;
  assert.ok(between >= 4 && between <= 6, order.join(' '));
});

test('the event loop turns between two steps', async () => {
  const { turns } = onAClock();
  const turn = turns.join(() => false);
  let heard = false;
  await turn.step(async () => {
    setImmediate(() => {
      heard = true;
    });
  });
  await turn.step(async () => assert.ok(heard));
});

test('who is leaving is let go before all others', async () => {
  const { turns, order, work } = onAClock();
  let isGone = false;
  const leaving = turns.join(() => isGone);
  // It has used far more than anybody.
  await work('heavy', 1, 10_000, { ...leaving, leave: () => {} });
  const others = [work('one', 5, 1), work('two', 5, 1)];
  const last = leaving.step(async () => {
    order.push('gone');
    leaving.leave();
  });
  isGone = true;
  await Promise.all([...others, last]);
  assert.equal(order.indexOf('gone'), 1);
});

test('who yields waits for a step of another, and never for nobody', async () => {
  const { turns, order, work } = onAClock();
  const turn = turns.join(() => false);
  turn.yieldOnce();
  await work('alone', 1, 1, { ...turn, leave: () => {} });
  const other = turns.join(() => false);
  turn.yieldOnce();
  await Promise.all([work('yielding', 2, 1, turn), work('other', 2, 50, other)]);
  assert.deepEqual(order.slice(0, 3), ['alone', 'other', 'yielding']);
  const third = turns.join(() => false);
  const fourth = turns.join(() => false);
  third.yieldOnce();
  const waits = work('third', 1, 1, third);
  fourth.leave();
  await waits;
  assert.equal(order.at(-1), 'third');
});

test('a step that fails frees the turn', async () => {
  const { turns, work } = onAClock();
  const turn = turns.join(() => false);
  await assert.rejects(
    turn.step(async () => {
      throw new Error('no');
    }),
    /no/,
  );
  await work('next', 1, 1);
});
