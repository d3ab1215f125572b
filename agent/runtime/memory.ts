/** What loading an expert costs this process, measured by the process itself. */
import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Libc } from '../linux/libc.ts';
import { readPeakRssBytes, readPssBytes, readRssBytes } from '../linux/process.ts';
import type { LoadReport } from '../types.ts';

export class CellMemory {
  readonly #libc: Libc;
  readonly #procRoot: string;
  readonly #collectGarbage: () => void;

  /** `procRoot` is where the files of `/proc` are looked for. */
  constructor(libc: Libc, procRoot = '/proc', collectGarbage = garbageCollector()) {
    this.#libc = libc;
    this.#procRoot = procRoot;
    this.#collectGarbage = collectGarbage;
  }

  /** PSS in bytes; null is "no data". */
  pssBytes(): number | null {
    return readPssBytes('self', this.#procRoot);
  }

  /**
   * Gives back what is free: garbage of JavaScript first, since it holds blocks of the heap that is trimmed next.
   * Twice, because V8 frees array buffers on another thread after a collection, and the next one waits for that:
   * with one, 3 to 60 of 60 MB came back.
   */
  settle(): void {
    this.#collectGarbage();
    this.#collectGarbage();
    this.#libc.trimHeap();
  }

  /** Does the work of a load and reports its cost. Rejects as the work does. */
  async measure(work: () => Promise<void>): Promise<LoadReport> {
    this.settle();
    const beforeBytes = this.pssBytes();
    const rssBytes = readRssBytes('self', this.#procRoot);
    const peakIsFresh = this.#resetPeak();
    const startMs = performance.now();
    await work();
    const loadMs = performance.now() - startMs;
    const highest = peakIsFresh ? readPeakRssBytes('self', this.#procRoot) : null;
    this.settle();
    const afterBytes = this.pssBytes();
    const grownBytes =
      beforeBytes === null || afterBytes === null ? null : Math.max(0, afterBytes - beforeBytes);
    const risenBytes = highest === null || rssBytes === null ? null : Math.max(0, highest - rssBytes);
    const peakBytes =
      grownBytes === null || risenBytes === null
        ? (risenBytes ?? grownBytes)
        : Math.max(grownBytes, risenBytes);
    return { beforeBytes, afterBytes, peakBytes, loadMs };
  }

  /** Sets the highest RSS back to the present one (proc(5), `clear_refs`); false where that is not permitted. */
  #resetPeak(): boolean {
    try {
      writeFileSync(`${this.#procRoot}/self/clear_refs`, '5');
      return true;
    } catch {
      return false;
    }
  }
}

/** V8's full collection. The flag is set here because a single executable takes no flags of Node. */
function garbageCollector(): () => void {
  if (globalThis.gc !== undefined) return globalThis.gc as () => void;
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
