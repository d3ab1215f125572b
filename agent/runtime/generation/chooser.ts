/** Chooses the tokens of one answer: what may be said, how it is drawn, and what is told of it. */
import type { SaidToken } from '../../generation.ts';
import type { Adjustment } from './adjustment.ts';
import type { Chances } from './chances.ts';
import type { Constraint } from './constraint.ts';
import type { Sampler } from './sampler.ts';

export interface ChooserParts {
  readonly adjustment: Adjustment;
  readonly sampler: Sampler;
  /** null: nothing is told of tokens. */
  readonly chances: Chances | null;
  /** null: anything may be said. */
  readonly constraint: Constraint | null;
  /** Tokens that end an answer. */
  readonly endIds: ReadonlySet<number>;
}

export interface Choice {
  readonly id: number;
  readonly isEnd: boolean;
  readonly told: SaidToken | null;
}

export class Chooser {
  readonly #parts: ChooserParts;

  constructor(parts: ChooserParts) {
    this.#parts = parts;
  }

  /** True where nothing can follow but an end. */
  get isComplete(): boolean {
    return this.#parts.constraint?.complete ?? false;
  }

  /** `left` is how many tokens may still be said, this one included. Throws `bad_logits`. */
  choose(logits: Float32Array, left: number): Choice {
    const { adjustment, sampler, chances, constraint, endIds } = this.#parts;
    const id = sampler.next(adjustment.apply(logits, constraint?.allowed(left) ?? null));
    if (endIds.has(id)) return { id, isEnd: true, told: null };
    constraint?.accept(id);
    adjustment.said(id);
    return { id, isEnd: false, told: chances?.of(id, logits) ?? null };
  }

  release(): void {
    this.#parts.constraint?.release();
  }
}
