/** A real export (SmolLM2-135M-Instruct, int8) against what PyTorch and ONNX Runtime said elsewhere. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Manifest } from '../../../agent/catalog/manifest.ts';
import { openModel } from '../../../agent/runtime/generation/decoder.ts';
import { PortableModel } from '../../../agent/runtime/generation/portable.ts';
import { type GenerationSettings, readSettings } from '../../../agent/runtime/generation/settings.ts';
import { ChatTemplate } from '../../../agent/runtime/generation/template.ts';
import { UNPREPARED } from '../../../agent/runtime/task.ts';
import { openTokenizer } from '../../../agent/runtime/tokenizers/open.ts';
import { ask, chat, contextOf, openTask, type Package } from './asking.ts';

interface Golden {
  readonly greedy: readonly {
    readonly prompt: string;
    readonly rendered: string;
    readonly ids: readonly number[];
    readonly int8: { readonly text: string; readonly top5First: readonly (readonly [number, number])[] };
  }[];
  readonly tokenizer: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly decoded: string;
  }[];
}

const MODELS = process.env['EXPERTD_TEST_MODELS'] ?? join(import.meta.dirname, '../../../../shared/models');
const directory = join(MODELS, 'smollm2-135m-instruct');
const skip = existsSync(directory)
  ? false
  : `no model at ${directory}; EXPERTD_TEST_MODELS names another place`;
/** Integer kernels of CPUs differ by this much in a logit of 25. */
const LOGIT_TOLERANCE = 0.5;

let files: Package;
let golden: Golden;
let settings: GenerationSettings;

before(async () => {
  if (skip !== false) return;
  files = { directory, manifest: realManifest() };
  golden = JSON.parse(readFileSync(join(directory, 'golden.json'), 'utf8'));
  settings = await readSettings(contextOf(files));
});

test('prompts are rendered and tokenised exactly as by the reference', { skip }, async () => {
  const template = new ChatTemplate(files.manifest, settings.template ?? '', settings.tokens);
  const tokenizer = await openTokenizer(contextOf(files));
  const options = { addSpecial: false, parseSpecial: true };
  for (const { prompt, rendered, ids } of golden.greedy) {
    assert.equal(template.render([{ role: 'user', content: prompt }]), rendered);
    assert.deepEqual(tokenizer.encode(rendered, options), ids);
  }
  for (const { text, ids, decoded } of golden.tokenizer) {
    assert.deepEqual(tokenizer.encode(text, options), ids, text);
    assert.equal(tokenizer.decode(ids, { skipSpecial: false }), decoded);
  }
});

test('the first logits are the reference’s, whichever way the runtime is reached', { skip }, async (t) => {
  const context = { ...contextOf(files), ...UNPREPARED };
  const model = await openModel(context);
  t.after(() => model.release());
  const portable = await PortableModel.open(
    files.manifest,
    await context.openSession(files.manifest.model.path),
  );
  t.after(() => portable.release());
  assert.equal(portable.cache, 'shared');
  for (const { ids, int8 } of golden.greedy) {
    const [one, other] = [model.begin(), portable.begin()];
    const logits = await one.predict(ids);
    for (const [id, logit] of int8.top5First) {
      const difference = Math.abs((logits[id] ?? Number.NaN) - logit);
      assert.ok(difference < LOGIT_TOLERANCE, `token ${id}: ${logits[id]}, not ${logit}`);
    }
    assert.deepEqual(await other.predict(ids), logits);
    assert.deepEqual(await other.predict([504]), await one.predict([504]));
    one.release();
    other.release();
  }
});

test('it answers', { skip }, async (t) => {
  const task = await openTask(t, files);
  const { answer, deltas } = await ask(
    task,
    chat('What is the capital of France?', { temperature: 0, maxTokens: 40 }),
  );
  assert.match(answer.text, /\bParis\b/);
  assert.equal(answer.finish, 'stop');
  assert.equal(answer.inputTokens, golden.greedy[0]?.ids.length);
  assert.equal(deltas.join(''), answer.text);
});

function realManifest(): Manifest {
  const model = 'onnx/model_int8.onnx';
  const cache = (prefix: string): [string, string][] =>
    Array.from({ length: 30 }, (_, layer) => ['key', 'value'].map((kind) => `${prefix}.${layer}.${kind}`))
      .flat()
      .map((name) => [name, 'float32[batch,3,tokens,64]']);
  const paths = ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', model];
  return {
    schema: 1,
    id: 'smollm2',
    version: '1.0.0',
    task: 'text-generation',
    summary: 'A small chat model.',
    license: 'Apache-2.0',
    source: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    runtime: 'onnx',
    model: {
      path: model,
      precision: 'int8',
      inputs: {
        input_ids: 'int64[batch,sequence]',
        attention_mask: 'int64[batch,total]',
        ...Object.fromEntries(cache('past_key_values')),
      },
      outputs: { logits: 'float32[batch,sequence,49152]', ...Object.fromEntries(cache('present')) },
    },
    tokenizer: {
      kind: 'huggingface',
      path: 'tokenizer.json',
      config: 'tokenizer_config.json',
      maxTokens: 8192,
    },
    files: paths.map((path) => {
      const bytes = readFileSync(join(directory, path));
      return { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
    routing: { languages: ['en'], examples: [], rules: [] },
    golden: [{ input: 'What is the capital of France?', output: 'The capital of France is Paris.' }],
  };
}
