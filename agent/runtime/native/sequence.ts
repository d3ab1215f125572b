/** A sequence of tokens whose steps run over memory that was bound once. */
import type { DecoderLayout } from '../generation/layout.ts';
import type { Sequence } from '../generation/model.ts';
import type { CacheKind } from '../generation/sharing.ts';
import type { NativeApi } from './api.ts';
import type { NativeBinding } from './binding.ts';
import type { NativeCache } from './cache.ts';
import { cacheBytes, openCache } from './caches.ts';
import { Logits, type LogitsShape } from './logits.ts';
import type { NativeSession } from './session.ts';
import type { TextInputs } from './text.ts';

/** What all sequences of a model share. */
export interface Engine {
  readonly api: NativeApi;
  readonly session: NativeSession;
  readonly layout: DecoderLayout;
  readonly logits: LogitsShape;
  readonly text: TextInputs;
  /** Those that were not released yet. */
  readonly sequences: Set<Sequence>;
}

export class NativeSequence implements Sequence {
  readonly #engine: Engine;
  readonly #binding: NativeBinding;
  readonly #cache: NativeCache;
  readonly #logits: Logits;
  #tokens = 0;
  #released = false;

  constructor(engine: Engine, kind: CacheKind) {
    const { api, session, layout, logits, sequences } = engine;
    this.#engine = engine;
    this.#binding = session.newBinding();
    this.#cache = openCache(kind, layout.slots, this.#binding, api.pages);
    this.#logits = new Logits(api, this.#binding, logits);
    sequences.add(this);
  }

  get tokens(): number {
    return this.#tokens;
  }

  get bytes(): number {
    const { layout, api } = this.#engine;
    return cacheBytes(this.#cache.kind, layout.slots, this.#tokens, api.pages);
  }

  async append(ids: readonly number[]): Promise<void> {
    if (ids.length > 0) this.#step(ids);
  }

  async predict(ids: readonly number[]): Promise<Float32Array> {
    if (ids.length === 0) throw new RangeError('There is no token to predict after');
    this.#step(ids);
    return this.#logits.values;
  }

  truncate(tokens: number): void {
    this.#checkPart(tokens);
    if (tokens < this.#tokens) this.#cache.truncate(tokens, this.#tokens);
    this.#tokens = tokens;
  }

  fork(tokens: number): Sequence {
    this.#checkPart(tokens);
    const other = new NativeSequence(this.#engine, this.#cache.kind);
    try {
      if (tokens > 0) other.#cache.copyFrom(this.#cache.heads, tokens);
    } catch (error) {
      other.release();
      throw error;
    }
    other.#tokens = tokens;
    return other;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#tokens = 0;
    // The binding first: it refers to what the others hold.
    this.#binding.release();
    this.#cache.release();
    this.#logits.release();
    this.#engine.sequences.delete(this);
  }

  /**
   * The arena gives back what a step of several tokens took: it takes 1 to 3 % of such a step to get it anew, and would
   * be the largest part of what an idle model holds. A step of one token needs next to nothing.
   */
  #step(ids: readonly number[]): void {
    if (this.#released) throw new TypeError('The sequence was released');
    const total = this.#tokens + ids.length;
    this.#cache.prepare(total);
    this.#logits.prepare(ids.length);
    try {
      this.#engine.text.bind(this.#binding, ids, this.#tokens);
      this.#binding.run(ids.length > 1);
      this.#cache.keep(total);
    } finally {
      this.#logits.settle();
    }
    this.#tokens = total;
  }

  #checkPart(tokens: number): void {
    if (this.#released) throw new TypeError('The sequence was released');
    if (Number.isInteger(tokens) && tokens >= 0 && tokens <= this.#tokens) return;
    throw new RangeError(`${tokens} is no part of ${this.#tokens} tokens`);
  }
}
