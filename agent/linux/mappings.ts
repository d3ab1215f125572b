/** The mappings of this process: what lies where in its memory, and which file is behind it. */
import { readFileSync } from 'node:fs';
import type { Address } from './foreign.ts';

export interface Range {
  readonly start: Address;
  /** The first address after it. */
  readonly end: Address;
}

/** A line of `/proc/PID/maps` (proc(5)). */
export interface Mapping extends Range {
  /** Such as `rw-p`. */
  readonly permissions: string;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  /** Device and inode: one file for as long as it is mapped, whatever its name is. null where there is no file. */
  readonly file: string | null;
  /** `/a/path`, with ` (deleted)` at its end once the name is gone; `[heap]` and the like; empty for nothing. */
  readonly path: string;
}

const LINE =
  /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) ([-rwxps]{4}) ([0-9a-f]{1,16}) ([0-9a-f]{2,}:[0-9a-f]{2,}) (\d+)(?: +(.*))?$/;

/** In the order of their addresses; null where a line is of another form: half of the truth is of no use. */
export function parseMappings(text: string): readonly Mapping[] | null {
  const mappings: Mapping[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, start, end, permissions, offset, device, inode, path] = LINE.exec(line) ?? [];
    if (start === undefined || end === undefined || permissions === undefined) return null;
    mappings.push({
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      permissions,
      offset: Number.parseInt(offset ?? '', 16),
      file: inode === '0' ? null : `${device} ${inode}`,
      path: path ?? '',
    });
  }
  return mappings;
}

/** null is "no data": there is no /proc, or it speaks another language. */
export function readMappings(): readonly Mapping[] | null {
  try {
    return parseMappings(readFileSync('/proc/self/maps', 'utf8'));
  } catch {
    return null;
  }
}

/** Memory of nobody's file that may be written, as allocators get it from the kernel. */
export function isAnonymous({ permissions, file, path }: Mapping): boolean {
  return permissions === 'rw-p' && file === null && path === '';
}
