/**
 * Files in the page cache: how much of them is there, and reading them into it in their order, where the kernel would
 * fetch them page by page as they are needed.
 */
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

/** null is "no data": of some part that is needed, nobody can tell. */
export function residencyOf(parts: readonly Wanted[], pageBytes: number, cached: Cached): Residency | null {
  let [needed, cold] = [0, 0];
  for (const part of parts.filter(isOfUse)) {
    const there = cached(part.start, part.bytes);
    if (there === null) return null;
    const pages = part.bytes / pageBytes;
    needed += part.used === null ? pages : part.used.reduce((sum, used) => sum + used, 0);
    for (const run of coldRuns(part, pageBytes, there)) cold += run.bytes / pageBytes;
  }
  return { bytes: needed * pageBytes, coldBytes: cold * pageBytes };
}

/**
 * Reads what is cold, in the order of the parts, until all of it is there or `isEnough`, which is asked before each
 * block. Resolves with how many bytes were read.
 */
export async function readAhead(
  parts: readonly Wanted[],
  pageBytes: number,
  cached: Cached,
  isEnough = () => false,
): Promise<number> {
  // All of them are found first: the kernel itself reads on beyond what it is asked for.
  const blocks = parts.filter(isOfUse).flatMap((part) => {
    const there = cached(part.start, part.bytes);
    return there === null ? [] : [...blocksOf(part, coldRuns(part, pageBytes, there))];
  });
  if (blocks.length === 0) return 0;
  const scratch = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let readBytes = 0;
  for (const { source, offset, bytes } of blocks) {
    if (isEnough()) break;
    await source.readAhead(scratch.subarray(0, bytes), offset);
    readBytes += bytes;
  }
  return readBytes;
}

function isOfUse({ used }: Wanted): boolean {
  return used === null || used.includes(1);
}

/** Bytes from the beginning of a part. */
interface Run {
  readonly at: number;
  readonly bytes: number;
}

function* blocksOf({ source, offset }: Wanted, runs: Iterable<Run>) {
  for (const run of runs) {
    for (let done = 0; done < run.bytes; done += BLOCK_BYTES) {
      const bytes = Math.min(BLOCK_BYTES, run.bytes - done);
      yield { source, offset: offset + run.at + done, bytes };
    }
  }
}

/** Pages that are needed and not there. */
function coldRuns({ used }: Wanted, pageBytes: number, there: Uint8Array): Iterable<Run> {
  // All of it is there, nearly always: then it costs nothing to see that.
  if (!there.includes(0)) return [];
  return runsOf(there.length, pageBytes, (page) => there[page] === 0 && used?.[page] !== 0);
}

/** Neighbouring pages of one kind. */
function* runsOf(pages: number, pageBytes: number, isOne: (page: number) => boolean): Generator<Run> {
  for (let page = 0; page < pages; page += 1) {
    const first = page;
    while (page < pages && isOne(page)) page += 1;
    if (page > first) yield { at: first * pageBytes, bytes: (page - first) * pageBytes };
  }
}
