/** Runs the graph of a decoder step by step. */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { badExpert, floats } from '../graph.ts';
import { type CacheKind, type KvCache, openCache } from './generation-cache.ts';
import { type DecoderLayout, readLayout } from './generation-layout.ts';

/** Two kinds of cache agree if their logits differ by less than this share of the largest. */
const TOLERANCE = 1e-3;
/** Any text: first a step of several tokens, then one of one. */
const PROBE = [[1, 2, 3], [1]];
/** A graph that cannot share its cache is no news to anybody: the runtime need not print what it thinks of it. */
const FATAL_ONLY: InferenceSession.RunOptions = { logSeverityLevel: 4 };

export class Decoder {
  readonly #session: InferenceSession;
  readonly #layout: DecoderLayout;
  /** The kind of cache that its sequences use. */
  readonly cache: CacheKind;
  /** Number of logits a token. */
  readonly vocabulary: number;

  private constructor(
    session: InferenceSession,
    layout: DecoderLayout,
    cache: CacheKind,
    vocabulary: number,
  ) {
    this.#session = session;
    this.#layout = layout;
    this.cache = cache;
    this.vocabulary = vocabulary;
  }

  /**
   * Runs a few tokens through the graph: with a growing cache, which any export can do, and with a shared one, which
   * is used if it gives the same logits. Rejects with `bad_expert` for a graph of another layout, one that fails, and
   * one whose logits are not numbers.
   */
  static async open(manifest: Manifest, session: InferenceSession): Promise<Decoder> {
    const layout = readLayout(manifest, session);
    const expected = await probe(session, layout, 'growing').catch((cause: unknown) => {
      throw badExpert(manifest, `its first run failed: ${cause instanceof Error ? cause.message : cause}`);
    });
    if (expected.some((logit) => Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY)) {
      throw badExpert(manifest, 'its first run gave logits that are not numbers');
    }
    // A graph that cannot share its cache refuses the buffers or computes nonsense: both are an answer here.
    const shared = await probe(session, layout, 'shared').catch(() => null);
    const cache = shared !== null && areClose(expected, shared) ? 'shared' : 'growing';
    return new Decoder(session, layout, cache, expected.length);
  }

  /** A new sequence of tokens, with a cache of its own. */
  begin(): Sequence {
    return new Sequence(this.#session, this.#layout, openCache(this.cache, this.#layout.slots));
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Tokens that went through the graph, and what it remembers of them. One step at a time. */
export class Sequence {
  readonly #session: InferenceSession;
  readonly #layout: DecoderLayout;
  readonly #cache: KvCache;
  readonly #options: InferenceSession.RunOptions;
  #tokens = 0;

  constructor(
    session: InferenceSession,
    layout: DecoderLayout,
    cache: KvCache,
    options: InferenceSession.RunOptions = {},
  ) {
    this.#options = options;
    this.#session = session;
    this.#layout = layout;
    this.#cache = cache;
  }

  /** Appends tokens whose logits nobody needs: all of a prompt but its last part. */
  async append(ids: readonly number[]): Promise<void> {
    await this.#step(ids, {});
  }

  /** Appends tokens; resolves with the logits after the last of them. */
  async predict(ids: readonly number[]): Promise<Float32Array> {
    const outputs = await this.#step(ids, { logits: null });
    const logits = floats(outputs, 'logits');
    const vocabulary = outputs['logits']?.dims.at(-1) ?? logits.length;
    return logits.subarray(logits.length - vocabulary);
  }

  async #step(
    ids: readonly number[],
    fetches: Record<string, null>,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const tokens = this.#tokens + ids.length;
    const feeds = { ...this.#textFeeds(ids, tokens), ...this.#cache.feeds(tokens) };
    const outputs = await this.#session.run(feeds, { ...fetches, ...this.#cache.fetches() }, this.#options);
    this.#cache.keep(outputs);
    this.#tokens = tokens;
    return outputs;
  }

  #textFeeds(ids: readonly number[], tokens: number): Record<string, Tensor> {
    const feeds = {
      input_ids: row(BigInt64Array.from(ids, BigInt)),
      attention_mask: row(new BigInt64Array(tokens).fill(1n)),
    };
    if (!this.#layout.takesPositions) return feeds;
    const positions = BigInt64Array.from(ids, (_, at) => BigInt(this.#tokens + at));
    return { ...feeds, position_ids: row(positions) };
  }
}

function row(data: BigInt64Array): Tensor {
  return new Tensor('int64', data, [1, data.length]);
}

/** Logits after the last token of `PROBE`. */
async function probe(
  session: InferenceSession,
  layout: DecoderLayout,
  kind: CacheKind,
): Promise<Float32Array> {
  const sequence = new Sequence(session, layout, openCache(kind, layout.slots), FATAL_ONLY);
  let logits = new Float32Array();
  for (const ids of PROBE) logits = Float32Array.from(await sequence.predict(ids));
  return logits;
}

function areClose(left: Float32Array, right: Float32Array): boolean {
  const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    left.length === right.length &&
    left.every((value, at) => Math.abs(value - (right[at] ?? Number.NaN)) <= TOLERANCE * largest)
  );
}
