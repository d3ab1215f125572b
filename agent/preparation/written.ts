/** Writing files that are whole after a power cut, and not filling the disk with them. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { AgentError } from '../errors.ts';
import type { MadeFile } from './job.ts';

/** Writes a new file and syncs it. */
export function writeWhole(path: string, bytes: Uint8Array): MadeFile {
  const file = openSync(path, 'wx', 0o444);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path: basename(path), bytes: bytes.length, sha256, linkOf: null };
}

/** Throws AgentError `disk_full` unless `marginBytes` are left when so many bytes were written into `directory`. */
export function checkSpace(directory: string, bytes: number, marginBytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes - bytes >= marginBytes) return;
  throw new AgentError(
    'disk_full',
    `${directory} has ${freeBytes} bytes free; ${bytes} are to be written and ${marginBytes} to stay free`,
    { hint: 'Make room on the disk; the expert works without what would be written.', retryable: true },
  );
}
