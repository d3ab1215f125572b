/** The form of every bench: one JSON object a line. */

export interface Measure {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** A bound that the value must keep; none: for information. */
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number };
  /** The same quantity of what it is compared with, measured interleaved. */
  readonly baseline?: number;
}

export interface Row {
  readonly bench: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: string | null;
  readonly ok: boolean | null;
  readonly baseline: number | null;
  readonly ratio: number | null;
}

export type Report = (measure: Measure) => void;

/** A value that is not a number keeps no goal. */
export function rowOf(bench: string, { metric, value, unit, goal, baseline }: Measure): Row {
  return {
    bench,
    metric,
    value: rounded(value),
    unit,
    goal: goal === undefined ? null : 'atMost' in goal ? `<=${goal.atMost}` : `>=${goal.atLeast}`,
    ok: goal === undefined ? null : 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast,
    baseline: baseline === undefined ? null : rounded(baseline),
    ratio: baseline === undefined ? null : rounded(value / baseline),
  };
}

/** Four significant digits: no bench here knows more. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
