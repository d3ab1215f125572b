/**
 * A file of weights that the runtime has mapped. What is written to such a file shows in the memory of every process
 * that has it mapped, and what is cut off ends it; so it is looked at before every use. A file that was removed or
 * replaced is still the one that is mapped.
 */
import { accessSync, type BigIntStats, closeSync, constants, fstatSync, openSync, read } from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import type { Address } from '../../linux/foreign.ts';
import type { Mapping } from '../../linux/mappings.ts';
import { isUntouched } from '../../untouched.ts';
import { plainMessage } from '../failure.ts';
import { fileChanged } from './refusal.ts';

/** A part of a file in memory. */
export interface MappedPart {
  readonly start: Address;
  readonly bytes: number;
  /** Bytes from the beginning of the file. */
  readonly offset: number;
  /** For each page whether it is of use: most of a table of words is never looked at. */
  readonly used: Uint8Array;
}

const readSome = promisify(read);

export class DataFile {
  readonly path: string;
  /** What `/proc/self/maps` calls it. */
  readonly file: string;
  readonly parts: readonly MappedPart[];
  /** Of a file that is another's and that it may not write, the kernel tells a process that all of it is in memory. */
  readonly tellsResidency: boolean;
  readonly fd: number;
  #before: BigIntStats;

  private constructor(path: string, file: string, parts: readonly MappedPart[], fd: number) {
    this.path = path;
    this.file = file;
    this.parts = parts;
    this.fd = fd;
    this.#before = fstatSync(fd, { bigint: true });
    this.tellsResidency = this.#before.uid === BigInt(process.geteuid?.() ?? -1) || isWritable(path);
  }

  /** null where the file is not to be found under its name any more, or another one is: then it cannot be watched. */
  static open(path: string, file: string, mappings: readonly Mapping[], pageBytes: number): DataFile | null {
    let fd: number | null = null;
    try {
      fd = openSync(path, 'r');
      const parts = mappings.map(({ start, end, offset }) => {
        const bytes = Number(end - start);
        return { start, bytes, offset, used: new Uint8Array(bytes / pageBytes) };
      });
      const found = new DataFile(path, file, parts, fd);
      if (file.endsWith(` ${found.#before.ino}`)) return found;
    } catch {
      // Below.
    }
    if (fd !== null) closeSync(fd);
    return null;
  }

  /** Whether any page of it was ever looked at. */
  get isOfUse(): boolean {
    return this.parts.some(({ used }) => used.includes(1));
  }

  /** Throws AgentError `weights_changed` where the file was written to or cut since it was opened. */
  check(): void {
    const now = fstatSync(this.fd, { bigint: true });
    if (now.size !== this.#before.size) throw fileChanged(`${basename(this.path)} has another size`);
    if (!isUntouched(this.#before, now)) throw fileChanged(`${basename(this.path)} was written to`);
    this.#before = now;
  }

  /** Reads it into the page cache, and nowhere else. Rejects with `weights_changed` where the disk does not give it. */
  async readAhead(scratch: Uint8Array, offset: number): Promise<void> {
    await readSome(this.fd, scratch, 0, scratch.length, offset).catch((cause: unknown) => {
      throw fileChanged(`${basename(this.path)} cannot be read: ${plainMessage(cause)}`);
    });
  }

  close(): void {
    closeSync(this.fd);
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
