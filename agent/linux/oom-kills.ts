/** Whether the kernel's OOM killer explains the death of a process: it leaves a signal, and counts what it has killed. */
import { join } from 'node:path';
import { findMemoryGroups, GROUP_FILES } from './control-groups.ts';
import { readText } from './kernel-files.ts';
import { parseCounter, readOomKills } from './process.ts';

/** A kill explains one death. Processes that others started die of it too, so what is found is likely, not certain. */
export class OomKills {
  readonly #read: () => number | null;
  /** How many of the kills belong to deaths that were asked about. */
  #explained = 0;

  constructor(procRoot = '/proc', sysRoot = '/sys') {
    this.#read = counterOf(procRoot, sysRoot);
  }

  /** How many were counted so far; null is "no data". */
  count(): number | null {
    return this.#read();
  }

  /** True where a kill explains the death of a process that was started at `countAtStart`; it explains no other. */
  explains(countAtStart: number | null): boolean {
    const count = this.#read();
    if (count === null || countAtStart === null) return false;
    this.#explained = Math.max(this.#explained, countAtStart);
    if (count <= this.#explained) return false;
    this.#explained++;
    return true;
  }
}

/**
 * That of the own control group, in which cells run: the kernel counts a kill where its victim was, whoever's limit
 * was reached. Else that of the whole device.
 */
function counterOf(procRoot: string, sysRoot: string): () => number | null {
  const [own] = findMemoryGroups(procRoot, sysRoot);
  if (own === undefined) return () => readOomKills(procRoot);
  const path = join(own.folder, GROUP_FILES[own.version].events);
  const read = (): number | null => parseCounter(readText(path) ?? '', 'oom_kill');
  return read() === null ? () => readOomKills(procRoot) : read;
}
