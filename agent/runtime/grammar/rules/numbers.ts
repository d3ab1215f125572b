/**
 * Numbers between bounds. The digits are compared with those of the bounds one by one: as long as they are the same, the
 * next one decides. At most 15 digits: numbers of so many that are written differently are different doubles, so what
 * the digits keep, the double that they are read as keeps too.
 */
import type { Nfa, Rule } from '../nfa.ts';
import type { Bound } from '../schema/terms.ts';
import { type Decimal, decimal } from './decimal.ts';

const MAX_DIGITS = 15;
/** Of a multiple, each digit takes a state for each remainder. */
const MAX_DIGITS_OF_MULTIPLES = 9;

export interface Numbers {
  readonly integer: boolean;
  readonly minimum: Bound | null;
  readonly maximum: Bound | null;
  /** A positive integer; null: any. Multiples are integers. */
  readonly multipleOf: number | null;
}

/** Leads nowhere where no number of so many digits is between the bounds. */
export function numberRule(nfa: Nfa, numbers: Numbers): Rule {
  const { integer, minimum, maximum, multipleOf } = numbers;
  const digits: Digits = { fraction: !integer && multipleOf === null, multipleOf: multipleOf ?? 1 };
  return nfa.leaf((start, end) => {
    if (maximum === null || maximum.value > 0 || (maximum.value === 0 && !maximum.exclusive)) {
      const low = minimum !== null && minimum.value >= 0 ? minimum : null;
      new Magnitudes(nfa, end, digits, low, maximum).addTo(start);
    }
    if (minimum === null || minimum.value < 0) {
      // Nobody means -0.
      const low = maximum !== null && maximum.value < 0 ? maximum : { value: 0, exclusive: true };
      new Magnitudes(nfa, end, digits, low, minimum).addTo(nfa.text(start, '-'));
    }
    if (digits.fraction && minimum === null && maximum === null) addExponent(nfa, end);
  });
}

function addExponent(nfa: Nfa, end: number): void {
  const [signed, digits, second] = [nfa.state(), nfa.state(), nfa.end(nfa.state())];
  for (const letter of 'eE') nfa.range(end, letter.charCodeAt(0), letter.charCodeAt(0), signed);
  for (const sign of '+-') nfa.range(signed, sign.charCodeAt(0), sign.charCodeAt(0), digits);
  nfa.skip(signed, digits);
  addDigits(nfa, digits, 0, 9, second);
  addDigits(nfa, second, 0, 9, nfa.end(nfa.state()));
}

function addDigits(nfa: Nfa, from: number, low: number, high: number, to: number): void {
  if (low <= high) nfa.range(from, 0x30 + low, 0x30 + high, to);
}

interface Digits {
  readonly fraction: boolean;
  readonly multipleOf: number;
}

/** Where the digits said so far are those of the lower bound, of the upper bound, of both or of neither. */
interface Edge {
  readonly low: boolean;
  readonly high: boolean;
}

/** Numbers without a sign between the magnitudes of two bounds; null is no bound. */
class Magnitudes {
  readonly #nfa: Nfa;
  readonly #end: number;
  readonly #digits: Digits;
  readonly #low: (Decimal & Pick<Bound, 'exclusive'>) | null;
  readonly #high: (Decimal & Pick<Bound, 'exclusive'>) | null;
  readonly #states = new Map<string, number>();

  constructor(nfa: Nfa, end: number, digits: Digits, low: Bound | null, high: Bound | null) {
    this.#nfa = nfa;
    this.#end = end;
    this.#digits = digits;
    this.#low = low === null ? null : { ...decimal(low.value), exclusive: low.exclusive };
    this.#high = high === null ? null : { ...decimal(high.value), exclusive: high.exclusive };
  }

  addTo(start: number): void {
    const most = this.#digits.multipleOf === 1 ? MAX_DIGITS : MAX_DIGITS_OF_MULTIPLES;
    const lowLength = this.#low?.whole.length ?? 1;
    const highLength = this.#high?.whole.length ?? Infinity;
    for (let length = lowLength; length <= Math.min(most, highLength); length += 1) {
      const edge = { low: this.#low !== null && length === lowLength, high: length === highLength };
      this.#nfa.skip(start, this.#whole(0, length, edge, 0));
    }
  }

  /** Before digit `at` of a whole part of `length` digits that has `rest` as remainder so far. */
  #whole(at: number, length: number, edge: Edge, rest: number): number {
    // Without a fraction, states that are as far from their end and free are the same.
    const isShared = !edge.low && !edge.high && !this.#digits.fraction && at > 0;
    const key = isShared ? `${length - at} ${rest}` : `${at} ${length} ${edge.low} ${edge.high} ${rest}`;
    return this.#known(key, (state) => {
      if (at === length) this.#addPoint(state, length, edge, rest);
      else {
        const low = edge.low ? this.#low?.whole[at] : null;
        const high = edge.high ? this.#high?.whole[at] : null;
        this.#addDigit(
          state,
          low ?? (at === 0 && length > 1 ? '1' : '0'),
          high ?? '9',
          edge,
          (next, digit) => {
            return this.#whole(at + 1, length, next, (rest * 10 + digit) % this.#digits.multipleOf);
          },
        );
      }
    });
  }

  /** After the whole part. */
  #addPoint(state: number, length: number, edge: Edge, rest: number): void {
    if (rest === 0 && this.#isWithin(edge, 0)) this.#nfa.skip(state, this.#end);
    if (!this.#digits.fraction || length === MAX_DIGITS) return;
    this.#addFraction(this.#nfa.text(state, '.'), 0, MAX_DIGITS - length, edge);
  }

  /** After digit `at` of the fraction, when there is room for so many in all. */
  #fraction(at: number, room: number, edge: Edge): number {
    const place = edge.low || edge.high ? `${at} ${room}` : `free ${room - at}`;
    return this.#known(`. ${place} ${edge.low} ${edge.high}`, (state) => {
      if (this.#isWithin(edge, at)) this.#nfa.skip(state, this.#end);
      if (at < room) this.#addFraction(state, at, room, edge);
    });
  }

  #addFraction(state: number, at: number, room: number, edge: Edge): void {
    const low = edge.low ? this.#low?.fraction[at] : null;
    const high = edge.high ? (this.#high?.fraction[at] ?? '0') : '9';
    this.#addDigit(state, low ?? '0', high, edge, (next) => this.#fraction(at + 1, room, next));
  }

  /** Edges for the digits from `low` to `high`, one for those that lead to the same state. */
  #addDigit(
    state: number,
    low: string,
    high: string,
    edge: Edge,
    target: (next: Edge, digit: number) => number,
  ): void {
    let [first, to] = [Number(low), -1];
    for (let digit = Number(low); digit <= Number(high); digit += 1) {
      const next = { low: edge.low && digit === Number(low), high: edge.high && digit === Number(high) };
      const reached = target(next, digit);
      if (reached !== to && to >= 0) {
        addDigits(this.#nfa, state, first, digit - 1, to);
        first = digit;
      }
      to = reached;
    }
    if (to >= 0) addDigits(this.#nfa, state, first, Number(high), to);
  }

  /** Is what ends after `at` digits of the fraction between the bounds? */
  #isWithin({ low, high }: Edge, at: number): boolean {
    const isAbove = !low || (!this.#low?.exclusive && (this.#low?.fraction.length ?? 0) <= at);
    const isBelow = !high || !this.#high?.exclusive || (this.#high?.fraction.length ?? 0) > at;
    return isAbove && isBelow;
  }

  /** The state of a key; a new one is built by `add`. */
  #known(key: string, add: (state: number) => void): number {
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const state = this.#nfa.state();
    this.#states.set(key, state);
    add(state);
    return state;
  }
}
