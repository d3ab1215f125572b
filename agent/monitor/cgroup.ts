/**
 * Memory of the control groups that this process is in (cgroups(7); admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). A
 * process is held by its group and by all groups above it; in a container those above may not be visible.
 */
import { join } from 'node:path';
import type { Cgroup } from '../device.ts';
import { findMemoryGroups, GROUP_FILES, type MemoryGroup } from '../linux/control-groups.ts';
import { readText } from '../linux/kernel-files.ts';
import { parseCounter } from '../linux/process.ts';
import { Discovery } from './discovery.ts';

/** Largest limit that means one: control groups write "no limit" as `max` (v2) or as a number near 2^63 (v1). */
const LARGEST_LIMIT_BYTES = 2 ** 50;

/** A limit of a control group in bytes; null for no limit and for no data. */
export function parseCgroupLimit(text: string): number | null {
  const trimmed = text.trim();
  if (!/^[0-9]{1,20}$/.test(trimmed)) return null;
  const bytes = Number(trimmed);
  return bytes > 0 && bytes < LARGEST_LIMIT_BYTES ? bytes : null;
}

/** File cache of a group that the kernel drops when it must, in bytes, from its `memory.stat`. */
export function parseDroppableBytes(stat: string, version: 1 | 2): number {
  const [prefix, names] = version === 1 ? ['total_', CACHE] : ['', [...CACHE, 'slab_reclaimable']];
  return names.reduce((sum, name) => sum + (parseCounter(stat, prefix + name) ?? 0), 0);
}

const CACHE = ['inactive_file', 'active_file'];

export class CgroupReader {
  readonly #groups: Discovery<readonly MemoryGroup[]>;

  constructor(procRoot: string, sysRoot: string, nowMs: () => number) {
    this.#groups = new Discovery(() => findMemoryGroups(procRoot, sysRoot), nowMs);
  }

  /** The group with the least memory left; without any limit, the own group. */
  read(): Cgroup | null {
    const groups = this.#groups.get().flatMap((group) => readGroup(group) ?? []);
    if (groups.length === 0) this.#groups.lost();
    return groups.reduce<Cgroup | null>(
      (tightest, group) => (tightest === null || roomOf(group) < roomOf(tightest) ? group : tightest),
      null,
    );
  }

  /** The tightest memory limit that holds this process, in bytes; null where there is none. */
  limitBytes(): number | null {
    const limits = this.#groups.get().flatMap((group) => readLimits(group, readStat(group)) ?? []);
    return limits.length === 0 ? null : Math.min(...limits);
  }
}

/** null where nothing of the group can be read any more. */
function readGroup(group: MemoryGroup): Cgroup | null {
  const { version, folder } = group;
  const files = GROUP_FILES[version];
  const stat = readStat(group);
  const currentBytes = readCount(folder, files.current);
  const limitBytes = readLimits(group, stat);
  if (currentBytes === null && limitBytes === null) return null;
  const highBytes = files.high === null ? null : readLimit(folder, files.high);
  const events = readText(join(folder, files.events));
  return {
    version,
    limitBytes,
    highBytes,
    currentBytes,
    availableBytes: availableBytes(
      smaller(limitBytes, highBytes),
      currentBytes,
      parseDroppableBytes(stat, version),
    ),
    oomKills: events === null ? null : parseCounter(events, 'oom_kill'),
    highEvents: events === null ? null : parseCounter(events, 'high'),
  };
}

function roomOf({ availableBytes }: Cgroup): number {
  return availableBytes ?? Number.POSITIVE_INFINITY;
}

function availableBytes(
  ceilingBytes: number | null,
  currentBytes: number | null,
  droppableBytes: number,
): number | null {
  if (ceilingBytes === null || currentBytes === null) return null;
  return Math.max(0, Math.min(ceilingBytes, ceilingBytes - currentBytes + droppableBytes));
}

function smaller(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** Its own limit, and in version 1 that of groups above it which a container does not see. */
function readLimits({ version, folder }: MemoryGroup, stat: string): number | null {
  const own = readLimit(folder, GROUP_FILES[version].limit);
  return version === 1 ? smaller(own, parseCounter(stat, 'hierarchical_memory_limit')) : own;
}

function readStat({ folder }: MemoryGroup): string {
  return readText(join(folder, 'memory.stat')) ?? '';
}

function readLimit(folder: string, file: string): number | null {
  const text = readText(join(folder, file));
  return text === null ? null : parseCgroupLimit(text);
}

function readCount(folder: string, file: string): number | null {
  const text = readText(join(folder, file))?.trim() ?? '';
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}
