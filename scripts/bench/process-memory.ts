/** What a process costs in memory, from `/proc/PID/smaps_rollup` (proc(5)), in bytes. */
import { readFileSync } from 'node:fs';

export interface ProcessMemory {
  readonly rssBytes: number;
  /** Shared pages counted in part: sums over processes add up. Other Node processes on the machine lower it. */
  readonly pssBytes: number;
  readonly anonymousBytes: number;
}

export function processMemory(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return {
    rssBytes: field(text, 'Rss'),
    pssBytes: field(text, 'Pss'),
    anonymousBytes: field(text, 'Anonymous'),
  };
}

function field(text: string, name: string): number {
  const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kilobytes === undefined) throw new Error(`smaps_rollup has no ${name}`);
  return Number(kilobytes) * 1024;
}
