/** Several models out of one: copies that differ in a weight, since equal files would share their pages in memory. */
import { closeSync, constants, cpSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Copies the hub folder to `target`, and changes one byte in the middle of its largest file by one. */
export function copyModel(source: string, target: string, which: number): void {
  cpSync(source, target, { recursive: true, mode: constants.COPYFILE_FICLONE });
  const files = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  const [largest] = files;
  if (largest === undefined) throw new Error(`${source} holds no file`);
  const at = Math.floor(statSync(largest).size / 2) + which * 4_096;
  const file = openSync(largest, 'r+');
  try {
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ 1;
    writeSync(file, byte, 0, 1, at);
  } finally {
    closeSync(file);
  }
}
