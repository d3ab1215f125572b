/** What is seen of the tree while it works: its PSS over time, and the largest that anything ever was. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupCounters, MemoryGroup } from './memory-group.ts';
import { treeMemory } from './process-tree.ts';

export interface Seen {
  readonly atMs: number;
  readonly swaps: number;
  readonly pssBytes: number;
  /** Of the group: everything, and what no file backs; null without a group. */
  readonly usageBytes: number | null;
  readonly anonymousBytes: number | null;
}

export interface WatchOptions {
  readonly pid: number;
  readonly group: MemoryGroup | null;
  readonly swaps: () => number;
  readonly isOver: () => boolean;
  readonly everyMs: number;
}

/** Looks until it is over. */
export async function watch({ pid, group, swaps, isOver, everyMs }: WatchOptions): Promise<Seen[]> {
  const seen: Seen[] = [];
  const startMs = performance.now();
  while (!isOver()) {
    const counters: GroupCounters | null = group?.counters() ?? null;
    seen.push({
      atMs: Math.round(performance.now() - startMs),
      swaps: swaps(),
      pssBytes: treeMemory(pid).pssBytes,
      usageBytes: counters?.usageBytes ?? null,
      anonymousBytes: counters?.anonymousBytes ?? null,
    });
    await sleep(everyMs);
  }
  return seen;
}
