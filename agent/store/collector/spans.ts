/** Which numbers of an epoch have arrived: all up to a mark, and spans beyond it. Pure. */

export type Range = readonly [first: number, last: number];

export interface Progress {
  readonly high: number;
  /** Beyond `high + 1`, sorted, with a hole before each. */
  readonly ahead: readonly Range[];
}

export const nothing: Progress = { high: 0, ahead: [] };

export function withRange({ high, ahead }: Progress, [first, last]: Range): Progress {
  const merged: Range[] = [];
  let [from, to] = [first, last];
  for (const range of ahead) {
    if (range[1] + 1 < from || to + 1 < range[0]) merged.push(range);
    else [from, to] = [Math.min(from, range[0]), Math.max(to, range[1])];
  }
  if (from <= high + 1) {
    return { high: Math.max(high, to), ahead: merged.filter((range) => range[0] > to) };
  }
  merged.push([from, to]);
  return { high, ahead: merged.sort((a, b) => a[0] - b[0]) };
}

/** The parts of a range that have not arrived. */
export function missingIn({ high, ahead }: Progress, [first, last]: Range): readonly Range[] {
  const parts: Range[] = [];
  let next = Math.max(first, high + 1);
  for (const [from, to] of ahead) {
    if (from > last) break;
    if (from > next) parts.push([next, from - 1]);
    next = Math.max(next, to + 1);
  }
  if (next <= last) parts.push([next, last]);
  return parts;
}

/** The holes, oldest first. */
export function holes({ high, ahead }: Progress): readonly Range[] {
  return ahead.map(([first], index) => [(ahead[index - 1]?.[1] ?? high) + 1, first - 1]);
}
