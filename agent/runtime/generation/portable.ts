/**
 * A language model over onnxruntime-node, for where the C API cannot be reached: the runtime copies every output of
 * every step, and native/model.ts does not.
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import type { Manifest } from '../../catalog/manifest.ts';
import { checkGraph } from '../graph.ts';
import { cacheBytes, type KvCache, openCache } from './cache.ts';
import { bytesPerToken, type DecoderLayout, LOGITS_COUNT, readLayout } from './layout.ts';
import type { Model, Sequence } from './model.ts';
import { type CacheKind, type Probed, probe } from './sharing.ts';

/** What fails is reported as an error of the call, and nothing need be printed. */
const FATAL_ONLY: InferenceSession.RunOptions = { logSeverityLevel: 4 };

export class PortableModel implements Model {
  readonly #session: InferenceSession;
  readonly #layout: DecoderLayout;
  readonly #sequences: Set<Sequence>;
  #released = false;
  /** How its sequences keep their keys and values. */
  readonly cache: CacheKind;
  readonly vocabulary: number;
  readonly bytesPerToken: number;

  private constructor(
    session: InferenceSession,
    layout: DecoderLayout,
    sequences: Set<Sequence>,
    { cache, vocabulary }: Probed,
  ) {
    this.#session = session;
    this.#layout = layout;
    this.#sequences = sequences;
    this.cache = cache;
    this.vocabulary = vocabulary;
    this.bytesPerToken = bytesPerToken(layout.slots);
  }

  /**
   * Takes over the session, and releases it where it rejects: with `bad_expert` for a graph that has not the layout of
   * layout.ts or not the inputs and outputs of the manifest, one that fails, and one whose logits are not numbers.
   */
  static async open(manifest: Manifest, session: InferenceSession): Promise<PortableModel> {
    try {
      checkGraph(session, manifest);
      const layout = readLayout(manifest, session);
      const sequences = new Set<Sequence>();
      const probed = await probe(
        manifest,
        (kind) => new CopyingSequence(session, layout, openCache(kind, layout.slots), sequences),
      );
      return new PortableModel(session, layout, sequences, probed);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  bytesFor(tokens: number): number {
    return cacheBytes(this.cache, this.#layout.slots, tokens);
  }

  begin(): Sequence {
    const cache = openCache(this.cache, this.#layout.slots);
    return new CopyingSequence(this.#session, this.#layout, cache, this.#sequences);
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    for (const sequence of [...this.#sequences]) sequence.release();
    await this.#session.release();
  }
}

class CopyingSequence implements Sequence {
  readonly #session: InferenceSession;
  readonly #layout: DecoderLayout;
  readonly #all: Set<Sequence>;
  /** null once it was released. */
  #cache: KvCache | null;
  #tokens = 0;

  /** Stays in `all` until it is released. */
  constructor(session: InferenceSession, layout: DecoderLayout, cache: KvCache, all: Set<Sequence>) {
    this.#session = session;
    this.#layout = layout;
    this.#cache = cache;
    this.#all = all;
    all.add(this);
  }

  get tokens(): number {
    return this.#tokens;
  }

  get bytes(): number {
    return this.#cache === null ? 0 : cacheBytes(this.#cache.kind, this.#layout.slots, this.#tokens);
  }

  async append(ids: readonly number[]): Promise<void> {
    if (ids.length > 0) await this.#step(ids, {});
  }

  async predict(ids: readonly number[]): Promise<Float32Array> {
    if (ids.length === 0) throw new RangeError('There is no token to predict after');
    const logits = (await this.#step(ids, { logits: null }))['logits'];
    // float16 is an array of numbers of its own.
    const data = logits?.data;
    const row = (data as Float32Array | undefined)?.slice(-(logits?.dims.at(-1) ?? 0));
    return row instanceof Float32Array ? row : Float32Array.from(row ?? []);
  }

  truncate(tokens: number): void {
    const cache = this.#part(tokens);
    if (tokens < this.#tokens) cache.truncate(tokens);
    this.#tokens = tokens;
  }

  fork(tokens: number): Sequence {
    const { kind, tensors } = this.#part(tokens);
    const cache = openCache(kind, this.#layout.slots);
    if (tokens > 0) cache.copyFrom(tensors, tokens);
    const other = new CopyingSequence(this.#session, this.#layout, cache, this.#all);
    other.#tokens = tokens;
    return other;
  }

  release(): void {
    this.#cache = null;
    this.#tokens = 0;
    this.#all.delete(this);
  }

  async #step(
    ids: readonly number[],
    fetches: Record<string, null>,
  ): Promise<InferenceSession.OnnxValueMapType> {
    const cache = this.#part(this.#tokens);
    const tokens = this.#tokens + ids.length;
    const feeds = { ...this.#textFeeds(ids, tokens), ...cache.feeds(tokens) };
    const outputs = await this.#session.run(feeds, { ...fetches, ...cache.fetches() }, FATAL_ONLY);
    cache.keep(outputs, tokens);
    this.#tokens = tokens;
    return outputs;
  }

  #textFeeds(ids: readonly number[], tokens: number): Record<string, Tensor> {
    const { takesPositions, takesLogitsCount } = this.#layout;
    const positions = BigInt64Array.from(ids, (_, at) => BigInt(this.#tokens + at));
    return {
      input_ids: row(BigInt64Array.from(ids, BigInt)),
      attention_mask: row(new BigInt64Array(tokens).fill(1n)),
      ...(takesPositions ? { position_ids: row(positions) } : {}),
      ...(takesLogitsCount ? { [LOGITS_COUNT]: new Tensor('int64', BigInt64Array.of(1n), []) } : {}),
    };
  }

  /** The cache, if it is still there and has so many tokens. */
  #part(tokens: number): KvCache {
    if (this.#cache === null) throw new TypeError('The sequence was released');
    if (Number.isInteger(tokens) && tokens >= 0 && tokens <= this.#tokens) return this.#cache;
    throw new RangeError(`${tokens} is no part of ${this.#tokens} tokens`);
  }
}

function row(data: BigInt64Array): Tensor {
  return new Tensor('int64', data, [1, data.length]);
}
