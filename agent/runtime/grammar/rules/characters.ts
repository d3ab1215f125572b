/** Sets of characters, as ranges of code points in order that do not touch. */
export type Range = readonly [low: number, high: number];

export const LAST_CHARACTER = 0x10ffff;

/** `\d`, `\w`, `\s`, and all that `.` stands for, as ECMAScript has them. */
export const DIGITS: readonly Range[] = [[0x30, 0x39]];
export const WORDS: readonly Range[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
export const SPACES: readonly Range[] = [
  [0x9, 0xd],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
export const LINE_ENDS: readonly Range[] = [
  [0xa, 0xa],
  [0xd, 0xd],
  [0x2028, 0x2029],
];

export function union(ranges: readonly Range[]): readonly Range[] {
  const joined: [number, number][] = [];
  for (const [low, high] of [...ranges].sort(([a], [b]) => a - b)) {
    const last = joined.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  return joined;
}

export function complement(ranges: readonly Range[]): readonly Range[] {
  const others: Range[] = [];
  let next = 0;
  for (const [low, high] of union(ranges)) {
    if (next < low) others.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= LAST_CHARACTER) others.push([next, LAST_CHARACTER]);
  return others;
}
