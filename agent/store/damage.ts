/** What an error of SQLite means for the log: a damaged file is replaced, anything else is waited out. */
import { accessSync, constants, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AgentError } from '../errors.ts';

/** Damaged files that are kept for whoever wants to look; older ones would fill a small disk. */
const keptCopies = 2;

/** Errors that a healthy file can meet: the disk, its rights, another program that holds a lock, memory. */
const environment =
  /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|NOMEM|PERM|AUTH|INTERRUPT|PROTOCOL|NOLFS|TOOBIG|MISUSE)/;

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** True if the content of a file that is in use is broken. */
export function isDamage(error: unknown): boolean {
  const code = codeOf(error);
  return (
    code === 'store_damaged' ||
    /^SQLITE_(CORRUPT|NOTADB|FORMAT)/.test(code) ||
    code === 'SQLITE_IOERR_SHORT_READ'
  );
}

/**
 * True if a file that does not open is broken: whatever SQLite says of the schema or of a header that it cannot read,
 * unless it is the disk or the rights.
 */
export function isDamageAtOpen(error: unknown, path: string): boolean {
  if (isDamage(error)) return true;
  const code = codeOf(error);
  if (!code.startsWith('SQLITE_')) return false;
  // A flipped bit in the header makes SQLite take the file as read-only, or as one whose WAL it cannot open.
  if (/^SQLITE_(READONLY|CANTOPEN)/.test(code)) return isWritable(path) && isWritable(dirname(path));
  return !environment.test(code);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Renames a database and its WAL, so that they still open together; returns the new name. */
export function moveAside(path: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace('.', '');
  const aside = freeName(`${path}.corrupt-${stamp}`);
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  dropOldCopies(path);
  return aside;
}

function freeName(wanted: string): string {
  let name = wanted;
  for (let n = 2; existsSync(name); n += 1) name = `${wanted}-${n}`;
  return name;
}

function dropOldCopies(path: string): void {
  const prefix = `${basename(path)}.corrupt-`;
  const copies = readdirSync(dirname(path)).filter(
    (name) => name.startsWith(prefix) && !/-(wal|shm)$/.test(name),
  );
  for (const name of copies.sort().slice(0, -keptCopies)) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(dirname(path), name + suffix), { force: true });
  }
}

/** The failure that a broken or unreachable log is reported with. */
export function degraded(error: unknown): AgentError {
  const message = error instanceof Error ? error.message : String(error);
  const full = /^SQLITE_FULL|ENOSPC/.test(codeOf(error));
  return new AgentError('log_degraded', `The decision log cannot be written: ${message}.`, {
    hint: full
      ? 'Free space on the disk of the state directory; the log is tried again by itself.'
      : 'Look at the disk of the state directory and its rights; the log is tried again by itself.',
    retryable: true,
    cause: error,
  });
}
