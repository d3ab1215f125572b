/** The page size of the running kernel: from the vector that it hands to each program, else from a mapping. */

import { readHead } from '../linux/kernel-files.ts';
import { parseKilobytes } from '../linux/process.ts';

/** From elf.h. */
const AT_PAGESZ = 6n;
const WORD_BYTES = 8;
/** The vector has about 20 entries; the first mapping's description about 700 bytes. */
const HEAD_BYTES = 4_096;

export function readPageBytes(procRoot: string): number | null {
  const vector = readHead(`${procRoot}/self/auxv`, HEAD_BYTES);
  const bytes = vector === null ? null : parseAuxvPageBytes(vector);
  if (bytes !== null) return bytes;
  const mapping = readHead(`${procRoot}/self/smaps`, HEAD_BYTES);
  const said = mapping === null ? null : parseKilobytes(mapping.toString('latin1'), 'KernelPageSize');
  return said === null || !isPageSize(said) ? null : said;
}

/** Pairs of 64-bit little-endian words, key and value, as getauxval(3) describes them. */
export function parseAuxvPageBytes(vector: Buffer): number | null {
  for (let at = 0; at + 2 * WORD_BYTES <= vector.length; at += 2 * WORD_BYTES) {
    if (vector.readBigUInt64LE(at) !== AT_PAGESZ) continue;
    const bytes = Number(vector.readBigUInt64LE(at + WORD_BYTES));
    return isPageSize(bytes) ? bytes : null;
  }
  return null;
}

function isPageSize(bytes: number): boolean {
  return bytes >= 4_096 && bytes <= 1_048_576 && Number.isInteger(Math.log2(bytes));
}
