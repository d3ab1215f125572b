/**
 * One agent a state directory. The lock is a lock of the kernel, taken through SQLite (Node has no call for it) on an
 * empty file: it ends with the process however that ends, so there is nothing stale to detect after a kill -9. The
 * process id beside it is for people and decides nothing.
 */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { AgentError } from '../errors.ts';
import { codeOf } from './damage.ts';

export interface InstanceLock {
  release(): void;
}

/** Throws AgentError `state_dir_locked` (names the holder) or `state_dir_unusable`. Makes the directory. */
export function lockStateDir(directory: string, nativeBinding: string | undefined): InstanceLock {
  const path = join(directory, 'agent.lock');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lock = acquire(path, nativeBinding);
    notePid(`${path}.pid`);
    return { release: () => lock.close() };
  } catch (error) {
    if (codeOf(error) === 'SQLITE_BUSY') throw locked(directory, `${path}.pid`, error);
    throw unusable(directory, error);
  }
}

function acquire(path: string, nativeBinding: string | undefined): Sqlite.Database {
  const lock = new Sqlite(path, { timeout: 0, ...(nativeBinding === undefined ? {} : { nativeBinding }) });
  try {
    begin(lock);
    return lock;
  } catch (error) {
    lock.close();
    if (codeOf(error) !== 'SQLITE_NOTADB') throw error;
    // Somebody wrote into the file. Emptying it keeps the inode, and with it whatever lock is on it.
    truncateSync(path);
    return acquire(path, nativeBinding);
  }
}

function begin(lock: Sqlite.Database): void {
  lock.pragma('journal_mode = MEMORY');
  lock.exec('BEGIN EXCLUSIVE');
}

function notePid(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch {
    // A full disk: the lock holds without it.
  }
}

function locked(directory: string, pidPath: string, cause: unknown): AgentError {
  const pid = readPid(pidPath);
  const holder = pid === null ? 'another process' : `process ${pid}`;
  return new AgentError('state_dir_locked', `The state directory ${directory} is in use by ${holder}.`, {
    hint: 'Stop the expertd that runs there, or give this one another folder with --state-dir.',
    cause,
  });
}

function readPid(path: string): number | null {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isInteger(pid) ? pid : null;
  } catch {
    return null;
  }
}

function unusable(directory: string, cause: unknown): AgentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AgentError('state_dir_unusable', `The state directory ${directory} cannot be written: ${why}.`, {
    hint: 'Give the user that runs expertd the right to write there, or name another folder with --state-dir.',
    cause,
  });
}
