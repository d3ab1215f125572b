/**
 * Which expert follows which: counts of what was chosen after what, in which older times fade. Enough to say what is
 * likely to be needed next, and small enough to be part of the state.
 */
import type { ExpertId, Habits } from './types.ts';

/** What a count is worth after one more choice that followed the same expert: the last ten or so are what counts. */
const FADING = 0.9;
const MOST_FIRSTS = 64;
const MOST_NEXTS = 8;
/** Less was seen too seldom to say anything. */
const LEAST_SEEN = 2.5;
const LEAST_SHARE = 0.35;

export const NO_HABITS: Habits = { last: null, after: new Map(), isOpen: false };

/** As they are once `expert` was chosen. */
export function afterChoice({ last, after }: Habits, expert: ExpertId): Habits {
  if (last === null) return { last: expert, after, isOpen: true };
  const faded = [...(after.get(last) ?? [])].map(([id, seen]) => [id, seen * FADING] as const);
  const nexts = new Map(faded);
  nexts.set(expert, (nexts.get(expert) ?? 0) + 1);
  const others = [...after].filter(([first]) => first !== last).slice(1 - MOST_FIRSTS);
  return { last: expert, after: new Map([...others, [last, strongest(nexts)]]), isOpen: true };
}

function strongest(nexts: ReadonlyMap<ExpertId, number>): ReadonlyMap<ExpertId, number> {
  if (nexts.size <= MOST_NEXTS) return nexts;
  return new Map([...nexts].sort(([, a], [, b]) => b - a).slice(0, MOST_NEXTS));
}

export interface Guess {
  readonly expert: ExpertId;
  /** Share of the times in which it came after the one that was chosen last, 0 to 1. */
  readonly share: number;
}

/** Those that are likely to be asked next beside the last one itself, likeliest first. */
export function likelyNext({ last, after }: Habits): readonly Guess[] {
  const nexts = last === null ? undefined : after.get(last);
  if (nexts === undefined) return [];
  const seen = seenOf(nexts);
  if (seen < LEAST_SEEN) return [];
  return [...nexts]
    .map(([expert, count]) => ({ expert, share: count / seen }))
    .filter(({ expert, share }) => expert !== last && share >= LEAST_SHARE)
    .sort((a, b) => b.share - a.share);
}

/** In which share of the times an expert came after the one that was chosen last, 0 to 1. */
export function shareOf({ last, after }: Habits, expert: ExpertId): number {
  const nexts = last === null ? undefined : after.get(last);
  if (nexts === undefined) return 0;
  return (nexts.get(expert) ?? 0) / seenOf(nexts);
}

function seenOf(nexts: ReadonlyMap<ExpertId, number>): number {
  return [...nexts.values()].reduce((sum, count) => sum + count, 0);
}

/** Forgets an expert that has left the device. */
export function without({ last, after, isOpen }: Habits, expert: ExpertId): Habits {
  const kept = [...after]
    .filter(([first]) => first !== expert)
    .map(([first, nexts]) => [first, new Map([...nexts].filter(([next]) => next !== expert))] as const);
  return { last: last === expert ? null : last, after: new Map(kept), isOpen };
}
