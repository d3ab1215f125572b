/** Files that the commands of the fleet read and write, with errors that name them. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { toFailure } from '../errors.ts';
import { CliError, EXIT, type Io } from './io.ts';

/** A file as it is; `-` is stdin. */
export async function readInput(path: string, io: Io): Promise<Uint8Array> {
  if (path !== '-') return attempt(EXIT.usage, () => readFileSync(path));
  const pieces: Uint8Array[] = [];
  for await (const piece of io.stdin) pieces.push(typeof piece === 'string' ? Buffer.from(piece) : piece);
  return Buffer.concat(pieces);
}

export function readText(path: string): string {
  return attempt(EXIT.usage, () => readFileSync(path, 'utf8'));
}

/** Makes a file that must not be there yet. */
export function writeNew(path: string, text: string, mode: number): void {
  attempt(EXIT.failed, () => writeFileSync(path, text, { flag: 'wx', mode }));
}

/** To `path`, or to stdout where there is none. */
export function writeOutput(path: string | undefined, text: string, io: Io): void {
  if (path === undefined) io.stdout.write(`${text}\n`);
  else attempt(EXIT.failed, () => writeFileSync(path, `${text}\n`));
}

/** A private key in PEM. Says so where others can read it too. */
export function readPrivateKey(path: string, io: Io): KeyObject {
  const text = readText(path);
  if ((statSync(path).mode & 0o077) !== 0)
    io.stderr.write(`note: ${path} can be read by others than you: chmod 600 ${path}\n`);
  try {
    return createPrivateKey(text);
  } catch {
    throw new CliError(EXIT.failed, `${path} is no private key in PEM`, 'Make one: expertd fleet keygen');
  }
}

/** Runs what may be refused; a refusal ends the command, and says of which file it is. */
export function orRefused<T>(path: string, work: () => T, exitCode: number = EXIT.failed): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'AgentError') throw error;
    const { message, hint } = toFailure(error);
    throw new CliError(exitCode, `${path}: ${message}`, hint);
  }
}

function attempt<T>(exitCode: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    throw new CliError(exitCode, error.message);
  }
}
