/**
 * Fetches a package from one of its sources into a folder of its own: the manifest first, then each file that it lists,
 * checked against size and sha256 while it comes. What came whole is kept when a fetch breaks off, so the next try
 * goes on from there; the package appears under its final name only when all of it is on the disk.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { AgentError } from '../errors.ts';
import { PARTIAL } from './fetched.ts';
import type { Manifest, ManifestFile } from './manifest.ts';
import { badExpert, hashFile, MANIFEST_NAME, MAX_MANIFEST_BYTES, parseManifest, sha256 } from './package.ts';
import { type Opener, opener } from './source.ts';

export interface Source {
  /** `file:FOLDER`, or `https://HOST/FOLDER` (`http:` to loopback only). */
  readonly uri: string;
  /** sha256 of the manifest. A remote source without it is refused. */
  readonly sha256: string | null;
}

export interface FetchOptions {
  /** The expert that the configuration names; a manifest of another one is refused. */
  readonly id: string;
  readonly version: string | null;
  readonly sources: readonly Source[];
  /** Packages come to lie in `installDir/ID/VERSION-DIGEST`. */
  readonly installDir: string;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** Kept free on the disk beside what a fetch needs. */
const DISK_RESERVE_BYTES = 64 * 1024 ** 2;
/** A source that sends nothing for this long is given up. */
const STALL_MS = 30_000;

/** Fetches from the first source that works; resolves with the package's folder. Rejects with the last error. */
export async function fetchPackage(options: FetchOptions): Promise<string> {
  let last: unknown = new AgentError('fetch_failed', `expert "${options.id}" has no source`, {
    hint: 'Add sources to it in the configuration, or put its folder into expertsDir.',
  });
  for (const source of options.sources) {
    try {
      return await fetchFrom(source, options);
    } catch (error) {
      options.signal.throwIfAborted();
      last = error;
    }
  }
  throw last;
}

async function fetchFrom(source: Source, options: FetchOptions): Promise<string> {
  const open = opener(source.uri);
  const bytes = await readAll(await open(MANIFEST_NAME, options.signal), MAX_MANIFEST_BYTES, source.uri);
  const digest = sha256(bytes);
  checkDigest(source, digest, options.id);
  const manifest = parseManifest(bytes, `${source.uri}/${MANIFEST_NAME}`);
  checkIdentity(manifest, options, source.uri);
  const home = join(options.installDir, manifest.id);
  const name = `${manifest.version}-${digest.slice(0, 16)}`;
  const final = join(home, name);
  const staging = `${final}${PARTIAL}`;
  if (await exists(final)) {
    if (await isComplete(final, manifest)) return final;
    // Damaged since it came: what is whole in it is kept.
    await rm(staging, { recursive: true, force: true });
    await rename(final, staging);
  }
  options.signal.throwIfAborted();
  await mkdir(staging, { recursive: true });
  await removeAbandoned(home, `${name}${PARTIAL}`);
  await fetchFiles(manifest, open, staging, options);
  await writeDurably(join(staging, MANIFEST_NAME), bytes);
  await rename(staging, final);
  await syncDirectory(home);
  return final;
}

async function isComplete(directory: string, manifest: Manifest): Promise<boolean> {
  if (!(await exists(join(directory, MANIFEST_NAME)))) return false;
  for (const file of manifest.files) if (!(await isWhole(join(directory, file.path), file))) return false;
  return true;
}

/** Fetches of other versions that broke off would lie there for ever. */
async function removeAbandoned(home: string, keep: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (name.endsWith(PARTIAL) && name !== keep) await rm(join(home, name), { recursive: true, force: true });
  }
}

async function fetchFiles(
  manifest: Manifest,
  open: Opener,
  staging: string,
  options: FetchOptions,
): Promise<void> {
  const totalBytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  let doneBytes = 0;
  const missing: ManifestFile[] = [];
  for (const file of manifest.files) {
    options.signal.throwIfAborted();
    if (await isWhole(join(staging, file.path), file)) doneBytes += file.bytes;
    else missing.push(file);
  }
  await checkRoom(staging, totalBytes - doneBytes, manifest.id);
  for (const file of missing) {
    const before = doneBytes;
    options.onProgress(doneBytes, totalBytes);
    await receive(await open(file.path, options.signal), join(staging, file.path), file, (bytes) => {
      // A folder as a source knows nothing of the signal.
      options.signal.throwIfAborted();
      options.onProgress(before + bytes, totalBytes);
    });
    doneBytes += file.bytes;
  }
  options.onProgress(doneBytes, totalBytes);
}

function checkDigest({ uri, sha256: expected }: Source, actual: string, id: string): void {
  if (expected === actual) return;
  if (expected !== null) {
    throw badExpert(
      `${uri}/${MANIFEST_NAME} of "${id}" has sha256 ${actual}, expected ${expected}`,
      'Check the source, then the sha256 in the configuration.',
    );
  }
  if (uri.startsWith('file:')) return;
  throw new AgentError(
    'fetch_failed',
    `the source ${uri} of "${id}" has no sha256, so what comes from it cannot be checked`,
    {
      hint: `Its ${MANIFEST_NAME} has sha256 ${actual} now: if that is the one you want, add it to the source.`,
    },
  );
}

function checkIdentity(manifest: Manifest, { id, version }: FetchOptions, uri: string): void {
  if (manifest.id !== id)
    throw badExpert(
      `${uri} holds expert "${manifest.id}", not "${id}"`,
      'Mend the id or the source in the configuration.',
    );
  if (version !== null && manifest.version !== version) {
    throw badExpert(
      `${uri} holds version ${manifest.version} of "${id}", not ${version}`,
      'Mend the version or the source in the configuration.',
    );
  }
}

// ---- reading a source -----------------------------------------------------------------------------------------

async function readAll(stream: Readable, maxBytes: number, uri: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of stalling(stream)) {
    total += chunk.length;
    if (total > maxBytes)
      throw badExpert(`the manifest at ${uri} has more than ${maxBytes} bytes`, 'Check the source.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The chunks of a stream; rejects with AgentError `fetch_failed` when it breaks off, or none comes for a while. */
async function* stalling(stream: Readable): AsyncGenerator<Buffer> {
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    clearTimeout(timer);
    timer = setTimeout(
      () => stream.destroy(new AgentError('fetch_failed', 'the source stopped sending', { retryable: true })),
      STALL_MS,
    );
  };
  try {
    arm();
    for await (const chunk of stream) {
      arm();
      yield chunk as Buffer;
    }
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AgentError('fetch_failed', `the source broke off: ${why}`, { retryable: true, cause });
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}

// ---- writing to the disk --------------------------------------------------------------------------------------

async function receive(
  stream: Readable,
  path: string,
  file: ManifestFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.incoming`;
  const handle: FileHandle = await open(partial, 'w', 0o644);
  const hash = createHash('sha256');
  let received = 0;
  try {
    for await (const chunk of stalling(stream)) {
      received += chunk.length;
      if (received > file.bytes) break;
      hash.update(chunk);
      await handle.writeFile(chunk);
      onBytes(received);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (received === file.bytes && hash.digest('hex') === file.sha256) return rename(partial, path);
  await rm(partial, { force: true });
  const what =
    received === file.bytes
      ? 'another content'
      : `${received > file.bytes ? 'more than' : 'only'} ${Math.min(received, file.bytes)} bytes`;
  throw new AgentError(
    'fetch_failed',
    `${file.path} came with ${what} than its manifest says (${file.bytes} bytes, sha256 ${file.sha256.slice(0, 12)}...)`,
    {
      hint: 'The source and its manifest do not belong together.',
      retryable: received < file.bytes,
    },
  );
}

async function isWhole(path: string, file: ManifestFile): Promise<boolean> {
  const info = await stat(path).catch(() => null);
  return info !== null && info.size === file.bytes && (await hashFile(path)) === file.sha256;
}

/** Rejects with AgentError `disk_full` where the disk has not that much room, and some to spare. */
export async function checkRoom(directory: string, neededBytes: number, id: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes + DISK_RESERVE_BYTES) return;
  throw new AgentError(
    'disk_full',
    `expert "${id}" needs ${neededBytes} bytes on the disk, and ${freeBytes} are free (${DISK_RESERVE_BYTES} stay in reserve)`,
    {
      hint: 'Free some space, or point stateDir at a larger disk.',
      retryable: true,
    },
  );
}

/** Resolves when the bytes are on the disk; the name is, once its folder was synced. */
export async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const handle = await open(path, 'w', 0o644);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
