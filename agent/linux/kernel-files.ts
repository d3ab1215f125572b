/**
 * Reading small files of the kernel. Nothing here throws, waits, or reads more than a bound: a path may be a pipe, a
 * folder, or megabytes of garbage, and a sensor may vanish between two looks. null is "no data".
 */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';

/** No file that is read here is larger; one that is, is none of the kernel's. */
const MOST_BYTES = 65_536;
/** No folder that is listed here has more names that matter. */
const MOST_NAMES = 512;
/** A pipe would make its reader wait. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

const scratch = Buffer.allocUnsafe(MOST_BYTES);

/** The whole of a file as latin1 text; null where it cannot be read or is larger than `MOST_BYTES`. */
export function readText(path: string): string | null {
  const length = readInto(scratch, path);
  return length === null || length === MOST_BYTES ? null : scratch.toString('latin1', 0, length);
}

/** The first `bytes` of a file, or all of it if it has less. */
export function readHead(path: string, bytes: number): Buffer | null {
  const buffer = Buffer.alloc(Math.min(bytes, MOST_BYTES));
  const length = readInto(buffer, path);
  return length === null ? null : buffer.subarray(0, length);
}

/** The names in a folder, in order; none where it cannot be read. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path).sort(byNumber).slice(0, MOST_NAMES);
  } catch {
    return [];
  }
}

/** A file that holds one whole number, as most files below /sys do. */
export function readInteger(path: string): number | null {
  const text = readText(path);
  return text === null ? null : parseInteger(text);
}

/** A whole number of at most 15 digits and nothing else but space around it. */
export function parseInteger(text: string): number | null {
  const trimmed = text.trim();
  return /^-?[0-9]{1,15}$/.test(trimmed) ? Number(trimmed) : null;
}

/** A file that holds one word or name: its text without the space around it; null where nothing is left. */
export function readWord(path: string): string | null {
  const word = readText(path)?.trim() ?? '';
  return word === '' ? null : word.slice(0, 64);
}

function readInto(buffer: Buffer, path: string): number | null {
  let file: number | null = null;
  try {
    file = openSync(path, FLAGS);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(file, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return length;
  } catch {
    return null;
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** `zone2` before `zone10`. */
function byNumber(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}
