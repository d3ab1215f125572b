/**
 * PSS of the agent and its cells. The kernel walks all pages of a process for it, a millisecond for each 60 MB, while the
 * resident size is a counter. So one process is measured exactly at each look, in turns, and the others are taken to have
 * grown or shrunk by what their resident size did: right for pages of their own, which is what experts are made of.
 */

import { readText } from '../linux/kernel-files.ts';
import { type Footprint, readFootprint } from '../linux/process.ts';

export type ProcessName = number | 'self';

/** Resident pages of a process, each counted whole, whoever shares it. */
export interface Resident {
  readonly bytes: number;
  /** Of that, pages of files and of shared memory. */
  readonly fileBytes: number;
}

interface Measured {
  readonly exact: Footprint;
  readonly resident: Resident;
  /** Number of the look. */
  readonly at: number;
}

export class ProcessSizes {
  readonly #procRoot: string;
  readonly #measured = new Map<ProcessName, Measured>();
  #looks = 0;

  constructor(procRoot: string) {
    this.#procRoot = procRoot;
  }

  /** Each process that could be read; one that is new or has no resident size is measured at once. */
  read(processes: readonly ProcessName[], pageBytes: number): ReadonlyMap<ProcessName, Footprint> {
    this.#looks++;
    const sizes = new Map<ProcessName, Footprint>();
    for (const known of this.#measured.keys()) if (!processes.includes(known)) this.#measured.delete(known);
    const turn = this.#oldest();
    for (const process of processes) {
      const resident = parseResident(readText(`${this.#procRoot}/${process}/statm`) ?? '', pageBytes);
      const last = this.#measured.get(process);
      const isExact = process === turn || last === undefined || resident === null;
      const size = isExact ? this.#measure(process, resident) : moved(last, resident);
      if (size !== null) sizes.set(process, size);
    }
    return sizes;
  }

  #measure(process: ProcessName, resident: Resident | null): Footprint | null {
    const exact = readFootprint(process, this.#procRoot);
    if (exact === null) this.#measured.delete(process);
    else if (resident !== null) this.#measured.set(process, { exact, resident, at: this.#looks });
    return exact;
  }

  /** Whose measurement is the oldest. */
  #oldest(): ProcessName | null {
    let oldest: { readonly process: ProcessName; readonly at: number } | null = null;
    for (const [process, { at }] of this.#measured) {
      if (oldest === null || at < oldest.at) oldest = { process, at };
    }
    return oldest?.process ?? null;
  }
}

/** What was measured, as far as its resident pages say what became of it. */
function moved({ exact, resident: then }: Measured, now: Resident): Footprint {
  const pssBytes = Math.max(0, exact.pssBytes + now.bytes - then.bytes);
  if (exact.fileBytes === null) return { pssBytes, fileBytes: null };
  const fileBytes = Math.max(0, exact.fileBytes + now.fileBytes - then.fileBytes);
  return { pssBytes, fileBytes: Math.min(fileBytes, pssBytes) };
}

/** The second and third number of `/proc/PID/statm` (proc(5)), which counts pages. */
export function parseResident(statm: string, pageBytes: number): Resident | null {
  const [, pages, filePages] = /^[0-9]{1,12} ([0-9]{1,12}) ([0-9]{1,12})\b/.exec(statm) ?? [];
  if (pages === undefined || filePages === undefined) return null;
  return { bytes: Number(pages) * pageBytes, fileBytes: Number(filePages) * pageBytes };
}
