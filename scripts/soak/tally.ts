/** What became of all requests, and which of it nobody had meant. */
import { quantile } from '../bench/stats.ts';
import type { Outcome } from './conversation.ts';
import { type Golden, isRight } from './goldens.ts';

export type Residency = 'resident' | 'parked' | 'absent';

export interface Anomaly {
  readonly atMs: number;
  readonly swaps: number;
  readonly expert: string;
  readonly what: string;
  /** Opens its story: `expertd explain ID`. */
  readonly decision: number | null;
}

type Failed = Extract<Outcome, { kind: 'failed' }>;
type Answered = Extract<Outcome, { kind: 'answered' }>;

/** More are counted, and not told. */
const MOST_TOLD = 50;

export class Tally {
  readonly answers: Record<Residency, number> = { resident: 0, parked: 0, absent: 0 };
  readonly wrong: Anomaly[] = [];
  readonly failed: Anomaly[] = [];
  /** By the code of the failure: what our kills broke, and what was refused under our pressure and asked again. */
  readonly killed: Record<string, number> = {};
  readonly deferred: Record<string, number> = {};
  wrongAnswers = 0;
  failures = 0;
  left = 0;
  readonly #firstMs: Record<Residency, number[]> = { resident: [], parked: [], absent: [] };
  readonly #startMs = performance.now();

  /** Requests whose expert was not resident when they came. */
  get swaps(): number {
    return this.answers.parked + this.answers.absent;
  }

  /** `golden` null: it is not compared. */
  answer(expert: string, answered: Answered, golden: Golden | null): void {
    const { text, residency, degraded, decision, firstMs, cachedTokens } = answered;
    const where = residency === 'parked' || residency === 'absent' ? residency : 'resident';
    this.answers[where]++;
    this.#firstMs[where].push(firstMs);
    if (golden === null || (degraded === null && isRight(golden, text, cachedTokens))) return;
    this.wrongAnswers++;
    const how = `${where}, ${cachedTokens} tokens kept${degraded === null ? '' : `, degraded: ${degraded}`}`;
    const what = `${JSON.stringify(text)} instead of ${JSON.stringify(golden.fresh)} (${how})`;
    this.#tell(this.wrong, expert, what, decision);
  }

  fail(expert: string, { code, message, decision }: Failed): void {
    this.failures++;
    this.#tell(this.failed, expert, `${code}: ${message}`, decision);
  }

  /** A swap counts although its client did not stay to hear the answer. */
  leave(residency: string | null): void {
    this.left++;
    if (residency === 'parked' || residency === 'absent') this.answers[residency]++;
  }

  /** Milliseconds to the first token at the client, by where the expert was: with all who compete for the machine. */
  firstTokens(): Readonly<
    Record<Residency, { readonly median: number | null; readonly p99: number | null }>
  > {
    const of = (values: readonly number[]) => {
      const heard = values.filter(Number.isFinite);
      if (heard.length === 0) return { median: null, p99: null };
      return { median: quantile(heard, 0.5), p99: quantile(heard, 0.99) };
    };
    return {
      resident: of(this.#firstMs.resident),
      parked: of(this.#firstMs.parked),
      absent: of(this.#firstMs.absent),
    };
  }

  #tell(list: Anomaly[], expert: string, what: string, decision: number | null): void {
    if (list.length >= MOST_TOLD) return;
    const atMs = Math.round(performance.now() - this.#startMs);
    list.push({ atMs, swaps: this.swaps, expert, what, decision });
  }
}

export function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
