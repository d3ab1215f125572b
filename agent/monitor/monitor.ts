/**
 * The resource monitor: reads files of /proc and /sys, starts nothing, keeps nothing. What cannot be read is null.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseKilobytes, readPssBytes } from '../linux/process.ts';
import type { Monitor } from '../ports.ts';
import type { CellId, Sample } from '../types.ts';
import { type CgroupPlace, parseCgroupLimit, parseCgroupPlaces, parsePsiAvg10 } from './parse.ts';

export interface MonitorOptions {
  /** The running cells' process ids. */
  readonly pids: () => ReadonlyMap<CellId, number>;
  /** Other places for `/proc` and `/sys`: tests have trees of their own. */
  readonly procRoot?: string;
  readonly sysRoot?: string;
}

export class LinuxMonitor implements Monitor {
  readonly #pids: MonitorOptions['pids'];
  readonly #procRoot: string;
  readonly #sysRoot: string;

  constructor({ pids, procRoot = '/proc', sysRoot = '/sys' }: MonitorOptions) {
    this.#pids = pids;
    this.#procRoot = procRoot;
    this.#sysRoot = sysRoot;
  }

  sample(): Sample {
    const meminfo = this.#read('meminfo');
    const psi = this.#read('pressure/memory');
    const cellBytes = new Map<CellId, number>();
    for (const [cell, pid] of this.#pids()) {
      const bytes = readPssBytes(pid, this.#procRoot);
      if (bytes !== null) cellBytes.set(cell, bytes);
    }
    return {
      agentBytes: readPssBytes('self', this.#procRoot),
      cellBytes,
      availableBytes: meminfo === null ? null : parseKilobytes(meminfo, 'MemAvailable'),
      totalBytes: meminfo === null ? null : parseKilobytes(meminfo, 'MemTotal'),
      psiSomeAvg10: psi === null ? null : parsePsiAvg10(psi, 'some'),
      psiFullAvg10: psi === null ? null : parsePsiAvg10(psi, 'full'),
    };
  }

  /** The tightest memory limit of the control groups that this process is in; null where there is none. */
  limitBytes(): number | null {
    const cgroup = this.#read('self/cgroup');
    if (cgroup === null) return null;
    const limits = parseCgroupPlaces(cgroup).flatMap((place) => this.#limitsAlong(place));
    return limits.length === 0 ? null : Math.min(...limits);
  }

  /** The limits of a group and of all groups above it: a child is held by each of them. */
  #limitsAlong({ version, path }: CgroupPlace): number[] {
    const mount = join(this.#sysRoot, 'fs/cgroup', version === 1 ? 'memory' : '');
    const file = version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
    const limits: number[] = [];
    for (let at = path; ; at = dirname(at)) {
      const text = readText(join(mount, at, file));
      const limit = text === null ? null : parseCgroupLimit(text);
      if (limit !== null) limits.push(limit);
      if (at === '/' || at === '.') return limits;
    }
  }

  #read(path: string): string | null {
    return readText(join(this.#procRoot, path));
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Least change of a number of bytes that is worth an event. */
const NOTABLE_BYTES = 1_048_576;
/** Least change of a PSI share, in percent. */
const NOTABLE_SHARE = 1;

/** True where a sample tells something that the last one did not: the log keeps every sample that `decide` sees. */
export function isNotable(sample: Sample, last: Sample | null): boolean {
  if (last === null || sample.cellBytes.size !== last.cellBytes.size) return true;
  for (const [cell, bytes] of sample.cellBytes) {
    if (differs(bytes, last.cellBytes.get(cell) ?? null, NOTABLE_BYTES)) return true;
  }
  return (
    differs(sample.agentBytes, last.agentBytes, NOTABLE_BYTES) ||
    differs(sample.availableBytes, last.availableBytes, availableStep(last)) ||
    differs(sample.psiSomeAvg10, last.psiSomeAvg10, NOTABLE_SHARE) ||
    differs(sample.psiFullAvg10, last.psiFullAvg10, NOTABLE_SHARE)
  );
}

/** Available memory moves all the time: 2 % of all memory is a step, as long as there is plenty. */
function availableStep({ totalBytes }: Sample): number {
  return Math.max(NOTABLE_BYTES, (totalBytes ?? 0) * 0.02);
}

function differs(now: number | null, before: number | null, step: number): boolean {
  if (now === null || before === null) return now !== before;
  return Math.abs(now - before) >= step;
}
