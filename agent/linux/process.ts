/**
 * What the kernel says about one process and its memory. Used by the agent (its cells) and by a cell (itself).
 * Every reader returns null for "no data": an old kernel, a sandbox, or a process that has ended.
 */
import { readText } from './kernel-files.ts';

/** `self`, or a process id. */
export type ProcessId = number | 'self';

/**
 * Value in bytes of one line of `/proc/PID/smaps_rollup` or `/proc/PID/status`, such as `Pss:    1234 kB` (proc(5)).
 * null where the line is missing or has another form.
 */
export function parseKilobytes(text: string, field: string): number | null {
  const match = /^\s*(\d{1,12}) kB$/.exec(restOfLine(text, `${field}:`) ?? '');
  return match?.[1] === undefined ? null : Number(match[1]) * 1024;
}

/** The number behind a name in a file of `name value` lines, such as `/proc/vmstat`; null where it is missing. */
export function parseCounter(text: string, name: string): number | null {
  const match = /^\d{1,15}$/.exec(restOfLine(text, `${name} `) ?? '');
  return match === null ? null : Number(match[0]);
}

/** What follows `start` on the first line that starts with it. */
function restOfLine(text: string, start: string): string | null {
  const at = text.startsWith(start) ? 0 : text.indexOf(`\n${start}`) + 1;
  if (at === 0 && !text.startsWith(start)) return null;
  const end = text.indexOf('\n', at);
  return text.slice(at + start.length, end < 0 ? undefined : end);
}

/** Proportional set size in bytes: memory of its own, plus its share of what it shares with other processes. */
export function readPssBytes(pid: ProcessId, procRoot = '/proc'): number | null {
  return readField(`${procRoot}/${pid}/smaps_rollup`, 'Pss');
}

export interface Footprint {
  readonly pssBytes: number;
  /** Of that, pages of files: of clean ones the kernel has a copy on the disk. null before Linux 5.4. */
  readonly fileBytes: number | null;
}

/** What a process takes of the memory, by one walk through its pages. Pages of a private mapping count as its file's until they are written. */
export function readFootprint(pid: ProcessId, procRoot = '/proc'): Footprint | null {
  const text = readText(`${procRoot}/${pid}/smaps_rollup`);
  const pssBytes = text === null ? null : parseKilobytes(text, 'Pss');
  if (text === null || pssBytes === null) return null;
  return { pssBytes, fileBytes: parseKilobytes(text, 'Pss_File') };
}

/** Resident set size in bytes, shared pages counted whole. */
export function readRssBytes(pid: ProcessId, procRoot = '/proc'): number | null {
  return readField(`${procRoot}/${pid}/status`, 'VmRSS');
}

/** Highest resident set size in bytes since the process started, or since whoever may has reset it. */
export function readPeakRssBytes(pid: ProcessId, procRoot = '/proc'): number | null {
  return readField(`${procRoot}/${pid}/status`, 'VmHWM');
}

/** How many processes the kernel has killed for want of memory since it booted. */
export function readOomKills(procRoot = '/proc'): number | null {
  const text = readText(`${procRoot}/vmstat`);
  return text === null ? null : parseCounter(text, 'oom_kill');
}

function readField(path: string, field: string): number | null {
  const text = readText(path);
  return text === null ? null : parseKilobytes(text, field);
}
