/** A model that only counts: after token n comes n + 1. It tells what went through it, and fails where rules are broken. */
import assert from 'node:assert/strict';
import type { Model, Sequence } from '../../../agent/runtime/generation/model.ts';

export const VOCABULARY = 10;
/** Tokens that a sequence allocates at once. */
export const BUCKET_TOKENS = 32;

export interface StepOfModel {
  readonly kind: 'append' | 'predict';
  /** Tokens that the sequence held before. */
  readonly from: number;
  readonly ids: readonly number[];
}

export class CountingModel implements Model {
  readonly vocabulary = VOCABULARY;
  readonly bytesPerToken = 1;
  readonly steps: StepOfModel[] = [];
  readonly open = new Set<CountingSequence>();
  /** Called after each step, before it ends. */
  afterStep: () => void = () => {};
  isBusy = false;

  bytesFor(tokens: number): number {
    return BUCKET_TOKENS * Math.ceil(tokens / BUCKET_TOKENS);
  }

  begin(): Sequence {
    return new CountingSequence(this, []);
  }

  get usedBytes(): number {
    return [...this.open].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async release(): Promise<void> {}
}

class CountingSequence implements Sequence {
  readonly #model: CountingModel;
  #ids: readonly number[];
  bytes: number;

  constructor(model: CountingModel, ids: readonly number[]) {
    this.#model = model;
    this.#ids = ids;
    this.bytes = model.bytesFor(ids.length);
    model.open.add(this);
  }

  get tokens(): number {
    return this.#ids.length;
  }

  async append(ids: readonly number[]): Promise<void> {
    await this.#step('append', ids);
  }

  async predict(ids: readonly number[]): Promise<Float32Array> {
    await this.#step('predict', ids);
    const next = ((ids.at(-1) ?? 0) + 1) % VOCABULARY;
    return Float32Array.from({ length: VOCABULARY }, (_, id) => (id === next ? 1 : 0));
  }

  truncate(tokens: number): void {
    assert.ok(this.#model.open.has(this) && tokens <= this.tokens);
    this.#ids = this.#ids.slice(0, tokens);
  }

  fork(tokens: number): Sequence {
    assert.ok(this.#model.open.has(this) && tokens <= this.tokens);
    return new CountingSequence(this.#model, this.#ids.slice(0, tokens));
  }

  release(): void {
    assert.ok(this.#model.open.delete(this), 'it was released twice');
  }

  async #step(kind: StepOfModel['kind'], ids: readonly number[]): Promise<void> {
    assert.ok(this.#model.open.has(this), 'a step after its release');
    assert.ok(ids.length > 0);
    assert.equal(this.#model.isBusy, false, 'two steps at once');
    this.#model.isBusy = true;
    await Promise.resolve();
    this.#model.steps.push({ kind, from: this.tokens, ids: [...ids] });
    this.#ids = [...this.#ids, ...ids];
    this.bytes = Math.max(this.bytes, this.#model.bytesFor(this.tokens));
    this.#model.isBusy = false;
    this.#model.afterStep();
  }
}
