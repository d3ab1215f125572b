/** After which swaps something bad is done to the agent, and what: seeded. Pure. */
import type { Random } from '../../test/experts-made/random.ts';

export type Kind = 'kill' | 'hog' | 'budget';

export interface Due {
  readonly atSwap: number;
  readonly kind: Kind;
}

/** Each kind comes once in three, in random order; the time between two is spread evenly around the mean. */
export function scheduleOf(swaps: number, everySwaps: number, random: Random): Due[] {
  const due: Due[] = [];
  const kinds: Kind[] = [];
  let at = 0;
  for (;;) {
    at += Math.ceil(everySwaps * (0.5 + random.unit()));
    if (at >= swaps) return due;
    if (kinds.length === 0) {
      const all = ['kill', 'hog', 'budget'] as const;
      kinds.push(...random.shuffled(all.length).map((index) => all[index] ?? 'kill'));
    }
    due.push({ atSwap: at, kind: kinds.pop() ?? 'kill' });
  }
}
