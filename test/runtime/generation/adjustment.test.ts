/** What is changed about logits, and what is told of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Adjustment, type AdjustmentSettings } from '../../../agent/runtime/generation/adjustment.ts';
import { Chances } from '../../../agent/runtime/generation/chances.ts';

const NOTHING: AdjustmentSettings = {
  logitBias: [],
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
};
const FORBIDDEN = Number.NEGATIVE_INFINITY;

function adjustment(settings: Partial<AdjustmentSettings>, prompt: readonly number[] = []): Adjustment {
  return new Adjustment({ ...NOTHING, ...settings }, prompt, new Float32Array(100));
}

test('where nothing is to be changed the logits are passed on, without a copy', () => {
  const logits = Float32Array.of(1, 2);
  const plain = adjustment({}, [0, 1]);
  plain.said(1);
  assert.equal(plain.apply(logits, null), logits);
});

test('each is what its definition says', () => {
  const logits = Float32Array.of(4, -4, 2, 1);
  const said = (settings: Partial<AdjustmentSettings>, prompt: readonly number[], ...ids: number[]) => {
    const changed = adjustment(settings, prompt);
    for (const id of ids) changed.said(id);
    return [...changed.apply(logits, null)];
  };
  assert.deepEqual(
    said(
      {
        logitBias: [
          [3, 100],
          [0, -1.5],
        ],
      },
      [],
    ),
    [2.5, -4, 2, 101],
  );
  // Once, however often; the prompt counts.
  assert.deepEqual(said({ repeatPenalty: 2 }, [0, 1, 1], 3, 3), [2, -8, 2, 0.5]);
  // As often as it was said; the prompt does not count.
  assert.deepEqual(said({ frequencyPenalty: 0.5 }, [0, 1], 2, 2, 3), [4, -4, 1, 0.5]);
  assert.deepEqual(said({ presencePenalty: 0.5 }, [0, 1], 2, 2, 3), [4, -4, 1.5, 0.5]);
  // Bias first, then the division, then what is taken away.
  const all = { logitBias: [[0, 2]] as const, repeatPenalty: 2, frequencyPenalty: 1, presencePenalty: 0.25 };
  assert.deepEqual(said(all, [], 0, 0), [(4 + 2) / 2 - 2 - 0.25, -4, 2, 1]);
  assert.deepEqual([...logits], [4, -4, 2, 1], 'the logits themselves are not written to');
});

test('a mask forbids every token whose bit is not set, and those beyond its end', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 100 }), fc.nat(70), (bits, most) => {
      const mask = new Int32Array(Math.ceil(bits.length / 32));
      for (const [id, bit] of bits.entries())
        if (bit) mask[id >> 5] = (mask[id >> 5] ?? 0) | (1 << (id & 31));
      const short = mask.subarray(0, Math.ceil(most / 32));
      const adjusted = adjustment({}).apply(new Float32Array(bits.length).fill(1), short);
      const isSet = (id: number) => bits[id] === true && id < 32 * short.length;
      assert.deepEqual(
        [...adjusted],
        bits.map((_, id) => (isSet(id) ? 1 : FORBIDDEN)),
      );
    }),
  );
});

const TEXTS = {
  decode: (ids: readonly number[]) => `<${ids.join()}>`,
  bytesOf: (id: number) => (id === 3 ? null : id === 2 ? Uint8Array.of(0xc3) : Uint8Array.of(97 + id)),
};

test('a log probability is the natural logarithm of the softmax, whatever was made of it', () => {
  const logits = Float32Array.of(1, 3, 2, FORBIDDEN);
  const total = Math.log(Math.E + Math.E ** 2 + Math.E ** 3);
  const told = new Chances(TEXTS, 2).of(0, logits);
  const near = (value: number, expected: number) => assert.ok(Math.abs(value - expected) < 1e-6, `${value}`);
  near(told.logprob, 1 - total);
  assert.deepEqual([told.id, told.text, [...told.bytes]], [0, 'a', [97]]);
  assert.deepEqual(
    told.top.map(({ id }) => id),
    [1, 2],
    'best first',
  );
  near(told.top[0]?.logprob ?? 0, 3 - total);
  assert.deepEqual([told.top[1]?.text, [...(told.top[1]?.bytes ?? [])]], ['\uFFFD', [0xc3]]);
  const special = new Chances(TEXTS, 0).of(3, logits);
  assert.deepEqual([special.text, special.logprob, special.top], ['<3>', -9_999, []]);
});

test('probabilities are at most 1 and those of all tokens add up to it', () => {
  const logits = fc.array(fc.float({ min: -80, max: 80, noNaN: true }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(logits, (values) => {
      const { top } = new Chances(TEXTS, 20).of(0, Float32Array.from(values));
      assert.ok(top.every(({ logprob }) => logprob <= 0));
      const sum = top.reduce((all, { logprob }) => all + Math.exp(logprob), 0);
      assert.ok(Math.abs(sum - 1) < 1e-6, `${sum}`);
    }),
  );
});
