/** Does a series grow? Theil and Sen's slope, which a few wild points do not move, with its interval. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Trend {
  /** Median of the slopes of all pairs: units of y for one of x. */
  readonly slope: number;
  /** The 95 % interval of the slope (Sen 1968, by the variance of Kendall's S), as if points were independent. */
  readonly low: number;
  readonly high: number;
}

/** Fewer points say nothing. */
const FEWEST = 5;
/** Pairs grow with the square of the points: of more, every nth is taken. */
const MOST = 1_000;
/** Of the normal distribution, for 95 %. */
const Z = 1.96;

/** null where there are too few points, or all have the same x. */
export function trendOf(points: readonly Point[]): Trend | null {
  const taken = thinned(points);
  if (taken.length < FEWEST) return null;
  const slopes = slopesOf(taken);
  if (slopes.length === 0) return null;
  const n = taken.length;
  const spread = Z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (rank: number): number => {
    const index = Math.min(slopes.length - 1, Math.max(0, Math.round(rank)));
    return slopes[index] ?? Number.NaN;
  };
  const middle = (slopes.length - 1) / 2;
  return {
    slope: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    low: at((slopes.length - spread) / 2 - 1),
    high: at((slopes.length + spread) / 2),
  };
}

function thinned(points: readonly Point[]): Point[] {
  const step = Math.max(1, Math.ceil(points.length / MOST));
  return points.filter((_, at) => at % step === 0);
}

function slopesOf(points: readonly Point[]): Float64Array {
  const slopes: number[] = [];
  for (const [at, a] of points.entries()) {
    for (let other = at + 1; other < points.length; other++) {
      const b = points[other];
      if (b !== undefined && b.x !== a.x) slopes.push((b.y - a.y) / (b.x - a.x));
    }
  }
  return Float64Array.from(slopes).sort();
}
