/** The arithmetic of benches. */

/**
 * The q-quantile (0 to 1) of a sample by linear interpolation between closest ranks (Hyndman and Fan, type 7: what
 * numpy and R do by default). NaN for an empty sample.
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  if (!(q >= 0 && q <= 1)) throw new RangeError(`a quantile lies between 0 and 1, not at ${q}`);
  const sorted = Float64Array.from(values).sort();
  const rank = (sorted.length - 1) * q;
  const below = sorted[Math.floor(rank)] ?? Number.NaN;
  const above = sorted[Math.ceil(rank)] ?? Number.NaN;
  return below + (above - below) * (rank - Math.floor(rank));
}

export const median = (values: ArrayLike<number>): number => quantile(values, 0.5);

/**
 * Runs each contender once a round and turns who begins, so that a machine that grows slower or warmer meanwhile
 * does not favour one of them. Returns the results of each contender, in the order of the rounds.
 */
export async function interleave<T>(
  rounds: number,
  contenders: readonly ((round: number) => Promise<T>)[],
): Promise<T[][]> {
  const results = contenders.map((): T[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length;
      const result = await contenders[index]?.(round);
      if (result !== undefined) results[index]?.push(result);
    }
  }
  return results;
}
