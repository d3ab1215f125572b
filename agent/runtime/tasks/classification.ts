/**
 * `text-classification`: a text -> labels with probabilities. The graph's one output holds a number for each label:
 * `probabilities` as they are, or `logits` that go through a softmax (one label is right, as in the hub's
 * single-label models). What is classified is the ask's `focus`: the quoted part of a message, else the message.
 */
import type { InferenceSession } from 'onnxruntime-node';
import { Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import type { Answer, Ask, Label } from '../../ports.ts';
import {
  badExpert,
  checkEncoderInputs,
  encoderFeeds,
  finite,
  floats,
  openChecked,
  readListed,
  wrongTask,
} from '../graph.ts';
import type { OpenTask, Task, TaskContext, TaskRun } from '../task.ts';
import { BytePairs } from '../tokenizers/byte-pairs.ts';
import type { Counted, CountingTokenizer } from '../tokenizers/counted.ts';
import { FastTextTokenizer } from '../tokenizers/fasttext.ts';
import { HashedWords } from '../tokenizers/hashed-words.ts';
import { openBounded } from '../tokenizers/huggingface.ts';

/** How many labels an answer holds: the likeliest. */
const ANSWER_LABELS = 5;
/** Sums of float32 probabilities are this close to 1. */
const SUM_TOLERANCE = 1e-3;

/** A text as the graph takes it; long texts are cut at the tokenizer's `maxTokens`. */
interface Encoded {
  readonly feeds: Record<string, Tensor>;
  readonly tokens: number;
}
interface Encoder {
  encode(text: string): Encoded;
  /** The input that reaches furthest into the weights: it shows at once if they do not fit the tokenizer. */
  probe(): Encoded;
}

/** Rejects with `bad_expert` where package and graph do not match. */
export const openClassification: OpenTask = async (context) => {
  const { manifest } = context;
  const labels = await readLabels(context);
  const output = outputName(manifest);
  const encoder = await openEncoder(context);
  const session = await openChecked(context);
  const task = new ClassificationTask(manifest, labels, output, encoder, session);
  try {
    await task.probe();
  } catch (error) {
    await session.release();
    throw error;
  }
  return task;
};

class ClassificationTask implements Task {
  readonly #manifest: Manifest;
  readonly #labels: readonly string[];
  readonly #output: string;
  readonly #encoder: Encoder;
  readonly #session: InferenceSession;

  constructor(
    manifest: Manifest,
    labels: readonly string[],
    output: string,
    encoder: Encoder,
    session: InferenceSession,
  ) {
    this.#manifest = manifest;
    this.#labels = labels;
    this.#output = output;
    this.#encoder = encoder;
    this.#session = session;
  }

  /** Runs once on the encoder's probe. Rejects with `bad_expert` if graph, tokenizer and labels do not fit together. */
  async probe(): Promise<void> {
    try {
      const scores = await this.#scores(this.#encoder.probe());
      if (scores.length !== this.#labels.length) {
        throw badExpert(this.#manifest, `${this.#labels.length} labels for ${scores.length} outputs`);
      }
      probabilities(scores, this.#output, this.#manifest);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw badExpert(this.#manifest, `its first run failed: ${reason}`);
    }
  }

  /** The likeliest labels of `focus`, best first; equal ones in the order of the labels. */
  async run(ask: Ask, run: TaskRun): Promise<Answer> {
    if (ask.kind !== 'chat') throw wrongTask(this.#manifest, 'a request for embeddings');
    const startMs = performance.now();
    const encoded = this.#encoder.encode(ask.focus);
    const tokenizedMs = performance.now();
    const scores = await this.#scores(encoded);
    const labels = best(probabilities(scores, this.#output, this.#manifest), this.#labels);
    run.spent('tokenize', tokenizedMs - startMs);
    run.spent('run', performance.now() - tokenizedMs);
    return { kind: 'labels', labels, inputTokens: encoded.tokens };
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  async #scores({ feeds }: Encoded): Promise<Float32Array> {
    const outputs = await this.#session.run(feeds, [this.#output]);
    return finite(floats(outputs, this.#output), this.#output);
  }
}

async function readLabels(context: TaskContext): Promise<readonly string[]> {
  const { manifest } = context;
  if (manifest.labels === undefined) throw badExpert(manifest, 'this task needs "labels"');
  const { bytes } = await readListed(context, manifest.labels);
  const labels = new TextDecoder().decode(bytes).replace(/\n$/, '').split('\n');
  if (labels.some((label) => label.trim() === ''))
    throw badExpert(manifest, `${manifest.labels} has an empty line`);
  return labels;
}

function outputName(manifest: Manifest): string {
  const name = ['probabilities', 'logits'].find((known) => Object.hasOwn(manifest.model.outputs, known));
  if (name === undefined) throw badExpert(manifest, 'this task needs an output "probabilities" or "logits"');
  return name;
}

async function openEncoder(context: TaskContext): Promise<Encoder> {
  const { manifest } = context;
  const settings = manifest.tokenizer;
  if (settings?.kind === 'fasttext') {
    const { path, bytes } = await readListed(context, settings.dictionary);
    return new FastTextEncoder(manifest, new FastTextTokenizer(bytes, path, settings));
  }
  if (settings?.kind === 'byte-pairs') return new CountingEncoder(manifest, new BytePairs(settings));
  if (settings?.kind === 'hashed-words') return new CountingEncoder(manifest, new HashedWords(settings));
  if (settings?.kind !== 'huggingface') throw badExpert(manifest, 'this task needs a tokenizer');
  checkEncoderInputs(manifest);
  const tokenizer = await openBounded(context);
  const encode = (text: string): Encoded => {
    const ids = tokenizer.encode(text, settings.maxTokens);
    return { feeds: encoderFeeds(manifest, ids), tokens: ids.length };
  };
  return { encode, probe: () => encode('a') };
}

class FastTextEncoder implements Encoder {
  readonly #tokenizer: FastTextTokenizer;
  readonly #input: string;

  constructor(manifest: Manifest, tokenizer: FastTextTokenizer) {
    const [input, ...more] = Object.keys(manifest.model.inputs);
    if (input === undefined || more.length > 0) throw badExpert(manifest, 'a fastText graph has one input');
    this.#input = input;
    this.#tokenizer = tokenizer;
  }

  encode(text: string): Encoded {
    return this.#encoded(this.#tokenizer.encode(text));
  }

  probe(): Encoded {
    return this.#encoded(Int32Array.of(this.#tokenizer.rows - 1));
  }

  #encoded(ids: Int32Array): Encoded {
    return { feeds: { [this.#input]: new Tensor('int32', ids, [ids.length]) }, tokens: ids.length };
  }
}

class CountingEncoder implements Encoder {
  readonly #tokenizer: CountingTokenizer;

  constructor(manifest: Manifest, tokenizer: CountingTokenizer) {
    const names = Object.keys(manifest.model.inputs).sort().join(', ');
    if (names !== 'feature_counts, feature_ids') {
      const found = names === '' ? 'none' : names;
      throw badExpert(
        manifest,
        `its tokenizer fills feature_ids and feature_counts; its inputs are ${found}`,
      );
    }
    this.#tokenizer = tokenizer;
  }

  encode(text: string): Encoded {
    return encodeCounted(this.#tokenizer.count(text));
  }

  probe(): Encoded {
    const last = this.#tokenizer.features - 1;
    return encodeCounted({ ids: Int32Array.of(last), counts: Float32Array.of(1), total: 1 });
  }
}

function encodeCounted({ ids, counts, total }: Counted): Encoded {
  const feeds = {
    feature_ids: new Tensor('int32', ids, [ids.length]),
    feature_counts: new Tensor('float32', counts, [counts.length]),
  };
  return { feeds, tokens: total };
}

/** Probabilities of all labels. `bad_expert` if a graph that promises them gives something else. */
function probabilities(scores: Float32Array, output: string, manifest: Manifest): Float32Array {
  if (output === 'logits') return softmax(scores);
  const sum = scores.reduce((total, score) => total + score, 0);
  if (Math.abs(sum - 1) <= SUM_TOLERANCE && scores.every((score) => score >= 0)) return scores;
  throw badExpert(manifest, `its "probabilities" sum to ${sum.toPrecision(4)}, not to 1`);
}

function softmax(logits: Float32Array): Float32Array {
  const highest = logits.reduce((left, right) => Math.max(left, right), Number.NEGATIVE_INFINITY);
  const powers = logits.map((logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function best(scores: Float32Array, labels: readonly string[]): readonly Label[] {
  return labels
    .map((label, at) => ({ label, score: scores[at] ?? 0 }))
    .sort((left, right) => right.score - left.score)
    .slice(0, ANSWER_LABELS);
}
