/**
 * How fast the disk that holds the experts is read in sequence: what a first load takes is often nothing else. Measured
 * once a disk, in the background, by reading part of the largest file there past the page cache (O_DIRECT), and kept in
 * a small file of the state directory. Where the file system cannot do that, there is no data: a cached read says
 * nothing about the disk.
 */
import {
  constants,
  type Dirent,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** As much is read at most, and for as long at most: a bad SD card does 5 MB a second. */
const MOST_BYTES = 32 * 1_048_576;
const MOST_MS = 3_000;
/** Less tells more of seeking than of reading. */
const LEAST_BYTES = 2 * 1_048_576;
const CHUNK_BYTES = 1_048_576;
/** What O_DIRECT asks of addresses and lengths on any common disk. */
const ALIGNMENT = 4_096;
/** The C library's alignment of an allocation. */
const ADDRESS_STEP = 16;
const MOST_DEPTH = 4;
const MOST_DISKS = 16;

export interface StorageOptions {
  /** Folders whose files may be read; the first that has a large one counts. */
  readonly folders: readonly string[];
  /** Where measurements are kept. */
  readonly file: string;
}

export class StorageMeter {
  readonly #options: StorageOptions;
  #bytesPerSecond: number | null = null;

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  get bytesPerSecond(): number | null {
    return this.#bytesPerSecond;
  }

  /** Takes what is known of this disk, else measures it. Never rejects; a failure is no data. */
  async start(): Promise<void> {
    try {
      const file = largestFile(this.#options.folders);
      if (file === null) return;
      const disk = String(file.disk);
      const known = readKept(this.#options.file);
      this.#bytesPerSecond = known.get(disk) ?? null;
      if (this.#bytesPerSecond !== null) return;
      this.#bytesPerSecond = await measure(file.path);
      if (this.#bytesPerSecond !== null) keep(this.#options.file, known.set(disk, this.#bytesPerSecond));
    } catch {
      // A disk that cannot be read or written is for others to report.
    }
  }
}

/** Bytes a second of a sequential read past the page cache, or null where that cannot be done. */
export async function measure(path: string): Promise<number | null> {
  const file = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(() => null);
  if (file === null) return null;
  try {
    const buffer = await alignedBuffer(file);
    return buffer === null ? null : await timeReads(file, buffer);
  } catch {
    return null;
  } finally {
    await file.close();
  }
}

/** JavaScript cannot see addresses, but the kernel refuses a read into one that does not fit. */
async function alignedBuffer(file: FileHandle): Promise<Uint8Array | null> {
  const whole = new Uint8Array(CHUNK_BYTES + ALIGNMENT);
  for (let offset = 0; offset < ALIGNMENT; offset += ADDRESS_STEP) {
    const buffer = whole.subarray(offset, offset + CHUNK_BYTES);
    const read = await file.read(buffer, 0, ALIGNMENT, 0).catch(() => null);
    if (read !== null) return buffer;
  }
  return null;
}

async function timeReads(file: FileHandle, buffer: Uint8Array): Promise<number | null> {
  const startMs = performance.now();
  let bytes = 0;
  let elapsedMs = 0;
  // Whole chunks only: the tail of a file has a length that O_DIRECT may refuse.
  const { size } = await file.stat();
  while (bytes + CHUNK_BYTES <= Math.min(size, MOST_BYTES) && elapsedMs < MOST_MS) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, bytes);
    if (bytesRead < CHUNK_BYTES) break;
    bytes += bytesRead;
    elapsedMs = performance.now() - startMs;
  }
  return bytes < LEAST_BYTES || elapsedMs <= 0 ? null : Math.round((bytes / elapsedMs) * 1_000);
}

interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly disk: number;
}

function largestFile(folders: readonly string[]): FoundFile | null {
  for (const folder of folders) {
    let largest: FoundFile | null = null;
    for (const path of filesUnder(folder, MOST_DEPTH)) {
      const { size: bytes, dev: disk } = statSync(path);
      if (bytes >= LEAST_BYTES && (largest === null || bytes > largest.bytes))
        largest = { path, bytes, disk };
    }
    if (largest !== null) return largest;
  }
  return null;
}

function filesUnder(folder: string, depth: number): string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return depth > 1 ? filesUnder(path, depth - 1) : [];
    return entry.isFile() ? [path] : [];
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Measurements by disk (device number); none where the file is missing or of another form. */
export function parseKept(text: string): Map<string, number> {
  const kept = new Map<string, number>();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return kept;
  }
  if (typeof parsed !== 'object' || parsed === null || !('bytesPerSecond' in parsed)) return kept;
  for (const [disk, value] of Object.entries(parsed.bytesPerSecond ?? {})) {
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) kept.set(disk, value);
  }
  return kept;
}

function readKept(file: string): Map<string, number> {
  try {
    return parseKept(readFileSync(file, 'utf8'));
  } catch {
    return new Map();
  }
}

/** Appears whole. */
function keep(file: string, kept: ReadonlyMap<string, number>): void {
  const bytesPerSecond = Object.fromEntries([...kept].slice(-MOST_DISKS));
  const own = `${file}.${process.pid}`;
  writeFileSync(own, `${JSON.stringify({ bytesPerSecond })}\n`);
  renameSync(own, file);
}
