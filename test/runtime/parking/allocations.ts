/** Memory as ONNX Runtime allocates it, in the hands of a test: what is written to it and when it goes is known. */
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openForeign } from '../../../agent/linux/foreign.ts';
import { openPages } from '../../../agent/linux/pages.ts';
import { CopyFile } from '../../../agent/runtime/parking/copy-file.ts';
import { openParking } from '../../../agent/runtime/parking/parking.ts';

const ALIGNMENT = 64;
const MAP_PRIVATE = 2;
const MAP_FIXED = 16;
const MAP_ANONYMOUS = 32;
const MAP_FAILED = 2n ** 64n - 1n;
const PROT_READ_WRITE = 3;
const POSIX_FADV_DONTNEED = 4;
export const MB = 1024 ** 2;

const foreign = await openForeign();
const pages = foreign === null ? null : openPages(foreign);
export const parking = await openParking();

/** A folder that is gone after the test. */
export function folder(t: Pick<TestContext, 'after'>): string {
  const path = mkdtempSync(join(tmpdir(), 'expertd-parking-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function whySkip(): Promise<string | false> {
  if (parking === null) return 'weights cannot leave memory here: no glibc, no koffi, or no /proc';
  try {
    await (await CopyFile.create(tmpdir(), 0, 0)).close();
    return false;
  } catch (error) {
    return String(error);
  }
}
/** Why nothing can be parked here; false where it can. */
export const skip = await whySkip();

const align = bind('posix_memalign', ['int', 'void *', 'size_t', 'size_t']);
const map = bind('mmap', ['void *', 'void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
const fadvise = bind('posix_fadvise', ['int', 'int', 'int64_t', 'int64_t', 'int']);
const giveBack = bind('free', ['void', 'void *']);

/** Bytes at an address. */
export class Place {
  readonly address: bigint;
  readonly bytes: number;

  constructor(address: bigint, bytes: number) {
    this.address = address;
    this.bytes = bytes;
  }

  write(at: number, content: Uint8Array): void {
    if (foreign !== null) pages?.copy(foreign.addressOf(content), this.address + BigInt(at), content.length);
  }

  read(at: number, bytes: number): Uint8Array {
    const into = new Uint8Array(bytes);
    if (foreign !== null) pages?.copy(this.address + BigInt(at), foreign.addressOf(into), bytes);
    return into;
  }

  /** Whether all of it has one value. */
  holds(value: number): boolean {
    return this.read(0, this.bytes).every((byte) => byte === value);
  }
}

export class Block extends Place {
  constructor(bytes: number, fill: number) {
    const out = new BigUint64Array(1);
    if (align?.(out, ALIGNMENT, bytes) !== 0) throw new TypeError('there is no memory');
    super(out[0] ?? 0n, bytes);
    this.write(0, new Uint8Array(bytes).fill(fill));
  }

  /** The first page of the chunk that it is. */
  get start(): bigint {
    return this.address - BigInt(ALIGNMENT);
  }

  free(): void {
    giveBack?.(this.address);
  }
}

/** Puts the nameless files of a folder out of the page cache; their pages must be on the disk, and mapped by nobody. */
export function forgetCached(directory: string): void {
  for (const fd of readdirSync('/proc/self/fd')) {
    if (linkOf(fd).startsWith(directory)) fadvise?.(Number(fd), 0, 0, POSIX_FADV_DONTNEED);
  }
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** Maps a whole file as the runtime maps its weights; over what is at `start`, if that is given. */
export function mapFile(path: string, start: bigint | null = null): Place {
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  const place = mapped(start, size, start === null ? MAP_PRIVATE : MAP_PRIVATE | MAP_FIXED, file);
  closeSync(file);
  return place;
}

/** Memory of nobody's file at an address that is free. */
export function mapNothing(start: bigint, bytes: number): Place {
  return mapped(start, bytes, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1);
}

function mapped(start: bigint | null, bytes: number, flags: number, file: number): Place {
  const address = map?.(start, bytes, PROT_READ_WRITE, flags, file, 0) ?? MAP_FAILED;
  if (address === MAP_FAILED) throw new TypeError('the kernel refuses the mapping');
  return new Place(address, bytes);
}

function bind<const S extends Parameters<NonNullable<typeof foreign>['functionAt']>[1]>(
  name: string,
  signature: S,
) {
  const address = foreign?.find(null, name) ?? null;
  return address === null ? null : (foreign?.functionAt(address, signature) ?? null);
}
