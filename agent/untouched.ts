/**
 * Whether a file is still what it was, as far as its inode tells. A file system notes every write in two times: one that
 * anybody may set (`cp -p` over a file of the same age sets it to what it was), and one that nobody can, but that also
 * moves when the file gets or loses a name.
 */

/** As `stat` tells it; times in ns. `node:fs` has more. */
export interface FileTrace {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly nlink: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** Of several files, in an order that stays; null where one is not there. */
export type Traces = readonly (FileTrace | null)[];

/** Whether all of them were there, and are still what they were. */
export function areUntouched(before: Traces, now: Traces): boolean {
  return before.every((file, at) => {
    const other = now[at] ?? null;
    return file !== null && other !== null && isUntouched(file, other);
  });
}

/** False as well where its owner or its permissions were changed: that cannot be told from a write. */
export function isUntouched(before: FileTrace, now: FileTrace): boolean {
  const isSameFile = before.dev === now.dev && before.ino === now.ino;
  const isRenamed = before.nlink !== now.nlink;
  const isAsOld = before.mtimeNs === now.mtimeNs && (before.ctimeNs === now.ctimeNs || isRenamed);
  return isSameFile && before.size === now.size && isAsOld;
}
