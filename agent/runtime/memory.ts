/** What loading an expert costs this process, measured by the process itself. */
import { writeFileSync } from 'node:fs';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { LoadReport } from '../events.ts';
import type { Libc } from '../linux/libc.ts';
import { readPeakRssBytes, readPssBytes, readRssBytes } from '../linux/process.ts';

/** What is less than a page or two of a heap of V8 is no part of a measurement. */
const SETTLED_BYTES = 256 * 1024;

/** What a measurement needs of V8. */
export interface JavaScriptHeap {
  collect(kind: 'major' | 'minor'): void;
  /** Of objects and array buffers, those included that nobody uses any more. */
  usedBytes(): number;
}

export class CellMemory {
  readonly #libc: Libc;
  readonly #procRoot: string;
  readonly #heap: JavaScriptHeap;
  /** What was in use when it was settled; null once an expert has come, or tried to, after that. */
  #settledBytes: number | null = null;

  /** `procRoot` is where the files of `/proc` are looked for. */
  constructor(libc: Libc, procRoot = '/proc', heap = openHeap()) {
    this.#libc = libc;
    this.#procRoot = procRoot;
    this.#heap = heap;
  }

  /** PSS in bytes; null is "no data". */
  pssBytes(): number | null {
    return readPssBytes('self', this.#procRoot);
  }

  /**
   * Gives back what is free: garbage of JavaScript first, since it holds blocks of the heap that is trimmed next.
   * Twice, because V8 frees array buffers on another thread after a collection, and the next one waits for that,
   * a small one too: with one, 3 to 60 of 60 MB came back.
   */
  settle(): void {
    this.#heap.collect('major');
    this.#heap.collect('minor');
    this.#settledBytes = this.#heap.usedBytes();
    this.#libc.trimHeap();
  }

  /** A load often follows an unload at once: to collect again what was collected takes 5 to 10 ms, and finds nothing. */
  #settleAgain(): void {
    const isSettled =
      this.#settledBytes !== null && this.#heap.usedBytes() - this.#settledBytes < SETTLED_BYTES;
    if (isSettled) this.#libc.trimHeap();
    else this.settle();
    this.#settledBytes = null;
  }

  /** Does the work of a load and reports its cost. Rejects as the work does. */
  async measure(work: () => Promise<void>): Promise<LoadReport> {
    this.#settleAgain();
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

type Collector = (options: { readonly type: 'major' | 'minor' }) => void;

/** V8's own. The flag is set here because a single executable takes no flags of Node. */
function openHeap(): JavaScriptHeap {
  if (globalThis.gc === undefined) setFlagsFromString('--expose-gc');
  const collect = (globalThis.gc ?? runInNewContext('gc')) as Collector;
  return {
    collect: (type) => collect({ type }),
    usedBytes: () => {
      const { used_heap_size: objects, external_memory: buffers } = getHeapStatistics();
      return objects + buffers;
    },
  };
}
