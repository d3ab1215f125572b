/** Makes the page cache forget files, so that the next look at them comes from the disk. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Files below the folder whose name ends so. */
export function forgetFolder(folder: string, ending = ''): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && entry.name.endsWith(ending)) forgetFile(join(entry.parentPath, entry.name));
}

/** Files that a process holds and that have no name any more: the weights of parked experts are in such. */
export function forgetNameless(pid: number): number {
  let files = 0;
  const folder = `/proc/${pid}/fd`;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!isNameless(path)) continue;
    forgetFile(path);
    files++;
  }
  return files;
}

function isNameless(path: string): boolean {
  try {
    return readlinkSync(path).endsWith(' (deleted)') && statSync(path).isFile();
  } catch {
    return false; // It was closed meanwhile.
  }
}

/** What is dirty is written, then all that nobody has mapped is dropped (posix_fadvise DONTNEED, as GNU dd does it). */
function forgetFile(path: string): void {
  const args = [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'];
  execFileSync('dd', args, { stdio: 'ignore' });
}
