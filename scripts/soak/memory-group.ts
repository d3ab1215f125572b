/** A hard limit for the agent and all that it starts: a memory group of the kernel, version 1, or 2 where it is delegated. */
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type LimitKind = 'cgroup v1' | 'cgroup v2' | 'budget alone';

export interface GroupCounters {
  /** Processes that the kernel killed in the group for want of memory. */
  readonly oomKills: number;
  /** Everything that is charged to the group, file cache included. */
  readonly usageBytes: number;
  /** Of that, what no file backs. */
  readonly anonymousBytes: number;
  /** How often the limit was met. */
  readonly limitHits: number;
}

const FILES = {
  1: {
    limit: 'memory.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    oom: 'memory.oom_control',
    anonymous: 'total_rss',
  },
  2: { limit: 'memory.max', usage: 'memory.current', oom: 'memory.events', anonymous: 'anon' },
} as const;
const V1_ROOT = '/sys/fs/cgroup/memory';
const V2_ROOT = '/sys/fs/cgroup';
const END_MS = 5_000;
const LOOK_MS = 20;

export class MemoryGroup {
  readonly version: 1 | 2;
  readonly #folder: string;

  private constructor(version: 1 | 2, folder: string) {
    this.version = version;
    this.#folder = folder;
  }

  /** A new group with this limit, below or beside the one of this process. A string says why there is none. */
  static create(limitBytes: number): MemoryGroup | string {
    const reasons: string[] = [];
    for (const [version, parent] of parents(readFileSync('/proc/self/cgroup', 'utf8'))) {
      const folder = join(parent, `expertd-soak-${process.pid}`);
      try {
        accessSync(join(parent, 'cgroup.procs'), constants.W_OK);
        mkdirSync(folder);
      } catch (error) {
        reasons.push((error as Error).message);
        continue;
      }
      try {
        writeFileSync(join(folder, FILES[version].limit), String(limitBytes));
        return new MemoryGroup(version, folder);
      } catch (error) {
        rmdirSync(folder);
        reasons.push((error as Error).message);
      }
    }
    return reasons.join('; ') || 'this system has no memory groups';
  }

  /** The program that puts itself into the group and becomes `file`: nothing of it is charged elsewhere. */
  inside(file: string, args: readonly string[]): { file: string; args: string[] } {
    const script = 'echo $$ > "$0" && exec "$@"';
    return { file: '/bin/sh', args: ['-c', script, join(this.#folder, 'cgroup.procs'), file, ...args] };
  }

  counters(): GroupCounters {
    const names = FILES[this.version];
    const stat = this.#read('memory.stat');
    const events = this.#read(names.oom);
    return {
      oomKills: field(events, 'oom_kill'),
      usageBytes: Number(this.#read(names.usage)),
      anonymousBytes: field(stat, names.anonymous),
      limitHits: this.version === 1 ? Number(this.#read('memory.failcnt')) : field(events, 'max'),
    };
  }

  /** Ends what still runs in it, which this soak started, and takes it away. */
  async remove(): Promise<void> {
    for (const endMs = performance.now() + END_MS; ; await sleep(LOOK_MS)) {
      for (const pid of this.#read('cgroup.procs').split('\n').filter(Boolean)) end(Number(pid));
      try {
        return rmdirSync(this.#folder);
      } catch (error) {
        if (performance.now() > endMs) throw error;
      }
    }
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }
}

/** Where a group may be made: version 1 below one's own; version 2 beside it, since no group with processes has children. */
function* parents(text: string): Generator<[1 | 2, string]> {
  const lines = text.split('\n').map((line) => line.split(':'));
  const first = lines.find(([, controllers]) => controllers?.split(',').includes('memory'));
  if (first !== undefined) yield [1, join(V1_ROOT, first.slice(2).join(':'))];
  const second = lines.find(([id]) => id === '0');
  if (second !== undefined) yield [2, dirname(join(V2_ROOT, second.slice(2).join(':')))];
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
