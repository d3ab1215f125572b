/** The keys and values of one sequence, in memory that never passes through JavaScript. No code. */
import type { CacheKind } from '../generation/sharing.ts';
import type { Heads } from './heads.ts';

export interface NativeCache {
  readonly kind: CacheKind;
  /** Slot by slot. */
  readonly heads: readonly Heads[];
  /** Makes ready for a step after which there are `tokens` tokens. Binds its outputs before any other is bound. */
  prepare(tokens: number): void;
  /** After a step that did not fail and that left `tokens` tokens, takes what is in its outputs. */
  keep(tokens: number): void;
  /** Keeps the first `tokens` of its `before` tokens. */
  truncate(tokens: number, before: number): void;
  /** In place of what it holds, takes copies of the first `tokens` tokens of another one, at least one. */
  copyFrom(heads: readonly Heads[], tokens: number): void;
  release(): void;
}
