/**
 * `feature-extraction`: texts -> unit vectors. States of the tokens [1, tokens, size] become one vector by their mean
 * (or the first token's, `pooling: cls`), scaled to length 1.
 *
 * Texts run one by one, not in a padded batch. Integer models scale their activations by the largest number in the
 * whole batch, so a text's vector would depend on its neighbours; alone it is the same bits every time. What a batch
 * gains in speed: see experts/embedder/README.md.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { AgentError } from '../../errors.ts';
import type { Answer, Ask } from '../../ports.ts';
import {
  badExpert,
  checkEncoderInputs,
  encoderFeeds,
  finite,
  floats,
  openChecked,
  wrongTask,
} from '../graph.ts';
import type { OpenTask, Task, TaskRun } from '../task.ts';
import { type BoundedEncoder, openBounded } from '../tokenizers/huggingface.ts';

/** Name of the token states in exports of the hub. */
const OUTPUT = 'last_hidden_state';

/** Rejects with `bad_expert` where package and graph do not match. */
export const openEmbedding: OpenTask = async (context) => {
  const { manifest } = context;
  const settings = manifest.tokenizer;
  if (settings?.kind !== 'huggingface')
    throw badExpert(manifest, 'this task needs a tokenizer of kind "huggingface"');
  if (!Object.hasOwn(manifest.model.outputs, OUTPUT))
    throw badExpert(manifest, `this task needs an output "${OUTPUT}"`);
  checkEncoderInputs(manifest);
  const tokenizer = await openBounded(context);
  const session = await openChecked(context);
  return new EmbeddingTask(manifest, settings.maxTokens, tokenizer, session);
};

class EmbeddingTask implements Task {
  readonly #manifest: Manifest;
  readonly #maxTokens: number;
  readonly #tokenizer: BoundedEncoder;
  readonly #session: InferenceSession;

  constructor(manifest: Manifest, maxTokens: number, tokenizer: BoundedEncoder, session: InferenceSession) {
    this.#manifest = manifest;
    this.#maxTokens = maxTokens;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /** One unit vector a text, in order. Texts beyond `maxTokens` tokens are cut; `inputTokens` counts what was read. */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'embeddings') throw wrongTask(this.#manifest, 'a chat');
    const vectors: Float32Array[] = [];
    let inputTokens = 0;
    for (const text of ask.texts) {
      if (run.cancelled()) throw new AgentError('cancelled', 'The request was cancelled.');
      const startMs = performance.now();
      const ids = this.#tokenizer.encode(text, this.#maxTokens);
      const tokenizedMs = performance.now();
      vectors.push(await this.#embed(ids));
      run.spent('tokenize', tokenizedMs - startMs);
      run.spent('run', performance.now() - tokenizedMs);
      inputTokens += ids.length;
    }
    return { kind: 'embeddings', vectors, inputTokens };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  async #embed(ids: readonly number[]): Promise<Float32Array> {
    const outputs = await this.#session.run(encoderFeeds(this.#manifest, ids), [OUTPUT]);
    const states = floats(outputs, OUTPUT);
    const size = states.length / ids.length;
    const pooled = this.#manifest.pooling === 'cls' ? states.slice(0, size) : mean(states, size);
    return unit(finite(pooled, OUTPUT));
  }
}

/** Mean over the rows of [rows, size]. */
function mean(states: Float32Array, size: number): Float32Array {
  const total = new Float32Array(size);
  for (let row = 0; row < states.length; row += size) {
    for (let column = 0; column < size; column += 1) {
      total[column] = (total[column] ?? 0) + (states[row + column] ?? 0);
    }
  }
  return total.map((sum) => sum / (states.length / size));
}

/** The vector at length 1; a vector of zeros stays one. */
function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}
