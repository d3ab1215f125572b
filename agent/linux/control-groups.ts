/**
 * The control groups with a memory controller that this process is in (cgroups(7)): its own and all above it hold it. In
 * a container those above may not be visible.
 */
import { dirname, join } from 'node:path';
import { readText } from './kernel-files.ts';

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Path below the mount of the hierarchy. */
  readonly path: string;
}

export interface MemoryGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

/** Names of the files, by version. A file that a version does not have is null. */
export const GROUP_FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    high: null,
    current: 'memory.usage_in_bytes',
    events: 'memory.oom_control',
  },
  2: { limit: 'memory.max', high: 'memory.high', current: 'memory.current', events: 'memory.events' },
} as const;

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

/** From the own group upwards, those that the memory controller counts for. */
export function findMemoryGroups(procRoot: string, sysRoot: string): MemoryGroup[] {
  const text = readText(join(procRoot, 'self/cgroup'));
  if (text === null) return [];
  const mount = join(sysRoot, 'fs/cgroup');
  return parseCgroupPlaces(text).flatMap(({ version, path }) => {
    const root = rootOf(mount, version);
    const { limit, current } = GROUP_FILES[version];
    return pathsUpwards(path)
      .map((at) => ({ version, folder: join(root, at) }))
      .filter(({ folder }) => [limit, current].some((file) => readText(join(folder, file)) !== null));
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
