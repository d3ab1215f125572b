/**
 * Whether the kernel does, and tells, what parking relies on. Tried on two pages: under an emulator or in a sandbox the
 * files of /proc may be there and speak of another memory.
 */
import { closeSync, openSync } from 'node:fs';
import type { Address, Foreign } from '../../linux/foreign.ts';
import type { Heap } from '../../linux/heap.ts';
import { readMappings } from '../../linux/mappings.ts';
import type { PageSource } from '../../linux/pages.ts';
import { findChunks } from './chunks.ts';
import type { Machine } from './claim.ts';
import { cutHoles } from './holes.ts';

/** As ONNX Runtime allocates a weight, and large enough to be a mapping. */
const ALIGNMENT = 64;
const WEIGHT_BYTES = 1024 ** 2;

/** Whether a weight is found where this C library puts it: glibc may lay its blocks out in another way one day. */
export function recognises({ pageBytes, memory }: Machine, heap: Heap): boolean {
  const mend = cutHoles(heap);
  const block = heap.allocateAligned(ALIGNMENT, WEIGHT_BYTES);
  mend();
  if (block === null) return false;
  const start = block - (block % BigInt(pageBytes));
  const end = readMappings()?.find((mapping) => mapping.start <= start && mapping.end > start)?.end ?? start;
  const [chunk] = findChunks([{ start, end }], {
    pageBytes,
    touched: () => Uint8Array.of(1),
    read: (at, into) => memory.read(at, into),
  });
  heap.free(block);
  return chunk?.start === start && chunk.bytes >= WEIGHT_BYTES;
}

/** A file that is longer than two pages of any size and never changes: the program that runs. */
const FILE = process.execPath;

export function proves(machine: Machine, foreign: Foreign, source: PageSource): boolean {
  const bytes = 2 * machine.pageBytes;
  const pages = source.map(bytes);
  let file: number | null = null;
  try {
    file = openSync(FILE, 'r');
    const write = (content: Uint8Array) => source.copy(foreign.addressOf(content), pages.address, bytes);
    return passes(machine, pages.address, file, write);
  } catch {
    return false;
  } finally {
    pages.release();
    if (file !== null) closeSync(file);
  }
}

function passes(
  { pageBytes, memory, remapping }: Machine,
  at: Address,
  file: number,
  write: (content: Uint8Array) => void,
): boolean {
  const bytes = 2 * pageBytes;
  const ones = new Uint8Array(bytes).fill(1);
  const holds = (expected: Uint8Array): boolean => {
    const found = Buffer.alloc(bytes);
    return memory.read(at, found) && found.equals(expected);
  };
  const ownBytes = () => memory.count(at, bytes)?.ownBytes;
  // 1. What is written is seen, and known to be nobody's file.
  write(ones);
  if (!holds(ones) || ownBytes() !== bytes) return false;
  // 2. A file takes its place, under the same address.
  if (!remapping.mapOver(at, bytes, file, 0) || holds(ones) || ownBytes() !== 0) return false;
  const mapping = readMappings()?.find(({ start }) => start === at);
  if (mapping === undefined || mapping.file === null || mapping.end !== at + BigInt(bytes)) return false;
  const original = Buffer.alloc(bytes);
  if (!memory.read(at, original)) return false;
  // 3. What is written over it is known to be no longer the file's.
  write(ones);
  if (!holds(ones) || ownBytes() !== bytes) return false;
  // 4. Dropped, it is the file's again.
  if (!remapping.drop(at, bytes) || memory.count(at, bytes)?.presentBytes !== 0) return false;
  return holds(original) && ownBytes() === 0 && remapping.cached(at, bytes)?.length === 2;
}
