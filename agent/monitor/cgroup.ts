/**
 * Memory of the control groups that this process is in (cgroups(7); admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). A
 * process is held by its group and by all groups above it; in a container those above may not be visible.
 */
import { dirname, join } from 'node:path';
import type { Cgroup } from '../device.ts';
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

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Path below the mount of the hierarchy. */
  readonly path: string;
}

/** Where a process stands in the hierarchies that know memory, from `/proc/PID/cgroup`. */
export function parseCgroupPlaces(text: string): CgroupPlace[] {
  const places: CgroupPlace[] = [];
  for (const line of text.split('\n')) {
    const [id, controllers, ...rest] = line.split(':');
    const path = rest.join(':');
    if (id === undefined || controllers === undefined || !path.startsWith('/')) continue;
    if (id === '0' && controllers === '') places.push({ version: 2, path });
    else if (controllers.split(',').includes('memory')) places.push({ version: 1, path });
  }
  return places;
}

/** File cache of a group that the kernel drops when it must, in bytes, from its `memory.stat`. */
export function parseDroppableBytes(stat: string, version: 1 | 2): number {
  const [prefix, names] = version === 1 ? ['total_', CACHE] : ['', [...CACHE, 'slab_reclaimable']];
  return names.reduce((sum, name) => sum + (parseCounter(stat, prefix + name) ?? 0), 0);
}

const CACHE = ['inactive_file', 'active_file'];

/** Names of the files, by version. A file that a version does not have is null. */
const FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    high: null,
    current: 'memory.usage_in_bytes',
    events: 'memory.oom_control',
  },
  2: { limit: 'memory.max', high: 'memory.high', current: 'memory.current', events: 'memory.events' },
} as const;

interface Group {
  readonly version: 1 | 2;
  readonly folder: string;
}

export class CgroupReader {
  readonly #groups: Discovery<readonly Group[]>;

  constructor(procRoot: string, sysRoot: string, nowMs: () => number) {
    this.#groups = new Discovery(() => findGroups(procRoot, join(sysRoot, 'fs/cgroup')), nowMs);
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
    const limits = this.#groups
      .get()
      .flatMap(({ version, folder }) => readLimit(folder, FILES[version].limit) ?? []);
    return limits.length === 0 ? null : Math.min(...limits);
  }
}

/** null where nothing of the group can be read any more. */
function readGroup({ version, folder }: Group): Cgroup | null {
  const files = FILES[version];
  const currentBytes = readCount(folder, files.current);
  const limitBytes = readLimit(folder, files.limit);
  if (currentBytes === null && limitBytes === null) return null;
  const highBytes = files.high === null ? null : readLimit(folder, files.high);
  const events = readText(join(folder, files.events));
  return {
    version,
    limitBytes,
    highBytes,
    currentBytes,
    availableBytes: availableBytes(folder, version, smaller(limitBytes, highBytes), currentBytes),
    oomKills: events === null ? null : parseCounter(events, 'oom_kill'),
    highEvents: events === null ? null : parseCounter(events, 'high'),
  };
}

function roomOf({ availableBytes }: Cgroup): number {
  return availableBytes ?? Number.POSITIVE_INFINITY;
}

function availableBytes(
  folder: string,
  version: 1 | 2,
  ceilingBytes: number | null,
  currentBytes: number | null,
): number | null {
  if (ceilingBytes === null || currentBytes === null) return null;
  const stat = readText(join(folder, 'memory.stat'));
  const droppable = stat === null ? 0 : parseDroppableBytes(stat, version);
  return Math.max(0, Math.min(ceilingBytes, ceilingBytes - currentBytes + droppable));
}

function smaller(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** From the own group upwards, those that the memory controller counts for. */
function findGroups(procRoot: string, mount: string): Group[] {
  const text = readText(join(procRoot, 'self/cgroup'));
  if (text === null) return [];
  return parseCgroupPlaces(text).flatMap(({ version, path }) => {
    const root = rootOf(mount, version);
    const files = FILES[version];
    return pathsUpwards(path)
      .map((at) => ({ version, folder: join(root, at) }))
      .filter(({ folder }) =>
        [files.limit, files.current].some((file) => readText(join(folder, file)) !== null),
      );
  });
}

/** Version 2 is mounted alone, or in `unified` beside the hierarchies of version 1. */
function rootOf(mount: string, version: 1 | 2): string {
  if (version === 1) return join(mount, 'memory');
  const unified = join(mount, 'unified');
  return !hasControllers(mount) && hasControllers(unified) ? unified : mount;
}

function hasControllers(folder: string): boolean {
  return readText(join(folder, 'cgroup.controllers')) !== null;
}

function pathsUpwards(path: string): string[] {
  const paths: string[] = [];
  for (let at = join('/', path); ; at = dirname(at)) {
    paths.push(at);
    if (at === '/') return paths;
  }
}

function readLimit(folder: string, file: string): number | null {
  const text = readText(join(folder, file));
  return text === null ? null : parseCgroupLimit(text);
}

function readCount(folder: string, file: string): number | null {
  const text = readText(join(folder, file))?.trim() ?? '';
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}
