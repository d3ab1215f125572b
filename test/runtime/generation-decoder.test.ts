/** The two kinds of cache, and which graph gets which. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { InferenceSession } from 'onnxruntime-node';
import { GraphBuilder } from '../../agent/onnx/graph.ts';
import { writeModel } from '../../agent/onnx/model.ts';
import { embeddedTensor } from '../../agent/onnx/tensor.ts';
import { BUCKET_TOKENS, openCache } from '../../agent/runtime/tasks/generation-cache.ts';
import { Decoder, Sequence } from '../../agent/runtime/tasks/generation-decoder.ts';
import { readLayout } from '../../agent/runtime/tasks/generation-layout.ts';
import { contextOf, tinyPackage } from './generation-asking.ts';

const VOCABULARY = 8;

test('GroupQueryAttention shares its cache, and computes what it computes with a growing one', async (t) => {
  const files = tinyPackage(t);
  const session = await contextOf(files).openSession(files.manifest.model.path);
  t.after(() => session.release());
  assert.equal((await Decoder.open(files.manifest, session)).cache, 'shared');
  const layout = readLayout(files.manifest, session);
  const [shared, growing] = (['shared', 'growing'] as const).map(
    (kind) => new Sequence(session, layout, openCache(kind, layout.slots)),
  );
  assert.ok(shared !== undefined && growing !== undefined);
  // Steps of several sizes, over the ends of two buckets.
  let tokens = 0;
  for (const size of [7, 1, 40, 1, 30, 1, 1, 60, 1]) {
    const ids = Array.from({ length: size }, (_, at) => 7 + ((tokens + 31 * at) % 200));
    assert.deepEqual(await shared.predict(ids), await growing.predict(ids));
    tokens += size;
  }
  assert.ok(tokens > 2 * BUCKET_TOKENS);
});

test('a graph that cannot share its cache gets a growing one', async (t) => {
  const session = await nextIsOneMore(t);
  const decoder = await Decoder.open(tinyPackage(t).manifest, session);
  assert.deepEqual([decoder.cache, decoder.vocabulary], ['growing', VOCABULARY]);
  const sequence = decoder.begin();
  await sequence.append([5, 5]);
  for (const id of [2, 3, 4]) {
    const logits = await sequence.predict([id]);
    assert.equal(logits.indexOf(Math.max(...logits)), id + 1);
  }
});

/**
 * A graph with a cache and no GroupQueryAttention: tokens are appended to the cache by Concat, and as long as the
 * cache holds the position of every token under the mask, the likeliest token is the last one plus one.
 */
async function nextIsOneMore(t: TestContext): Promise<InferenceSession> {
  const b = new GraphBuilder('count');
  b.input('input_ids', 'INT64', ['batch', 'sequence']);
  b.input('attention_mask', 'INT64', ['batch', 'total']);
  b.input('position_ids', 'INT64', ['batch', 'sequence']);
  const table = Float32Array.from({ length: VOCABULARY ** 2 }, (_, at) =>
    at % VOCABULARY === Math.floor(at / VOCABULARY) + 1 ? 1 : 0,
  );
  b.constant(embeddedTensor('table', [VOCABULARY, VOCABULARY], table));
  b.constant(embeddedTensor('shape', [4], BigInt64Array.of(1n, 1n, -1n, 1n)));
  b.node('Cast', 'positions', ['position_ids'], { attributes: { to: 1 } });
  b.node('Reshape', 'fresh', ['positions', 'shape']);
  for (const kind of ['key', 'value']) {
    b.input(`past_key_values.0.${kind}`, 'FLOAT', ['batch', 1, 'past', 1]);
    b.output(`present.0.${kind}`, 'FLOAT', ['batch', 1, 'total', 1]);
    b.node('Concat', `present.0.${kind}`, [`past_key_values.0.${kind}`, 'fresh'], {
      attributes: { axis: 2 },
    });
  }
  // Any other cache takes from the logit of the token that should win: a wrong position shows.
  b.node('Cast', 'mask', ['attention_mask'], { attributes: { to: 1 } });
  b.node('CumSum', 'counted', ['mask', b.constant(embeddedTensor('one', [], BigInt64Array.of(1n)))], {
    attributes: { exclusive: 1 },
  });
  b.node('Reshape', 'expected', ['counted', 'shape']);
  b.node('Sub', 'difference', ['present.0.key', 'expected']);
  b.node('Abs', 'distance', ['difference']);
  b.node('ReduceSum', 'error', ['distance'], { attributes: { keepdims: 0 } });
  b.node('Gather', 'rows', ['table', 'input_ids']);
  b.node('Sub', 'sign', [b.constant(embeddedTensor('unit', [], Float32Array.of(1))), 'error']);
  b.node('Mul', 'logits', ['rows', 'sign']);
  b.output('logits', 'FLOAT', ['batch', 'sequence', VOCABULARY]);
  const session = await InferenceSession.create(writeModel(b.model('test')));
  t.after(() => session.release());
  return session;
}
