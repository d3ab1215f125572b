/** From the figures of a soak to what it proves. Pure. */
import { quantile } from '../bench/stats.ts';
import type { Trend } from './trend.ts';

export interface Figures {
  readonly swapsWanted: number;
  readonly swaps: number;
  readonly wrongAnswers: number;
  /** Requests that were not answered, though nobody had killed, or left, or taken memory. */
  readonly failures: number;
  /** It was killed for want of memory, or ended by itself. */
  readonly agentEnded: boolean;
  /** MB of the tree that was quiet and all parked, for 1,000 swaps, after the first ones; null: too short to say. */
  readonly floorTrend: Trend | null;
  /** The same of the tree at work: it depends on who is resident at the moment. */
  readonly workTrend: Trend | null;
  /** Shares of the truth, of quiet samples. */
  readonly ledgerErrors: readonly number[];
}

export interface Criterion {
  readonly name: string;
  /** null: there is nothing to judge by, and `why` says so. */
  readonly value: number | null;
  readonly unit: string;
  readonly atMost: number;
  readonly passed: boolean | null;
  readonly why?: string;
}

const TREND_MB = 2;
/** With so few, the 99th percentile is the largest. */
const FEWEST_SAMPLES = 10;

export function judge(figures: Figures): Criterion[] {
  const { swapsWanted, swaps, wrongAnswers, failures, agentEnded, ledgerErrors } = figures;
  return [
    bounded('swaps that were not made', swapsWanted - swaps, 'swaps', 0),
    bounded('wrong answers', wrongAnswers, 'answers', 0),
    bounded('failures not on purpose', failures, 'requests', 0),
    bounded('ends of the agent, OOM kills among them', agentEnded ? 1 : 0, 'ends', 0),
    trend('trend of PSS, all parked', figures.floorTrend),
    trend('trend of PSS, at work', figures.workTrend),
    error('ledger error, median', ledgerErrors, 0.5, 0.05),
    error('ledger error, 99th percentile', ledgerErrors, 0.99, 0.1),
  ];
}

/** A criterion that cannot be judged in a run so short does not fail it. */
export function passes(criteria: readonly Criterion[]): boolean {
  return criteria.every(({ passed }) => passed !== false);
}

function bounded(name: string, value: number, unit: string, atMost: number): Criterion {
  return { name, value, unit, atMost, passed: value <= atMost };
}

/** Growth is proved where even the low end of the interval is above the bound, or the slope itself is, and not by chance. */
function trend(name: string, found: Trend | null): Criterion {
  const unit = 'MB per 1,000 swaps';
  if (found === null) return unknown(name, unit, TREND_MB, 'too few swaps after the first ones');
  const grows = found.slope > TREND_MB && found.low > 0;
  return { name, value: found.slope, unit, atMost: TREND_MB, passed: !grows };
}

function error(name: string, errors: readonly number[], q: number, atMost: number): Criterion {
  if (errors.length < FEWEST_SAMPLES)
    return unknown(name, 'of the truth', atMost, `only ${errors.length} quiet samples`);
  return bounded(name, quantile(errors, q), 'of the truth', atMost);
}

function unknown(name: string, unit: string, atMost: number, why: string): Criterion {
  return { name, value: null, unit, atMost, passed: null, why };
}
