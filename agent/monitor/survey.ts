/** What `expertd doctor` looks at beside a sample: facts that change with a boot, a mount or a package, not by the second. */
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import type { DiskSurvey, Survey } from '../device.ts';
import { readText, readWord } from '../linux/kernel-files.ts';
import { readOomKills } from '../linux/process.ts';
import { possibleAlarms } from './alarm/places.ts';
import { LinuxMonitor } from './monitor.ts';

export interface SurveyOptions {
  readonly stateDir: string;
  readonly nowMs: number;
  readonly loadAverage: number | null;
  readonly storageBytesPerSecond: number | null;
  readonly glibcVersion: string | null;
  readonly procRoot?: string;
  readonly sysRoot?: string;
  readonly runRoot?: string;
}

/** All but what the configuration says. */
export type DeviceSurvey = Omit<Survey, 'budgetBytes' | 'configProblem'> & {
  readonly limitBytes: number | null;
};

export function surveyDevice(options: SurveyOptions): DeviceSurvey {
  const { procRoot = '/proc', sysRoot = '/sys', runRoot = '/run', storageBytesPerSecond } = options;
  const monitor = new LinuxMonitor({
    pids: () => new Map(),
    procRoot,
    sysRoot,
    storageBytesPerSecond: () => storageBytesPerSecond,
  });
  const { device, availableBytes, totalBytes } = monitor.sample();
  return {
    board: boardOf(procRoot),
    availableBytes,
    totalBytes,
    device,
    limitBytes: monitor.limitBytes(),
    psiOn: readText(join(procRoot, 'pressure/memory')) !== null,
    alarms: possibleAlarms({ procRoot, sysRoot }),
    memoryController: hasMemoryController(procRoot, sysRoot),
    clock: { nowMs: options.nowMs, synchronised: isClockSynchronised(runRoot) },
    stateDisk: diskOf(options.stateDir),
    glibcVersion: options.glibcVersion,
    loadAverage: options.loadAverage,
    cpus: availableParallelism(),
    oomKills: readOomKills(procRoot),
  };
}

/** Strings of a device tree end with a zero byte. */
function boardOf(procRoot: string): string | null {
  const model = readWord(join(procRoot, 'device-tree/model'));
  return model?.replaceAll('\0', '') || null;
}

/** `cgroup.controllers` of version 2, else the line of `/proc/cgroups` of version 1. */
function hasMemoryController(procRoot: string, sysRoot: string): boolean | null {
  const v2 = readText(join(sysRoot, 'fs/cgroup/cgroup.controllers'));
  if (v2 !== null) return v2.trim().split(' ').includes('memory');
  const v1 = readText(join(procRoot, 'cgroups'));
  return v1 === null ? null : parseMemoryEnabled(v1);
}

/** Lines of name, hierarchy, number of groups, enabled (cgroups(7)); null where memory is not among them. */
export function parseMemoryEnabled(text: string): boolean | null {
  const match = /^memory\s+\d+\s+\d+\s+([01])\s*$/m.exec(text);
  return match === null ? null : match[1] === '1';
}

/**
 * Whether somebody has set the clock; null where nothing tells.
 *
 * systemd-timesyncd leaves a mark when it has reached a server; other services leave nothing that anybody may read.
 */
export function isClockSynchronised(runRoot = '/run'): boolean | null {
  const folder = join(runRoot, 'systemd/timesync');
  return existsSync(folder) ? existsSync(join(folder, 'synchronized')) : null;
}

/** Of the folder, or where it is not there yet, of the one that it would be made in. */
function diskOf(stateDir: string): DiskSurvey {
  let path = stateDir;
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  return { path: stateDir, ...spaceOf(path), writeError: writeErrorOf(path) };
}

function spaceOf(path: string): Pick<DiskSurvey, 'totalBytes' | 'freeBytes'> {
  try {
    const { bsize, blocks, bavail } = statfsSync(path);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  } catch {
    return { totalBytes: null, freeBytes: null };
  }
}

function writeErrorOf(path: string): string | null {
  try {
    accessSync(path, constants.W_OK);
    return null;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
