/** The file that holds the weights of a parked expert. It has no name, so nothing of it is left behind. */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { readWhole } from '../../linux/own-memory.ts';
import { plainMessage } from '../failure.ts';
import { diskRefuses, fileChanged, notParkable } from './refusal.ts';

/** What must stay free on the disk. */
const MARGIN_BYTES = 256 * 1024 ** 2;
/** From linux/magic.h: file systems whose files are in memory. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);
/** From asm-generic/fcntl.h; open(2): a file without a name. Node has the other half of it. */
const NO_NAME = 0o20000000 | constants.O_DIRECTORY;

export class CopyFile {
  readonly #handle: FileHandle;
  #closed = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /**
   * Makes an empty file in a folder. Rejects with AgentError `not_parkable` where the folder is in memory, there is no
   * room for `bytes`, or no file can be made.
   */
  static async create(folder: string, bytes: number, marginBytes = MARGIN_BYTES): Promise<CopyFile> {
    try {
      const { type, bavail, bsize } = await statfs(folder);
      if (IN_MEMORY.has(type)) throw notParkable(`${folder} is in memory itself`);
      const freeBytes = bavail * bsize;
      if (freeBytes < bytes + marginBytes) {
        throw diskRefuses(
          `${bytes} bytes are to be written, of ${freeBytes} that are free ${marginBytes} stay so`,
        );
      }
      return new CopyFile(await openNameless(folder));
    } catch (cause) {
      throw diskRefuses(`no file can be made in ${folder}: ${plainMessage(cause)}`, cause);
    }
  }

  /** For `mmap`, which keeps the file by itself from then on. */
  get fd(): number {
    return this.#handle.fd;
  }

  /** Rejects with `not_parkable`. */
  async write(block: Uint8Array, offset: number): Promise<void> {
    await this.#attempt(async () => {
      let written = 0;
      while (written < block.length) {
        const { bytesWritten } = await this.#handle.write(
          block,
          written,
          block.length - written,
          offset + written,
        );
        written += bytesWritten;
      }
    });
  }

  /**
   * Waits until all of it is on the disk: what a failing disk did not take would come back as zeros, and until then no
   * page of it can leave memory anyway. Rejects with `not_parkable`.
   */
  async sync(): Promise<void> {
    await this.#attempt(() => this.#handle.datasync());
  }

  /** Fills `into`; false where that much is not there. */
  read(into: Uint8Array, offset: number): boolean {
    return readWhole(this.#handle.fd, into, BigInt(offset));
  }

  /**
   * Reads it into the page cache, and nowhere else. Rejects with AgentError `weights_changed` where the disk does not
   * give it back.
   */
  async readAhead(scratch: Uint8Array, offset: number): Promise<void> {
    await this.#handle.read(scratch, 0, scratch.length, offset).catch((cause: unknown) => {
      throw fileChanged(`their copy cannot be read: ${plainMessage(cause)}`);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throw diskRefuses(`its weights cannot be written to the disk: ${plainMessage(cause)}`, cause);
    }
  }
}

/** Some file systems (NFS, FAT, older overlays) have no files without a name. */
async function openNameless(folder: string): Promise<FileHandle> {
  try {
    return await open(folder, constants.O_RDWR | NO_NAME, 0o600);
  } catch {
    return await openUnlinked(folder);
  }
}

const PREFIX = 'parked-';

/**
 * A file that loses its name at once. Where a process was killed just before that, its empty file is still there: it
 * goes with this one's.
 */
export async function openUnlinked(folder: string): Promise<FileHandle> {
  const handle = await open(join(folder, PREFIX + randomUUID()), 'wx+', 0o600);
  const named = (await readdir(folder)).filter((name) => name.startsWith(PREFIX));
  for (const name of named) await rm(join(folder, name), { force: true });
  return handle;
}
