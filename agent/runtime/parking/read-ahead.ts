/** Reading files into the page cache in their order, where the kernel would fetch them page by page as they are needed. */
import type { Address } from '../../linux/foreign.ts';

interface Source {
  readAhead(scratch: Uint8Array, offset: number): Promise<void>;
}

/** A part of a file that is mapped at an address. */
export interface Wanted {
  readonly source: Source;
  readonly start: Address;
  readonly bytes: number;
  readonly offset: number;
  /** For each page whether it is of use; null: all are. */
  readonly used: Uint8Array | null;
}

export interface Residency {
  /** What will be needed. */
  readonly bytes: number;
  /** Of that, what is not in the page cache and comes from the disk. */
  readonly coldBytes: number;
}

/** For each page 0 where the kernel does not hold it; null is "no data", and no reason to read anything. */
type Cached = (at: Address, bytes: number) => Uint8Array | null;

const BLOCK_BYTES = 1024 ** 2;

export function residencyOf(parts: readonly Wanted[], pageBytes: number, cached: Cached): Residency {
  let [needed, cold] = [0, 0];
  for (const part of parts) {
    const pages = part.bytes / pageBytes;
    needed += part.used === null ? pages : part.used.reduce((sum, used) => sum + used, 0);
    for (const run of coldRuns(part, pageBytes, cached)) cold += run.bytes / pageBytes;
  }
  return { bytes: needed * pageBytes, coldBytes: cold * pageBytes };
}

/** Reads what is cold, in the order of the parts; resolves with how many bytes that were when it began. */
export async function readAhead(
  parts: readonly Wanted[],
  pageBytes: number,
  cached: Cached,
): Promise<number> {
  // All of them are found first: the kernel itself reads on beyond what it is asked for.
  const runs = parts.flatMap((part) => [...coldRuns(part, pageBytes, cached)].map((run) => ({ part, run })));
  if (runs.length === 0) return 0;
  const scratch = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let bytes = 0;
  for (const { part, run } of runs) {
    bytes += run.bytes;
    for (let done = 0; done < run.bytes; done += BLOCK_BYTES) {
      const block = scratch.subarray(0, Math.min(BLOCK_BYTES, run.bytes - done));
      await part.source.readAhead(block, part.offset + run.offset + done);
    }
  }
  return bytes;
}

/** Neighbouring pages that are needed and not there; offsets are from the part's beginning. */
function* coldRuns(
  { start, bytes, used }: Wanted,
  pageBytes: number,
  cached: Cached,
): Generator<{ readonly offset: number; readonly bytes: number }> {
  if (used !== null && !used.includes(1)) return;
  const there = cached(start, bytes);
  // All of it is there, nearly always: then it costs nothing to see that.
  if (there === null || !there.includes(0)) return;
  const isCold = (page: number): boolean => there[page] === 0 && used?.[page] !== 0;
  for (let page = 0; page < there.length; page += 1) {
    const first = page;
    while (page < there.length && isCold(page)) page += 1;
    if (page > first) yield { offset: first * pageBytes, bytes: (page - first) * pageBytes };
  }
}
