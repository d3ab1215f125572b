/** The truth about a process and all that it started, from `/proc`. */
import { readdirSync, readFileSync } from 'node:fs';
import { processMemory } from '../bench/process-memory.ts';

export interface TreeMemory {
  readonly pssBytes: number;
  readonly byPid: ReadonlyMap<number, number>;
}

/** A process that ends while it is read counts as gone. */
export function treeMemory(rootPid: number): TreeMemory {
  const byPid = new Map<number, number>();
  for (const pid of treePids(rootPid)) {
    try {
      byPid.set(pid, processMemory(pid).pssBytes);
    } catch {}
  }
  return { pssBytes: [...byPid.values()].reduce((sum, bytes) => sum + bytes, 0), byPid };
}

/** The process and its descendants. */
export function treePids(rootPid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? parentOf(name) : null;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [rootPid];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** The name in parentheses may hold anything (proc(5)): state and parent follow the last one. */
function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}
