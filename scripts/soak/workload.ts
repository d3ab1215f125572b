/** Who is asked what next: a seeded order that is skewed, whose favourites change, and that mostly swaps. Pure. */
import type { Random } from '../../test/experts-made/random.ts';

/** What becomes of a request: it is heard to its end, or its client leaves while it waits, or in mid-stream. */
export type Course = 'stay' | 'leave-waiting' | 'leave-speaking';

export interface Turn {
  readonly expert: string;
  /** Index into the expert's prompts. */
  readonly prompt: number;
  readonly course: Course;
  /** For clients that leave: after so many ms, or so many pieces. */
  readonly patience: number;
}

const SAME_AGAIN = 0.06;
const LEAVES_WAITING = 0.02;
const LEAVES_SPEAKING = 0.05;
/** Zipf's exponent: the favourite of eight is asked for every fourth time. */
const SKEW = 0.7;
/** Turns after which another is the favourite. */
const FASHION_TURNS = 150;
const MOST_PATIENCE_MS = 40;
const MOST_PATIENCE_PIECES = 6;

export class Workload {
  readonly #experts: readonly string[];
  readonly #prompts: number;
  readonly #random: Random;
  readonly #weights: readonly number[];
  #turns = 0;
  #last: string | null = null;

  /** `prompts`: how many each expert has. */
  constructor(experts: readonly string[], prompts: number, random: Random) {
    this.#experts = experts;
    this.#prompts = prompts;
    this.#random = random;
    this.#weights = experts.map((_, rank) => (rank + 1) ** -SKEW);
  }

  next(): Turn {
    const again = this.#random.unit() < SAME_AGAIN;
    const expert = again && this.#last !== null ? this.#last : this.#another();
    this.#last = expert;
    this.#turns++;
    const chance = this.#random.unit();
    const course = courseOf(chance);
    const most = course === 'leave-waiting' ? MOST_PATIENCE_MS : MOST_PATIENCE_PIECES;
    return {
      expert,
      prompt: Math.floor(this.#random.unit() * this.#prompts),
      course,
      patience: 1 + Math.floor(this.#random.unit() * most),
    };
  }

  /** Any but the last, by its rank of the day. */
  #another(): string {
    const shift = Math.floor(this.#turns / FASHION_TURNS);
    const ranked = this.#experts.map((_, rank) => this.#experts[(rank + shift) % this.#experts.length] ?? '');
    const weights = ranked.map((expert, rank) => (expert === this.#last ? 0 : (this.#weights[rank] ?? 0)));
    let left = this.#random.unit() * weights.reduce((sum, weight) => sum + weight, 0);
    for (const [rank, weight] of weights.entries()) {
      left -= weight;
      if (left < 0) return ranked[rank] ?? '';
    }
    return ranked.find((expert) => expert !== this.#last) ?? '';
  }
}

function courseOf(chance: number): Course {
  if (chance < LEAVES_WAITING) return 'leave-waiting';
  return chance < LEAVES_WAITING + LEAVES_SPEAKING ? 'leave-speaking' : 'stay';
}
