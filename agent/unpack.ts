/**
 * Unpacks the files that travel inside the executable: native modules must be real files to be linked, and model
 * files to be mapped. They go to a folder that is named for its content, so every version has its own.
 *
 * Promises: the folder appears whole or not at all (kill -9, power cut, any number of first starts at once); its
 * content is verified once per boot of the machine, because a corrupt native module does not fail but crashes; folders
 * that nobody used since the machine started are removed.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { AgentError } from './errors.ts';
import { cacheCandidates, whyUnusable } from './folders.ts';

/** One packed file: an asset of zstd frames that are unpacked one by one, so that memory stays bounded. */
export interface PackedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Length of each frame in bytes, in order. */
  readonly frames: readonly number[];
}

export interface PackedFiles {
  /** sha256 of the index: names the folder. */
  readonly digest: string;
  readonly files: readonly PackedFile[];
  /** The asset of a file, by its path. */
  read(path: string): Uint8Array;
}

export interface UnpackOptions {
  /** Folders to try in order; see `cacheCandidates`. */
  readonly candidates?: readonly string[];
  /** Names the boot of the machine; any value that changes with it. */
  readonly bootId?: string;
}

/** Holds the id of the boot in which the content was last hashed. */
const VERIFIED = '.verified';
const CHUNK_BYTES = 1 << 20;
const ABANDONED_MS = 3_600_000;

/** The index as `scripts/build.ts` wrote it: `{files: PackedFile[]}`. */
export function parseIndex(text: string): Pick<PackedFiles, 'digest' | 'files'> {
  const { files } = JSON.parse(text) as { files: PackedFile[] };
  return { digest: createHash('sha256').update(text).digest('hex'), files };
}

export interface Unpacked {
  readonly directory: string;
  /** Folder for V8's compile cache: beside the files, which never change. */
  readonly compileCache: string;
  /** False: everything was there. */
  readonly wrote: boolean;
}

/**
 * Makes sure that the files are on the disk and intact.
 * Throws AgentError `no_room` with the reason for each folder that was tried.
 */
export function unpack(packed: PackedFiles, options: UnpackOptions = {}): Unpacked {
  const bootId = options.bootId ?? readBootId();
  const candidates = options.candidates ?? cacheCandidates(process.env, process.geteuid?.() ?? 0);
  const refused: string[] = [];
  // One after the other: a folder is made only where those before it will not do.
  for (const folder of candidates) {
    try {
      const reason = whyUnusable(folder);
      if (reason === null) return unpackInto(folder, packed, bootId);
      refused.push(`${folder}: ${reason}`);
    } catch (error) {
      refused.push(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const bytes = packed.files.reduce((sum, file) => sum + file.bytes, 0);
  throw new AgentError('no_room', `No folder takes expertd's own files:\n  ${refused.join('\n  ')}`, {
    hint: `Set CACHE_DIRECTORY to a folder of your own with ${Math.ceil(bytes / 1e6)} MB free, not mounted noexec.`,
  });
}

function unpackInto(folder: string, packed: PackedFiles, bootId: string): Unpacked {
  const directory = join(folder, packed.digest.slice(0, 32));
  const marker = join(directory, VERIFIED);
  const compileCache = join(folder, 'compile-cache');
  if (isVerified(marker, bootId) && hasSizes(directory, packed.files)) {
    return { directory, compileCache, wrote: false };
  }
  const wrote = !isIntact(directory, packed.files);
  if (wrote) install(folder, directory, packed);
  writeAtomically(marker, bootId);
  removeOld(folder, bootId);
  return { directory, compileCache, wrote };
}

/** Writes everything under a name of its own, then renames. Whoever comes second keeps what the first one made. */
function install(folder: string, directory: string, packed: PackedFiles): void {
  const own = join(folder, `.unpacking-${randomUUID()}`);
  try {
    for (const file of packed.files) writePacked(join(own, file.path), file, packed.read(file.path));
    syncFolders(own, packed.files);
    setAsideIfDamaged(directory, packed.files);
    try {
      renameSync(own, directory);
    } catch (error) {
      if (!isIntact(directory, packed.files)) throw error;
    }
    syncPath(folder);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** A rename cannot replace a folder that is not empty; processes that still use the damaged one keep their mappings. */
function setAsideIfDamaged(directory: string, files: readonly PackedFile[]): void {
  if (isIntact(directory, files)) return;
  const aside = join(dirname(directory), `.unpacking-${randomUUID()}`);
  try {
    renameSync(directory, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  rmSync(aside, { recursive: true, force: true });
}

function writePacked(path: string, file: PackedFile, asset: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const hash = createHash('sha256');
  const fd = openSync(path, 'wx', 0o444);
  try {
    let offset = 0;
    for (const length of file.frames) {
      const chunk = zstdDecompressSync(asset.subarray(offset, offset + length));
      hash.update(chunk);
      writeAll(fd, chunk);
      offset += length;
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (hash.digest('hex') !== file.sha256) throw new Error(`${file.path} in the executable is damaged`);
}

function writeAll(fd: number, chunk: Uint8Array): void {
  for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
}

function writeAtomically(path: string, text: string): void {
  const own = `${path}.${randomUUID()}`;
  writeFileSync(own, text, { flag: 'wx', flush: true });
  renameSync(own, path);
}

function isVerified(marker: string, bootId: string): boolean {
  try {
    return readFileSync(marker, 'utf8') === bootId;
  } catch {
    return false;
  }
}

function hasSizes(directory: string, files: readonly PackedFile[]): boolean {
  return files.every(
    ({ path, bytes }) => statSync(join(directory, path), { throwIfNoEntry: false })?.size === bytes,
  );
}

function isIntact(directory: string, files: readonly PackedFile[]): boolean {
  return (
    hasSizes(directory, files) &&
    files.every(({ path, sha256 }) => sha256Of(join(directory, path)) === sha256)
  );
}

function sha256Of(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const fd = openSync(path, 'r');
  try {
    for (let read = -1; read !== 0; ) {
      read = readSync(fd, chunk, 0, CHUNK_BYTES, null);
      hash.update(chunk.subarray(0, read));
    }
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

/** A folder whose marker is of an earlier boot has no user: every start writes the marker of this boot. */
function removeOld(folder: string, bootId: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith('.unpacking-')) {
      const ageMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (ageMs > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
    } else if (/^[0-9a-f]{32}$/.test(name) && !isVerified(join(path, VERIFIED), bootId)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

function syncFolders(root: string, files: readonly PackedFile[]): void {
  const folders = new Set([root, ...files.map(({ path }) => dirname(join(root, path)))]);
  for (const folder of folders) syncPath(folder);
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
