/** Chance that can be had again: mulberry32, uniform in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The most events within any one second, of times in ms. */
export function peakPerSecond(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((a, b) => a - b);
  let [peak, from] = [0, 0];
  sorted.forEach((atMs, index) => {
    while ((sorted[from] ?? atMs) <= atMs - 1_000) from += 1;
    peak = Math.max(peak, index - from + 1);
  });
  return peak;
}
