/** Sets of code points, as the Rust library has them. Only what compiles needs them: a compiled file holds its own. */
import { PACKED } from './tables.ts';

/** Starts and ends in turn, rising: [start, end) each. */
export type CodePoints = readonly number[];

export type Property = keyof typeof PACKED;

const LIMIT = 0x110000;
/** Plain in a class of JavaScript's regular expressions. */
const PLAIN = /^[0-9A-Za-z]$/;

export function isProperty(name: string): name is Property {
  return Object.hasOwn(PACKED, name);
}

export function property(name: Property): CodePoints {
  const bounds: number[] = [];
  let end = 0;
  for (const range of PACKED[name].split(' ')) {
    const [gap = '', length = '1'] = range.split('.');
    const start = end + Number.parseInt(gap, 36);
    end = start + Number.parseInt(length, 36);
    bounds.push(start, end);
  }
  return bounds;
}

export function only(...points: readonly number[]): CodePoints {
  return union(...points.map((point) => [point, point + 1]));
}

export function union(...sets: readonly CodePoints[]): CodePoints {
  const ranges = sets.flatMap((set) => pairs(set)).sort(([left], [right]) => left - right);
  const bounds: number[] = [];
  for (const [start, end] of ranges) {
    const last = bounds.at(-1);
    if (last === undefined || start > last) bounds.push(start, end);
    else bounds[bounds.length - 1] = Math.max(last, end);
  }
  return bounds;
}

export function complement(set: CodePoints): CodePoints {
  const bounds = set[0] === 0 ? set.slice(1) : [0, ...set];
  return bounds.at(-1) === LIMIT ? bounds.slice(0, -1) : [...bounds, LIMIT];
}

export function has(set: CodePoints, point: number): boolean {
  return pairs(set).some(([start, end]) => start <= point && point < end);
}

/** The set as a class of JavaScript's regular expressions with the flag `u`. */
export function classOf(set: CodePoints): string {
  const ranges = pairs(set).map(([start, end]) =>
    end === start + 1 ? escaped(start) : `${escaped(start)}-${escaped(end - 1)}`,
  );
  return `[${ranges.join('')}]`;
}

function escaped(point: number): string {
  const char = String.fromCodePoint(point);
  return PLAIN.test(char) ? char : `\\u{${point.toString(16)}}`;
}

function pairs(set: CodePoints): readonly (readonly [number, number])[] {
  return Array.from({ length: set.length / 2 }, (_, at) => [set[2 * at] ?? 0, set[2 * at + 1] ?? 0]);
}
