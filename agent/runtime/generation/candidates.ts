/**
 * Tokens that may be drawn, with their weights. One for all generations of a model: it is filled, cut and drawn from
 * in one go, between two steps.
 */
import { expNegative } from './exponential.ts';
import { placesOfLargest } from './ranking.ts';

/** The class of a weight of 1: its highest 16 bits as a double, which are sign, exponent and the first of the rest. */
const CLASS_OF_ONE = 0x3ff0;
/** Sixteen for each halving, down to e^-87. */
const CLASSES = 16 * 127;

export class Candidates {
  readonly #ids: Int32Array;
  /** Relative to the likeliest token's, which has 1. */
  readonly #weights: Float64Array;
  /** Their halves: the runtime runs on little-endian machines only, so the high one is the second. */
  readonly #halves: Int32Array;
  /** Of each class of weights, what they come to together. */
  readonly #sums = new Float64Array(CLASSES);
  #count = 0;

  constructor(vocabulary: number) {
    this.#ids = new Int32Array(vocabulary);
    this.#weights = new Float64Array(vocabulary);
    this.#halves = new Int32Array(this.#weights.buffer);
  }

  get count(): number {
    return this.#count;
  }

  /** The ids, in no order. */
  ids(): readonly number[] {
    return [...this.#ids.subarray(0, this.#count)];
  }

  /**
   * Takes the tokens of these logits whose weight e^((logit - highest) / temperature) is at least `least`, the
   * likeliest in any case; of them the `most` likeliest, 0 being all.
   */
  fill(logits: Float32Array, highest: number, temperature: number, most: number, least: number): void {
    if (most > 0 && most < logits.length) {
      const found = placesOfLargest(logits, most, this.#ids);
      this.#weigh(logits, highest, temperature, least, found, this.#ids);
    } else {
      this.#weigh(logits, highest, temperature, least, logits.length, null);
    }
  }

  /**
   * Keeps the smallest set of likeliest tokens whose weights reach the share `share` of all: at least one token.
   * No sorting: summed up by classes, which are in order, the weights show which class the border lies in, and only
   * that one is searched further, by halves as quickselect does.
   */
  cutToShare(share: number): void {
    const sums = this.#sums.fill(0);
    for (let at = 0; at < this.#count; at += 1) {
      const place = this.#classOf(at);
      sums[place] = (sums[place] ?? 0) + (this.#weights[at] ?? 0);
    }
    let missing = share * this.#total();
    let border = 0;
    while (border < CLASSES - 1 && (sums[border] ?? 0) < missing) missing -= sums[border++] ?? 0;
    const above = this.#gather(0, (place) => place < border);
    const notBelow = this.#gather(above, (place) => place === border);
    this.#count = Math.max(1, this.#reach(missing, above, notBelow));
  }

  /** The token at which the sum of weights passes `share` (0 to below 1) of all. */
  draw(share: number): number {
    const target = share * this.#total();
    let sum = 0;
    for (let at = 0; at < this.#count; at += 1) {
      sum += this.#weights[at] ?? 0;
      if (sum > target) return this.#ids[at] ?? 0;
    }
    return this.#ids[this.#count - 1] ?? 0;
  }

  /** `places` may be the ids themselves: nothing is written before it was read. */
  #weigh(
    logits: Float32Array,
    highest: number,
    temperature: number,
    least: number,
    count: number,
    places: Int32Array | null,
  ): void {
    let kept = 0;
    for (let at = 0; at < count; at += 1) {
      const id = places === null ? at : (places[at] ?? 0);
      const weight = expNegative((highest - (logits[id] ?? Number.NEGATIVE_INFINITY)) / temperature);
      if (weight > 0 && (weight >= least || weight === 1)) this.#put(kept++, id, weight);
    }
    this.#count = kept;
  }

  #put(at: number, id: number, weight: number): void {
    this.#ids[at] = id;
    this.#weights[at] = weight;
  }

  #total(): number {
    let total = 0;
    for (let at = 0; at < this.#count; at += 1) total += this.#weights[at] ?? 0;
    return total;
  }

  /** 0 for a weight of 1, more for less. */
  #classOf(at: number): number {
    return CLASS_OF_ONE - ((this.#halves[2 * at + 1] ?? 0) >>> 16);
  }

  /** Moves the candidates of some classes to the front of those from `from` on; returns where they end. */
  #gather(from: number, isWanted: (place: number) => boolean): number {
    let end = from;
    for (let at = from; at < this.#count; at += 1) if (isWanted(this.#classOf(at))) this.#swap(at, end++);
    return end;
  }

  /** Moves the likeliest of a range to its front; returns the end of those that reach `target` together. */
  #reach(target: number, first: number, end: number): number {
    let from = first;
    let to = end;
    let missing = target;
    while (from < to) {
      const pivot = this.#middle(from, to);
      const { above, notBelow, weightAbove } = this.#part(from, to, pivot);
      const equals = Math.ceil((missing - weightAbove) / pivot);
      if (weightAbove >= missing) to = above;
      else if (equals <= notBelow - above) return above + equals;
      else {
        missing -= weightAbove + pivot * (notBelow - above);
        from = notBelow;
      }
    }
    return to;
  }

  /** Parts a range into weights above the pivot, equal to it, and below. */
  #part(from: number, to: number, pivot: number): { above: number; notBelow: number; weightAbove: number } {
    let above = from;
    let below = to;
    let weightAbove = 0;
    for (let at = from; at < below; ) {
      const weight = this.#weights[at] ?? 0;
      if (weight > pivot) {
        weightAbove += weight;
        this.#swap(at++, above++);
      } else if (weight < pivot) this.#swap(at, --below);
      else at += 1;
    }
    return { above, notBelow: below, weightAbove };
  }

  /** The median of the first, the middle and the last weight of a range. */
  #middle(from: number, to: number): number {
    const a = this.#weights[from] ?? 0;
    const b = this.#weights[(from + to) >> 1] ?? 0;
    const c = this.#weights[to - 1] ?? 0;
    return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  }

  #swap(left: number, right: number): void {
    const id = this.#ids[left] ?? 0;
    const weight = this.#weights[left] ?? 0;
    this.#put(left, this.#ids[right] ?? 0, this.#weights[right] ?? 0);
    this.#put(right, id, weight);
  }
}
