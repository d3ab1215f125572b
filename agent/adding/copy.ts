/** Copies files into a package: durably, and hashed as what was written. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { copyFile, mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ManifestFile } from '../catalog/manifest.ts';
import { hashFile } from '../catalog/package.ts';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Copies a file. Where the file system can, the copy shares its blocks with the original until one of them is written
 * to; never is it the same file, since whoever edits the original would change the expert. Creates folders.
 */
export async function copyHashed(from: string, to: string): Promise<Omit<ManifestFile, 'path'>> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch {
    // Most file systems cannot; what is wrong beside that shows in the plain copy.
    await rm(to, { force: true });
    return copyPlain(from, to);
  }
  const clone = await open(to, 'r+');
  try {
    await clone.chmod(0o644);
    await clone.sync();
    return { bytes: (await clone.stat()).size, sha256: await hashFile(to) };
  } finally {
    await clone.close();
  }
}

/** Hashes while it copies: the file is read once. */
async function copyPlain(from: string, to: string): Promise<Omit<ManifestFile, 'path'>> {
  const handle = await open(to, 'wx', 0o644);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(from, {
      highWaterMark: CHUNK_BYTES,
    }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      await handle.writeFile(chunk);
      bytes += chunk.length;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}
