/**
 * PSS of the agent and its cells. The kernel walks all pages of a process for it, a millisecond for each 60 MB, while the
 * resident size is a counter. So one process is measured exactly at each look, in turns, and the others are taken to have
 * grown or shrunk by what their resident size did: right for pages of their own, which is what experts are made of.
 */

import { readText } from '../linux/kernel-files.ts';
import { readPssBytes } from '../linux/process.ts';

export type ProcessName = number | 'self';

interface Measured {
  readonly pssBytes: number;
  readonly residentBytes: number;
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

  /** PSS in bytes of each process that could be read; one that is new or has no resident size is measured at once. */
  read(processes: readonly ProcessName[], pageBytes: number): ReadonlyMap<ProcessName, number> {
    this.#looks++;
    const sizes = new Map<ProcessName, number>();
    for (const known of this.#measured.keys()) if (!processes.includes(known)) this.#measured.delete(known);
    const turn = this.#oldest();
    for (const process of processes) {
      const resident = parseResidentPages(readText(`${this.#procRoot}/${process}/statm`) ?? '');
      const last = this.#measured.get(process);
      const isExact = process === turn || last === undefined || resident === null;
      const bytes = isExact
        ? this.#measure(process, resident === null ? null : resident * pageBytes)
        : Math.max(0, last.pssBytes + resident * pageBytes - last.residentBytes);
      if (bytes !== null) sizes.set(process, bytes);
    }
    return sizes;
  }

  #measure(process: ProcessName, residentBytes: number | null): number | null {
    const pssBytes = readPssBytes(process, this.#procRoot);
    if (pssBytes === null) this.#measured.delete(process);
    else if (residentBytes !== null)
      this.#measured.set(process, { pssBytes, residentBytes, at: this.#looks });
    return pssBytes;
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

/** The second number of `/proc/PID/statm` (proc(5)), in pages. */
export function parseResidentPages(statm: string): number | null {
  const match = /^[0-9]{1,12} ([0-9]{1,12})\b/.exec(statm);
  return match === null ? null : Number(match[1]);
}
